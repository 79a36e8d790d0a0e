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
// pack never reaches the store.
func (s *store) add(pack io.Reader, dir string) error {
	if dir == "" {
		content, err := io.ReadAll(pack)
		if err != nil {
			return rebuilt(err, "a pack")
		}
		return s.unpack(bytes.NewReader(content))
	}
	file, err := os.CreateTemp(cachePath(dir), "incoming-*")
	if err != nil {
		return diskError(err)
	}
	defer sweep(dir) // go-git leaves a bad pack behind, too
	defer file.Close()
	if _, err := io.Copy(file, pack); err != nil {
		if disk, ok := errors.AsType[*os.PathError](err); ok && disk.Path == file.Name() {
			return diskError(err)
		}
		return rebuilt(err, "a pack")
	}
	return s.unpack(file)
}

func (s *store) unpack(pack io.ReadSeeker) error {
	if err := checkPack(pack, s.limits.ObjectBytes); err != nil {
		return err
	}
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return diskError(err)
	}
	kept, inMemory := s.Storer.(*memory.Storage)
	if !inMemory {
		err := packfile.UpdateObjectStorage(s.Storer, pack)
		if disk, ok := errors.AsType[*os.PathError](err); ok {
			return diskError(disk)
		}
		if err != nil {
			return s.corrupt("the pack from the server cannot be unpacked")
		}
		return nil
	}
	// Memory takes objects one by one, so a bad delta would leave half a pack.
	aside := memory.NewStorage()
	if err := packfile.UpdateObjectStorage(aside, pack); err != nil {
		return retry(Corrupt, "the pack from the server cannot be unpacked")
	}
	for _, object := range aside.Objects {
		if _, err := kept.SetEncodedObject(object); err != nil {
			return s.corrupt("the pack from the server holds an unknown kind of object")
		}
	}
	return nil
}

// checkPack reads a pack through once: its structure, its checksum, and the
// size that each object, or a delta's result, would take in memory. go-git takes
// 4.7 GB for a pack of 1 MB that holds one blob of 1 GB.
func checkPack(pack io.ReadSeeker, limit int64) error {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return diskError(err)
	}
	damaged := retry(Corrupt, "the pack from the server is damaged or cut short")
	scanner := packfile.NewScanner(pack)
	_, count, err := scanner.Header()
	if err != nil {
		return damaged
	}
	for range count {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return damaged
		}
		size := header.Length
		if size <= limit {
			start := &prefix{}
			if _, _, err := scanner.NextObject(start); err != nil {
				return damaged
			}
			if header.Type == plumbing.OFSDeltaObject || header.Type == plumbing.REFDeltaObject {
				size = start.deltaSize()
			}
		}
		if size < 0 || size > limit {
			return fail(TooLarge, "the history holds an object of %d bytes, more than the limit of %d", size, limit)
		}
	}
	if _, err := scanner.Checksum(); err != nil {
		return damaged
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
