package git

import (
	"net/url"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

const (
	maxSnapshots = 2       // commits whose directories are kept: the newest, and one that is being built still
	maxShared    = 100_000 // entries of a commit's directories that are kept for others
)

// A snapshot is a commit's directories, as far as they were read, for all that
// read the commit.
type snapshot struct {
	shelf *shelf
	made  int // when the store was made that the commit was found in
	url   *url.URL
	root  entry

	mu   sync.Mutex
	dirs map[string][]entry // by path
	kept int                // entries in dirs
}

func newSnapshot(s *shelf, made int, u *url.URL, root plumbing.Hash) *snapshot {
	return &snapshot{
		shelf: s, made: made, url: u,
		root: entry{name: ".", path: ".", mode: filemode.Dir, hash: root},
		dirs: map[string][]entry{},
	}
}

// object reads a blob or a tree object.
func (s *snapshot) object(kind plumbing.ObjectType, hash plumbing.Hash, limit int64) ([]byte, error) {
	return s.shelf.read(s.made, kind, hash, limit)
}

// entries returns a directory's entries, sorted by name.
func (s *snapshot) entries(dir entry) ([]entry, error) {
	s.mu.Lock()
	entries, ok := s.dirs[dir.path]
	s.mu.Unlock()
	if ok {
		return entries, nil
	}
	content, err := s.object(plumbing.TreeObject, dir.hash, maxTreeBytes)
	if err != nil {
		return nil, err
	}
	if entries, err = parseTree(dir, content, s.shelf.limits.TreeEntries); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.dirs[dir.path]; !ok && s.kept+len(entries) <= maxShared {
		s.dirs[dir.path] = entries
		s.kept += len(entries)
	}
	return entries, nil
}

// snapshots are those of the commits that were asked for last.
type snapshots struct {
	mu     sync.Mutex
	recent []recent // newest first
}

type recent struct {
	commit plumbing.Hash
	*snapshot
}

// known is a commit's snapshot of the store that is there and sound; nil if there is none.
func (s *snapshots) known(commit string, from *shelf) *snapshot {
	made, sound := from.state()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.recent {
		if sound && known.commit.String() == commit && known.made == made {
			return known.snapshot
		}
	}
	return nil
}

// of is a commit's snapshot, which is made if there is none, or one of a store
// that was thrown away since.
func (s *snapshots) of(commit plumbing.Hash, fresh *snapshot) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.recent {
		if known.commit == commit && known.made == fresh.made {
			return known.snapshot
		}
	}
	s.recent = append([]recent{{commit, fresh}}, s.recent...)
	s.recent = s.recent[:min(len(s.recent), maxSnapshots)]
	return fresh
}
