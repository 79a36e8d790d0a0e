package git

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Reads are what was read of a tree, see [Repository.Record]: of each name that
// was looked up, with all symbolic links on the way, what it led to or that it
// led nowhere. The zero value is ready. Any number of goroutines may use it.
type Reads struct {
	mu    sync.Mutex
	facts []fact
	at    map[string]int // in facts, by path; nil once they are sorted
}

// A fact is what somebody came to know about a path without links in it.
type fact struct {
	path string
	mode filemode.FileMode // 0 where nothing is there
	hash plumbing.Hash     // what a directory is compared by first, and all else by
	// known is what of a directory is known beside that it is one.
	known   knowledge
	listing uint64 // of the names in a directory, and of their modes
}

type knowledge byte

const (
	entered  knowledge = iota // nothing
	names                     // its listing
	anything                  // all below it
)

// met is an entry that a path leads to or through.
func met(e entry) fact { return fact{path: e.path, mode: e.mode, hash: e.hash} }

// whole is a directory that could not be read: whatever changes it may mend that.
func whole(dir entry) fact {
	f := met(dir)
	f.known = anything
	return f
}

// listed is a directory whose entries were named.
func listed(dir entry, entries []entry) fact {
	f := met(dir)
	f.known, f.listing = names, listingOf(entries)
	return f
}

func listingOf(entries []entry) uint64 {
	sum := fnv.New64a()
	for _, e := range entries {
		_, _ = sum.Write([]byte(e.name)) // to memory, as the next
		_, _ = sum.Write([]byte{0, byte(e.mode), byte(e.mode >> 8)})
	}
	return sum.Sum64()
}

// note adds a fact to what is known of its path. Nil notes nothing.
func (r *Reads) note(f fact) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = map[string]int{}
		for i, known := range r.facts {
			r.at[known.path] = i
		}
	}
	i, known := r.at[f.path]
	switch {
	case !known:
		r.at[f.path] = len(r.facts)
		r.facts = append(r.facts, f)
	case f.known > r.facts[i].known:
		r.facts[i] = f
	}
}

// Empty tells that nothing was read.
func (r *Reads) Empty() bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.facts) == 0
}

// unchanged tells whether another commit holds the same.
func (r *Reads) unchanged(now *snapshot) (bool, error) {
	if r.Empty() {
		return false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sort()
	for i := 0; i < len(r.facts); {
		f := r.facts[i]
		found, err := now.lookup(f.path)
		if err != nil {
			return false, err
		}
		if f.mode == found.mode && f.hash == found.hash {
			i = r.after(i) // and all below it is the same
			continue
		}
		if f.mode != filemode.Dir || found.mode != filemode.Dir || f.known == anything {
			return false, nil
		}
		if f.known == names {
			entries, err := now.entries(found)
			if err != nil || listingOf(entries) != f.listing {
				return false, err
			}
		}
		i++
	}
	return true, nil
}

// sort has each directory before what is in it, with nothing else between.
func (r *Reads) sort() {
	if r.at == nil {
		return
	}
	r.at, r.facts = nil, slices.Clip(r.facts)
	slices.SortFunc(r.facts, func(a, b fact) int { return comparePaths(a.path, b.path) })
}

func comparePaths(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".":
		return -1
	case b == ".":
		return 1
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return cmp.Compare(rank(a, n), rank(b, n))
}

// rank is a path's byte for its order: its end first, then what is below it.
func rank(path string, at int) int {
	switch {
	case at == len(path):
		return -1
	case path[at] == '/':
		return 0
	}
	return 1 + int(path[at])
}

// after is the index of the first fact that is not below that of index i.
func (r *Reads) after(i int) int {
	dir := r.facts[i].path + "/"
	root := r.facts[i].path == "."
	for i++; i < len(r.facts) && (root || strings.HasPrefix(r.facts[i].path, dir)); {
		i++
	}
	return i
}

// lookup finds what is at a path that has no links in it; nothing where a part of
// it is no directory.
func (s *snapshot) lookup(path string) (entry, error) {
	at := s.root
	if path == "." {
		return at, nil
	}
	for name := range strings.SplitSeq(path, "/") {
		if at.mode != filemode.Dir {
			return entry{}, nil
		}
		entries, err := s.entries(at)
		if err != nil {
			return entry{}, err
		}
		at, _ = named(entries, name)
	}
	return at, nil
}
