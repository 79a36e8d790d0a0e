package render

import (
	"errors"
	"io/fs"
	"path"
	"slices"
)

// host answers the child's questions about one tree.
type host struct {
	tree  fs.FS
	made  harvest
	errs  map[string]error // of the tree by name, but for files that do not exist
	ahead int64            // bytes that may still be sent unasked
	files int              // that may be
}

const (
	sentAhead      = 16 << 20  // bytes, in one job
	sentAheadFiles = 10_000    // no build reads more, and nothing interrupts the reading of a huge directory
	sentAheadEach  = 256 << 10 // bytes of a file; a bigger one is asked for
)

func newHost(tree fs.FS) *host {
	return &host{tree: tree, errs: map[string]error{}, ahead: sentAhead, files: sentAheadFiles}
}

// job is what the child gets to begin with: what it asks for first, if it is there.
func (h *host) job(j job) (job, [][]byte) {
	a, parts := h.answer(message{Op: opStat, Name: path.Clean(j.Dir)})
	if !a.Listed {
		return j, nil
	}
	j.Ahead = a
	return j, parts
}

func (h *host) answer(m message) (answer, [][]byte) {
	var a answer
	var parts [][]byte
	var err error
	switch m.Op {
	case opStat:
		var i fs.FileInfo
		if i, err = fs.Stat(h.tree, m.Name); err == nil {
			a, parts = h.stat(m.Name, i)
		}
	case opRead:
		var content []byte
		content, err = fs.ReadFile(h.tree, m.Name)
		parts = [][]byte{content}
		h.made.sent(m.Name, int64(len(content)))
	case opList:
		var entries []fs.DirEntry
		if entries, err = fs.ReadDir(h.tree, m.Name); err == nil {
			a, parts = h.list(m.Name, entries)
		}
	default:
		err = errors.ErrUnsupported
	}
	switch missing := told(m.Name, err); {
	case errors.Is(missing, fs.ErrNotExist):
		return answer{Missing: true}, nil
	case err != nil:
		h.errs[m.Name] = err
		return answer{Err: unreadable("", err).Detail}, nil
	}
	return a, parts
}

// stat answers with what is asked for next, too: a file's content, a directory's list.
func (h *host) stat(name string, i fs.FileInfo) (answer, [][]byte) {
	if i.IsDir() {
		if entries, err := fs.ReadDir(h.tree, name); err == nil {
			return h.list(name, entries)
		}
	}
	told := info{Base: i.Name(), Bytes: i.Size(), Kind: i.Mode()}
	parts := h.send(nil, name, &told)
	return answer{Infos: []info{told}}, parts
}

// list is a directory's entries, and the content of those that a build of it is sure to read next. What else a
// kustomization uses is sent when it is asked whether it is there: the tree may keep account of what is read.
func (h *host) list(dir string, entries []fs.DirEntry) (answer, [][]byte) {
	isKustomization := func(e fs.DirEntry) bool { return slices.Contains(kustomizationNames, e.Name()) }
	next, plain := isObjects, true
	if slices.ContainsFunc(entries, isKustomization) {
		next, plain = isKustomization, false
	}
	infos := make([]info, len(entries))
	var parts [][]byte
	for i, e := range entries {
		infos[i] = info{Base: e.Name(), Kind: e.Type()}
		if !next(e) || h.files <= 0 {
			continue
		}
		name := path.Join(dir, e.Name())
		if plain {
			if before := h.made.offer(name, e); len(before.known) > 0 {
				infos[i].Known, infos[i].Bytes = before.known, before.bytes
				continue
			}
		}
		if details, err := e.Info(); err == nil {
			sent := infos[i]
			sent.Bytes = details.Size()
			parts = h.send(parts, name, &sent)
			if sent.Sent {
				infos[i] = sent
			}
		}
	}
	return answer{Infos: infos, Listed: true}, parts
}

// send adds the content of a small file to an answer. One that cannot be read is left to be asked for.
func (h *host) send(parts [][]byte, name string, i *info) [][]byte {
	if !i.Kind.IsRegular() || i.Bytes > min(sentAheadEach, h.ahead) || h.files <= 0 {
		return parts
	}
	h.files--
	content, err := fs.ReadFile(h.tree, name)
	if err != nil {
		return parts
	}
	i.Sent, i.Bytes = true, int64(len(content))
	h.made.sent(name, i.Bytes)
	h.ahead -= i.Bytes
	return append(parts, content)
}
