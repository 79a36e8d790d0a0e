package git

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// info is an [fs.FileInfo]. Git keeps no times.
type info struct {
	name string
	kind fs.FileMode
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.kind }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.kind.IsDir() }
func (i info) Sys() any           { return nil }

// info describes an entry under the name it was asked for, a link's perhaps. The
// size of a blob that is missing is found out when it is read.
func (t *tree) info(e entry, name string) info {
	i := info{name: path.Base(name), kind: e.kind()}
	if e.mode != filemode.Dir && e.mode != filemode.Submodule {
		i.size = t.shelf.size(e.hash)
	}
	return i
}

// dirEntry is an [fs.DirEntry].
type dirEntry struct {
	entry
	tree *tree
}

func (d dirEntry) Name() string      { return d.name }
func (d dirEntry) IsDir() bool       { return d.kind().IsDir() }
func (d dirEntry) Type() fs.FileMode { return d.kind().Type() }

// Info tells the size as well, which is noted as a look at the file.
func (d dirEntry) Info() (fs.FileInfo, error) {
	d.tree.reads.note(met(d.entry))
	return d.tree.info(d.entry, d.name), nil
}

// Identity is another for another content. Who asks for it is taken for one who
// reads the file.
func (d dirEntry) Identity() string {
	d.tree.reads.note(met(d.entry))
	return string(d.hash[:])
}

func (d dirEntry) String() string { return fs.FormatDirEntry(d) }

// list returns a directory's entries for package fs.
func (t *tree) list(dir entry) ([]fs.DirEntry, error) {
	entries, err := t.read(dir)
	if err != nil {
		t.reads.note(whole(dir))
		return nil, err
	}
	t.reads.note(listed(dir, entries))
	list := make([]fs.DirEntry, len(entries))
	for i, e := range entries {
		list[i] = dirEntry{entry: e, tree: t}
	}
	return list, nil
}

// openFile is a file that was read whole.
type openFile struct {
	info info
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

// openDir is an [fs.ReadDirFile].
type openDir struct {
	info    info
	entries []fs.DirEntry // that were not read yet
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	read := d.entries[:n]
	d.entries = d.entries[n:]
	return read, nil
}
