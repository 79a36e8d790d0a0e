package git

import (
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A shelf is a repository's store for any number of goroutines: they read one
// after the other, for go-git's storages are for one. What is fetched is
// unpacked beside it, and then the store is changed for another that has it.
type shelf struct {
	dir, url string
	limits   Limits

	mu    sync.Mutex
	store *store // nil until it is needed
	made  int    // how often it was made anew: what was read before may not be here again
}

// with gives do the store, which is opened if it is not yet.
func (s *shelf) with(do func(*store) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		opened, err := openStore(s.dir, s.url, s.limits)
		if err != nil {
			return err
		}
		s.store = opened
	}
	return do(s.store)
}

// put changes the store for another.
func (s *shelf) put(other *store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		s.store.close()
	}
	s.store = other
}

// discard throws the store away, with all that was fetched.
func (s *shelf) discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		s.store.close()
	}
	s.store = nil
	s.made++
	return discardStore(s.dir)
}

// state is how often the store was made anew, and whether it has shown no damage.
func (s *shelf) state() (made int, sound bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made, s.store == nil || !s.store.damaged
}

// find reads a commit that is here whole, and tells when the store was made that
// has it. Where there is none it is nil without an error; crowded says that the
// store should be made anew before anything is fetched.
func (s *shelf) find(hash plumbing.Hash) (commit *object.Commit, made int, crowded bool, err error) {
	err = s.with(func(store *store) (err error) {
		made = s.made
		switch {
		case store.damaged:
			err = retry(Corrupt, "the store is damaged")
		case store.has(hash):
			commit, err = store.commit(hash)
		default:
			crowded = store.crowded()
		}
		return err
	})
	return commit, made, crowded, err
}

// read returns an object's content for a tree of the store that was made as the
// so many-th.
func (s *shelf) read(made int, kind plumbing.ObjectType, hash plumbing.Hash, limit int64) (content []byte, err error) {
	err = s.with(func(store *store) (err error) {
		if made != s.made && !store.has(hash) {
			return retry(Corrupt, "%s %s is not here any more: all was fetched anew", kind, hash)
		}
		content, err = store.read(kind, hash, limit)
		return err
	})
	return content, err
}

// size is that of an object, 0 where it is missing.
func (s *shelf) size(hash plumbing.Hash) (size int64) {
	_ = s.with(func(store *store) (err error) {
		size, err = store.EncodedObjectSize(hash)
		return err
	})
	return size
}

func (s *shelf) haves() (haves []plumbing.Hash, err error) {
	err = s.with(func(store *store) error {
		haves = store.haves()
		return nil
	})
	return haves, err
}
