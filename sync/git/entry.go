package git

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// An entry is one line of a tree object.
type entry struct {
	name string
	path string // from the root, for messages
	mode filemode.FileMode
	hash plumbing.Hash
}

// read returns a directory's entries, sorted by name. They are counted by path,
// not by hash: trees that hold each other many times over are small to store and
// endless to walk.
func (t *tree) read(dir entry) ([]entry, error) {
	if entries, ok := t.seen[dir.path]; ok {
		return entries, nil
	}
	entries, err := t.entries(dir)
	if err != nil {
		return nil, err
	}
	if t.left -= len(entries); t.left < 0 {
		return nil, fail(TooLarge, "the tree has more than the limit of %d entries", t.shelf.limits.TreeEntries)
	}
	t.seen[dir.path] = entries
	return entries, nil
}

// parseTree reads a tree object, at most so many entries of it.
func parseTree(dir entry, content []byte, most int) ([]entry, error) {
	var entries []entry
	for len(content) > 0 {
		var e entry
		var err error
		if e, content, err = parseEntry(content); err != nil {
			return nil, fail(UnsupportedEntry, "directory %q is a malformed tree object", dir.path)
		}
		if len(entries) == most {
			return nil, fail(TooLarge, "the tree has more than the limit of %d entries", most)
		}
		if !validName(e.name) {
			return nil, fail(UnsupportedEntry, "directory %q holds an entry named %.200q, which is not a valid name", dir.path, e.name)
		}
		e.path = path.Join(dir.path, e.name)
		if len(e.path) > maxPath {
			return nil, fail(UnsupportedEntry, "directory %.200q holds a path of more than %d bytes", dir.path, maxPath)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, byName)
	for i := 1; i < len(entries); i++ {
		if entries[i-1].name == entries[i].name {
			return nil, fail(UnsupportedEntry, "directory %q holds two entries named %.200q", dir.path, entries[i].name)
		}
	}
	return entries, nil
}

func byName(a, b entry) int { return strings.Compare(a.name, b.name) }

// child finds one entry of a directory.
func (t *tree) child(dir entry, name string) (entry, error) {
	entries, err := t.read(dir)
	if err != nil {
		t.reads.note(whole(dir))
		return entry{}, err
	}
	found, ok := named(entries, name)
	if !ok {
		t.reads.note(fact{path: path.Join(dir.path, name)})
		return entry{}, fs.ErrNotExist
	}
	t.reads.note(met(found))
	return found, nil
}

func named(entries []entry, name string) (entry, bool) {
	i, ok := slices.BinarySearchFunc(entries, entry{name: name}, byName)
	if !ok {
		return entry{}, false
	}
	return entries[i], true
}

// parseEntry reads `<octal mode> <name>\0<20 bytes of hash>`. go-git's decoder
// does the same, but turns a bad mode into an error without the name.
func parseEntry(content []byte) (e entry, rest []byte, err error) {
	head, rest, ok := bytes.Cut(content, []byte{0})
	mode, name, spaced := strings.Cut(string(head), " ")
	if !ok || !spaced || len(rest) < len(e.hash) {
		return entry{}, nil, fs.ErrInvalid
	}
	bits, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		return entry{}, nil, err
	}
	e = entry{name: name, mode: filemode.FileMode(bits)}
	copy(e.hash[:], rest)
	return e, rest[len(e.hash):], nil
}

// Linux's limits of a name and of a path: what is longer is in no checkout.
const (
	maxName = 255
	maxPath = 4096
)

// validName keeps out what Git itself never writes and what would not be one
// element of a path. NUL ends a name, so none can hold it.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && name != "." && name != ".." && !strings.EqualFold(name, ".git") &&
		!strings.Contains(name, "/") && utf8.ValidString(name)
}

// kind is the mode as package fs says it. A submodule, which is neither file
// nor directory here, is irregular.
func (e entry) kind() fs.FileMode {
	switch e.mode {
	case filemode.Dir:
		return fs.ModeDir | 0o555
	case filemode.Symlink:
		return fs.ModeSymlink | 0o777
	case filemode.Executable:
		return 0o555
	case filemode.Regular, filemode.Deprecated:
		return 0o444
	}
	return fs.ModeIrregular
}
