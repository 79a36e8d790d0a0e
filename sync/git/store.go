package git

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"
)

const (
	tipRef         = plumbing.ReferenceName("refs/belay/tip") // the last commit fetched, whole
	maxHaves       = 64
	maxPacks       = 200 // each fetch adds one, and each is searched
	maxCommitBytes = 1 << 20
	decodedBytes   = 4 << 20 // of objects that are kept decoded, as bases of deltas
	openPacks      = 8       // kept open: opening one costs more than reading a small object
)

// A store keeps what was fetched: a bare repository on disk, or memory. All it
// holds behind tipRef is complete, since a pack is added whole or not at all.
// It is for one goroutine at a time, see [shelf].
type store struct {
	storage.Storer
	limits  Limits
	damaged bool // found while reading; the store is to be made anew
}

// cachePath is a directory of ours inside CacheDir: it gets deleted.
func cachePath(dir string) string { return filepath.Join(dir, "repository.git") }

// openStore opens the cache of that URL, and makes it anew where there is none,
// it is another URL's, or it cannot be read.
func openStore(dir, url string, limits Limits) (*store, error) {
	if dir == "" {
		return &store{Storer: memory.NewStorage(), limits: limits}, nil
	}
	sweep(dir)
	if s, err := reopenStore(dir, limits); err == nil {
		if s.usable(url) {
			return s, nil
		}
		s.close()
	}
	if err := discardStore(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cachePath(dir), 0o700); err != nil {
		return nil, diskError(err)
	}
	repo, err := gogit.PlainInit(cachePath(dir), true)
	if err != nil {
		return nil, diskError(err)
	}
	origin := &config.RemoteConfig{Name: gogit.DefaultRemoteName, URLs: []string{url}}
	if _, err := repo.CreateRemote(origin); err != nil {
		return nil, diskError(err)
	}
	return reopenStore(dir, limits)
}

// reopenStore opens a store on disk that is there. By default go-git opens the
// pack anew for each object, looks on the disk for each object that might lie
// there alone, and keeps 96 MiB of decoded objects.
func reopenStore(dir string, limits Limits) (*store, error) {
	repo, err := gogit.PlainOpen(cachePath(dir))
	if err != nil {
		return nil, diskError(err)
	}
	onDisk, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return nil, diskError(errors.New("the cache is no directory"))
	}
	return &store{limits: limits, Storer: filesystem.NewStorageWithOptions(
		onDisk.Filesystem(), cache.NewObjectLRU(decodedBytes),
		filesystem.Options{MaxOpenDescriptors: openPacks, ExclusiveAccess: true},
	)}, nil
}

// close gives the files back that are open.
func (s *store) close() {
	if onDisk, ok := s.Storer.(io.Closer); ok {
		_ = onDisk.Close() // they were only read
	}
}

// sweep removes what is left of a fetch, a killed process's too.
func sweep(dir string) {
	for _, pattern := range []string{"incoming-*", "objects/pack/tmp_*"} {
		left, _ := filepath.Glob(filepath.Join(cachePath(dir), pattern))
		for _, path := range left {
			_ = os.Remove(path)
		}
	}
}

func discardStore(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.RemoveAll(cachePath(dir)); err != nil {
		return diskError(err)
	}
	return nil
}

// usable tells whether the cache is that URL's and can be read.
func (s *store) usable(url string) bool {
	cfg, err := s.Config()
	if err != nil {
		return false
	}
	origin, ok := cfg.Remotes[gogit.DefaultRemoteName]
	if !ok || !slices.Equal(origin.URLs, []string{url}) {
		return false
	}
	tip, err := s.Reference(tipRef)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return true
	}
	if err != nil {
		return false
	}
	_, err = s.commit(tip.Hash())
	return err == nil
}

// crowded tells a store of so many packs that a new one is cheaper to search.
func (s *store) crowded() bool {
	packed, ok := s.Storer.(storer.PackedObjectStorer)
	if !ok {
		return false
	}
	packs, err := packed.ObjectPacks()
	return err != nil || len(packs) >= maxPacks
}

// has tells whether the store knows the object at all. Go-git's own question for
// that leaves out the packs of a store with exclusive access.
func (s *store) has(hash plumbing.Hash) bool {
	_, err := s.EncodedObjectSize(hash)
	return !errors.Is(err, plumbing.ErrObjectNotFound)
}

// commit reads a commit, and sees that its tree is there.
func (s *store) commit(hash plumbing.Hash) (*object.Commit, error) {
	content, err := s.read(plumbing.CommitObject, hash, maxCommitBytes)
	if err != nil {
		return nil, err
	}
	raw := &plumbing.MemoryObject{}
	raw.SetType(plumbing.CommitObject)
	_, _ = raw.Write(content) // to memory
	commit := &object.Commit{}
	if err := commit.Decode(raw); err != nil {
		return nil, fail(Unsupported, "commit %s is malformed", hash)
	}
	if _, err := s.EncodedObjectSize(commit.TreeHash); err != nil {
		return nil, s.corrupt("the tree of commit %s is missing", hash)
	}
	return commit, nil
}

// read returns an object's content, after a look at its size, and checks it
// against its hash.
func (s *store) read(kind plumbing.ObjectType, hash plumbing.Hash, limit int64) ([]byte, error) {
	size, err := s.EncodedObjectSize(hash)
	if err != nil {
		return nil, s.corrupt("%s %s cannot be read", kind, hash)
	}
	if size > limit {
		return nil, fail(TooLarge, "%s %s has %d bytes, more than the limit of %d", kind, hash, size, limit)
	}
	raw, err := s.EncodedObject(plumbing.AnyObject, hash)
	if err != nil {
		return nil, s.corrupt("%s %s cannot be read", kind, hash)
	}
	if raw.Type() != kind {
		return nil, fail(InvalidRef, "%s is a %s, not a %s", hash, raw.Type(), kind)
	}
	r, err := raw.Reader()
	if err != nil {
		return nil, s.corrupt("%s %s cannot be read", kind, hash)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil || plumbing.ComputeHash(kind, content) != hash {
		return nil, s.corrupt("%s %s is damaged", kind, hash)
	}
	return content, nil
}

// corrupt marks the store as one to be made anew.
func (s *store) corrupt(format string, args ...any) error {
	s.damaged = true
	return retry(Corrupt, format, args...)
}

// haves are the newest commits behind the last one that was fetched. After a
// force-push the remote finds the common one among them.
func (s *store) haves() []plumbing.Hash {
	tip, err := s.Reference(tipRef)
	if err != nil {
		return nil
	}
	var haves []plumbing.Hash
	commit, err := s.commit(tip.Hash())
	for err == nil && len(haves) < maxHaves {
		haves = append(haves, commit.Hash)
		if len(commit.ParentHashes) == 0 {
			break
		}
		commit, err = s.commit(commit.ParentHashes[0])
	}
	return haves
}
