package git

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

const (
	maxLinks     = 10
	maxLinkBytes = 4 << 10
	lfsPointer   = "version https://git-lfs.github.com/spec/"
	maxTreeBytes = 32 << 20 // of one directory's object
	maxDepth     = 255      // of directories
)

// A tree is a commit's files, read from the store as they are asked for.
type tree struct {
	*snapshot
	reads *Reads             // notes what is read; nil where nobody wants to know
	seen  map[string][]entry // directories that were read, by path
	left  int                // entries that may still be read
}

func newTree(s *snapshot, reads *Reads) *tree {
	return &tree{snapshot: s, reads: reads, seen: map[string][]entry{}, left: s.shelf.limits.TreeEntries}
}

// Open follows links, and reads a file whole.
func (t *tree) Open(name string) (fs.File, error) {
	e, err := t.find(name, true)
	if err != nil {
		return nil, t.failed("open", name, err)
	}
	if e.mode == filemode.Dir {
		entries, err := t.list(e)
		if err != nil {
			return nil, t.failed("open", name, err)
		}
		return &openDir{info: t.info(e, name), entries: entries}, nil
	}
	content, err := t.content(e)
	if err != nil {
		return nil, t.failed("open", name, err)
	}
	return &openFile{info: t.info(e, name), Reader: bytes.NewReader(content)}, nil
}

// ReadFile implements [fs.ReadFileFS].
func (t *tree) ReadFile(name string) ([]byte, error) {
	e, err := t.find(name, true)
	if err == nil && e.mode == filemode.Dir {
		err = errors.New("is a directory")
	}
	if err != nil {
		return nil, t.failed("read", name, err)
	}
	content, err := t.content(e)
	return content, t.failed("read", name, err)
}

// ReadDir implements [fs.ReadDirFS]; entries are sorted by name.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := t.find(name, true)
	if err == nil && e.mode != filemode.Dir {
		err = errors.New("not a directory")
	}
	if err != nil {
		return nil, t.failed("readdir", name, err)
	}
	entries, err := t.list(e)
	return entries, t.failed("readdir", name, err)
}

// Stat implements [fs.StatFS]; it follows links.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	e, err := t.find(name, true)
	if err != nil {
		return nil, t.failed("stat", name, err)
	}
	return t.info(e, name), nil
}

// Lstat implements [fs.ReadLinkFS].
func (t *tree) Lstat(name string) (fs.FileInfo, error) {
	e, err := t.find(name, false)
	if err != nil {
		return nil, t.failed("lstat", name, err)
	}
	return t.info(e, name), nil
}

// ReadLink implements [fs.ReadLinkFS].
func (t *tree) ReadLink(name string) (string, error) {
	e, err := t.find(name, false)
	if err == nil && e.mode != filemode.Symlink {
		err = fs.ErrInvalid
	}
	if err != nil {
		return "", t.failed("readlink", name, err)
	}
	target, err := t.object(plumbing.BlobObject, e.hash, maxLinkBytes)
	return string(target), t.failed("readlink", name, err)
}

// failed makes the error that package fs wants; ours say where they come from.
func (t *tree) failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		err = during("read a file of", t.url, err)
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// find resolves a path from the root, one element at a time, with the links on
// its way; the last element only where follow is set.
func (t *tree) find(name string, follow bool) (entry, error) {
	if !fs.ValidPath(name) {
		return entry{}, fs.ErrInvalid
	}
	t.reads.note(met(t.root))
	at := []entry{t.root} // from the root to where we are; directories but the last
	todo := strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		here, element := at[len(at)-1], todo[0]
		todo = todo[1:]
		if here.mode == filemode.Submodule {
			return entry{}, submodule(here)
		}
		if here.mode != filemode.Dir || len(at) > maxDepth {
			return entry{}, fs.ErrNotExist
		}
		switch element {
		case "", ".":
			continue
		case "..": // of a link: ValidPath keeps it out of names
			if len(at) == 1 {
				return entry{}, fail(UnsupportedEntry, "%q leads out of the repository through a symbolic link", name)
			}
			at = at[:len(at)-1]
			continue
		}
		next, err := t.child(here, element)
		if err != nil {
			return entry{}, err
		}
		if next.mode != filemode.Symlink || len(todo) == 0 && !follow {
			at = append(at, next)
			continue
		}
		if links++; links > maxLinks {
			return entry{}, fail(UnsupportedEntry, "%q leads through more than %d symbolic links", name, maxLinks)
		}
		target, err := t.target(next)
		if err != nil {
			return entry{}, err
		}
		todo = append(target, todo...)
	}
	return at[len(at)-1], nil
}

// target reads a symbolic link's path elements.
func (t *tree) target(link entry) ([]string, error) {
	target, err := t.object(plumbing.BlobObject, link.hash, maxLinkBytes)
	if err != nil {
		return nil, err
	}
	if path.IsAbs(string(target)) {
		return nil, fail(UnsupportedEntry, "%q is a symbolic link out of the repository, to %.200q", link.path, target)
	}
	return strings.Split(string(target), "/"), nil
}

// content reads a file, and refuses what stands in for one.
func (t *tree) content(e entry) ([]byte, error) {
	switch e.mode {
	case filemode.Submodule:
		return nil, submodule(e)
	case filemode.Regular, filemode.Deprecated, filemode.Executable:
	default:
		return nil, fail(UnsupportedEntry, "%q has the unknown mode %s", e.path, e.mode)
	}
	limit := t.shelf.limits.BlobBytes
	content, err := t.object(plumbing.BlobObject, e.hash, limit)
	if hasReason(err, TooLarge) {
		return nil, fail(TooLarge, "%q has %d bytes, more than the limit of %d", e.path, t.shelf.size(e.hash), limit)
	}
	if bytes.HasPrefix(content, []byte(lfsPointer)) {
		return nil, fail(UnsupportedEntry, "%q is a Git LFS pointer; LFS is not supported: commit the file itself", e.path)
	}
	return content, err
}

func submodule(e entry) error {
	return fail(UnsupportedEntry, "%q is a submodule at commit %s; submodules are not supported: commit the files themselves", e.path, e.hash)
}

var (
	_ fs.ReadDirFS  = (*tree)(nil)
	_ fs.ReadFileFS = (*tree)(nil)
	_ fs.ReadLinkFS = (*tree)(nil)
	_ io.ReaderAt   = (*openFile)(nil)
)
