package render

import (
	"errors"
	"io/fs"
	"path"
	"runtime/debug"
)

// remoteTree asks the parent for what is read, when it is read: a repository may be big. What the parent sent before it
// was asked is kept, so that few questions are left. It is for one goroutine and one job.
type remoteTree struct {
	parent *pipe
	err    error // of the pipe
	bytes  int   // that the parent sent for this job

	infos    map[string]info // by name in the tree
	lists    map[string][]fs.DirEntry
	contents map[string][]byte
}

func newRemoteTree(parent *pipe, j job, body []byte) *remoteTree {
	t := &remoteTree{parent: parent, infos: map[string]info{}, lists: map[string][]fs.DirEntry{}, contents: map[string][]byte{}}
	t.received(body)
	if j.Ahead.Listed {
		t.listed(path.Clean(j.Dir), j.Ahead, body)
	}
	return t
}

func (t *remoteTree) ask(op operation, name string) (answer, []byte, error) {
	var a answer
	var body []byte
	if t.err == nil {
		t.err = t.parent.send(message{Op: op, Name: name})
	}
	if t.err == nil {
		t.err = t.parent.flush()
	}
	if t.err == nil {
		body, t.err = t.parent.receive(&a)
		t.received(body)
	}
	switch {
	case t.err != nil:
		return a, nil, t.err
	case a.Missing:
		return a, nil, missing(op, name)
	case a.Err != "":
		return a, nil, &fs.PathError{Op: string(op), Path: name, Err: errors.New(a.Err)}
	}
	return a, body, nil
}

// received counts. Collecting garbage is half of the work of a small build, which gets by with less of it.
func (t *remoteTree) received(body []byte) {
	before := t.big()
	t.bytes += len(body)
	if t.big() && !before {
		debug.SetGCPercent(carefulGC)
	}
}

// big tells a tree that leaves much garbage.
func (t *remoteTree) big() bool { return t.bytes > 1<<20 }

func missing(op operation, name string) error {
	return &fs.PathError{Op: string(op), Path: name, Err: fs.ErrNotExist}
}

// listed keeps a directory's list, and the files that came with it.
func (t *remoteTree) listed(dir string, a answer, body []byte) {
	t.infos[dir] = info{Base: path.Base(dir), Kind: fs.ModeDir}
	entries := make([]fs.DirEntry, len(a.Infos))
	for i, entry := range a.Infos {
		entries[i] = entry
		name := path.Join(dir, entry.Base)
		switch {
		case entry.Sent:
			t.infos[name], t.contents[name] = entry, body[:entry.Bytes:entry.Bytes]
			body = body[entry.Bytes:]
		case entry.IsDir(), len(entry.Known) > 0:
			t.infos[name] = entry
		}
	}
	t.lists[dir] = entries
}

// absent tells what cannot be there, since its directory's list is known.
func (t *remoteTree) absent(name string) bool {
	list, known := t.lists[path.Dir(name)]
	if !known || name == "." {
		return false
	}
	for _, entry := range list {
		if entry.Name() == path.Base(name) {
			return false
		}
	}
	return true
}

// known is the objects of a file that the parent has from before.
func (t *remoteTree) known(name string) []known { return t.infos[name].Known }

// ReadFile implements [fs.ReadFileFS].
func (t *remoteTree) ReadFile(name string) ([]byte, error) {
	if content, here := t.contents[name]; here {
		return content, nil
	}
	_, content, err := t.ask(opRead, name)
	return content, err
}

// Stat implements [fs.StatFS].
func (t *remoteTree) Stat(name string) (fs.FileInfo, error) {
	if known, here := t.infos[name]; here {
		return known, nil
	}
	if t.absent(name) {
		return nil, missing(opStat, name)
	}
	a, body, err := t.ask(opStat, name)
	if err != nil {
		return nil, err
	}
	if a.Listed {
		t.listed(name, a, body)
		return t.infos[name], nil
	}
	if t.infos[name] = a.Infos[0]; a.Infos[0].Sent {
		t.contents[name] = body
	}
	return a.Infos[0], nil
}

// ReadDir implements [fs.ReadDirFS].
func (t *remoteTree) ReadDir(name string) ([]fs.DirEntry, error) {
	if list, known := t.lists[name]; known {
		return list, nil
	}
	a, body, err := t.ask(opList, name)
	if err != nil {
		return nil, err
	}
	t.listed(name, a, body)
	return t.lists[name], nil
}

// Open makes remoteTree an [fs.FS]; a build uses the others.
func (t *remoteTree) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
}
