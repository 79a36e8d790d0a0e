package render

import (
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
)

// readFiles is a tree that counts the files read.
type readFiles struct {
	fstest.MapFS
	files int
}

func (r *readFiles) ReadFile(name string) ([]byte, error) {
	r.files++
	return fs.ReadFile(r.MapFS, name)
}

func TestAHugeDirectoryIsNotReadAhead(t *testing.T) {
	tree := &readFiles{MapFS: fstest.MapFS{}}
	for i := range sentAheadFiles + 500 { // that take no bytes of what may be sent
		tree.MapFS[fmt.Sprintf("apps/%d.yaml", i)] = &fstest.MapFile{}
	}
	j, _ := newHost(tree).job(job{Dir: "apps"})
	if entries := len(j.Ahead.Infos); entries != len(tree.MapFS) {
		t.Errorf("it is told of %d entries, want %d", entries, len(tree.MapFS))
	}
	if tree.files > sentAheadFiles {
		t.Errorf("%d files are read before any is asked for, more than %d", tree.files, sentAheadFiles)
	}
}
