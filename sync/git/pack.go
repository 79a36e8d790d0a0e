package git

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"
)

// add receives a pack, checks it, and only then lets go-git have it: half a
// pack never reaches the store. What is here is read on meanwhile.
func (s *shelf) add(pack io.Reader) error {
	if s.dir == "" {
		content, err := io.ReadAll(pack)
		if err != nil {
			return rebuilt(err, "a pack")
		}
		return s.keep(bytes.NewReader(content))
	}
	file, err := os.CreateTemp(cachePath(s.dir), "incoming-*")
	if err != nil {
		return diskError(err)
	}
	defer sweep(s.dir) // go-git leaves a bad pack behind, too
	defer file.Close()
	if _, err := io.Copy(file, pack); err != nil {
		if disk, ok := errors.AsType[*os.PathError](err); ok && disk.Path == file.Name() {
			return diskError(err)
		}
		return rebuilt(err, "a pack")
	}
	if err := checkPack(file, s.limits); err != nil {
		return err
	}
	return s.unpack(file)
}

// unpack adds a pack that is good to the store on disk, by way of another store
// on the same directory, which takes the place of the present one.
func (s *shelf) unpack(pack io.ReadSeeker) error {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return diskError(err)
	}
	next, err := reopenStore(s.dir, s.limits)
	if err != nil {
		return err
	}
	err = packfile.UpdateObjectStorage(next.Storer, pack)
	if err == nil {
		s.put(next)
		return nil
	}
	next.close()
	if disk, ok := errors.AsType[*os.PathError](err); ok {
		return diskError(disk)
	}
	return s.with(func(store *store) error { return store.corrupt("the pack from the server cannot be unpacked") })
}

// keep adds a pack to the store in memory. That takes objects one by one, so a
// bad delta would leave half a pack: they are unpacked aside.
func (s *shelf) keep(pack io.ReadSeeker) error {
	if err := checkPack(pack, s.limits); err != nil {
		return err
	}
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return diskError(err)
	}
	aside := memory.NewStorage()
	if err := packfile.UpdateObjectStorage(aside, pack); err != nil {
		return retry(Corrupt, "the pack from the server cannot be unpacked")
	}
	return s.with(func(store *store) error {
		for _, object := range aside.Objects {
			if _, err := store.SetEncodedObject(object); err != nil {
				return store.corrupt("the pack from the server holds an unknown kind of object")
			}
		}
		return nil
	})
}

// checkPack reads a pack through once: its structure, its checksum, and the
// memory and time that go-git will take to unpack it, which bear no relation to
// its size: 4.7 GB for a pack of 1 MB that holds one blob of 1 GB, and 2.8 GB
// for one of 100 kB that holds ten deltas in a chain.
func checkPack(pack io.ReadSeeker, limits Limits) error {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return diskError(err)
	}
	damaged := retry(Corrupt, "the pack from the server is damaged or cut short")
	scanner := packfile.NewScanner(pack)
	_, count, err := scanner.Header()
	if err != nil {
		return damaged
	}
	if count > maxObjects {
		return fail(TooLarge, "the history holds %d objects, more than the limit of %d", count, maxObjects)
	}
	charge := charges{limits: limits, chains: map[int64]int64{}}
	for range count {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return damaged
		}
		size := header.Length
		if size <= limits.ObjectBytes {
			start := &prefix{}
			if _, _, err := scanner.NextObject(start); err != nil {
				return damaged
			}
			if header.Type.IsDelta() {
				size = start.deltaSize()
			}
		}
		if err := charge.add(header, size); err != nil {
			return err
		}
	}
	if _, err := scanner.Checksum(); err != nil {
		return damaged
	}
	return nil
}

const (
	maxObjects   = 5_000_000
	maxUnpacked  = 16 << 30 // of all objects together; it bounds the time
	smallObject  = 32 << 10 // what is smaller is not worth a note
	chainObjects = 2        // a chain of deltas may hold as much as so many of the largest objects
)

// charges adds up what unpacking takes. go-git holds every object of a chain of
// deltas at once.
type charges struct {
	limits Limits
	total  int64
	chains map[int64]int64 // offset of an object → bytes of it and all that it is a delta of
	byHash int64           // of all deltas that name their base by hash: they may be one chain
}

func (c *charges) add(header *packfile.ObjectHeader, size int64) error {
	if size < 0 || size > c.limits.ObjectBytes {
		return fail(TooLarge, "the history holds an object of %d bytes, more than the limit of %d", size, c.limits.ObjectBytes)
	}
	chain := size
	switch header.Type {
	case plumbing.OFSDeltaObject:
		chain += c.chains[header.OffsetReference]
	case plumbing.REFDeltaObject:
		c.byHash += size
		chain = c.byHash
	}
	if chain > smallObject {
		c.chains[header.Offset] = chain
	}
	if most := chainObjects * c.limits.ObjectBytes; chain > most {
		return fail(TooLarge, "the history holds a chain of deltas of %d bytes, more than the limit of %d; `git gc` on the server may shorten it", chain, most)
	}
	if c.total += size; c.total > maxUnpacked {
		return fail(TooLarge, "the history unpacks to more than the limit of %d bytes", int64(maxUnpacked))
	}
	return nil
}

// prefix keeps the first bytes written to it: enough for a delta's two sizes.
type prefix struct {
	head [2 * binary.MaxVarintLen64]byte
	n    int
}

func (p *prefix) Write(b []byte) (int, error) {
	p.n += copy(p.head[p.n:], b)
	return len(b), nil
}

// deltaSize is the size of a delta's result, the second number in it; -1 where
// there is none. Git's numbers are Go's uvarints.
func (p *prefix) deltaSize() int64 {
	_, n := binary.Uvarint(p.head[:p.n])
	if n <= 0 {
		return -1
	}
	size, m := binary.Uvarint(p.head[n:p.n])
	if m <= 0 || size > 1<<62 {
		return -1
	}
	return int64(size)
}
