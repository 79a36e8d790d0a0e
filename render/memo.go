package render

import (
	"cmp"
	"io/fs"
	"slices"
	gosync "sync"

	"github.com/belay-gitops/belay/manifests"
)

// Memo is what the plain files of an application's last build held, by their names and contents, so that the next build
// parses none of them again that has not changed. What a kustomization makes of a file depends on others, and is not
// remembered; nor is a small application, which is rendered sooner than it is looked up.
//
// It takes a tree whose directories' entries are [Identified]. The zero Memo is ready. It is of one [Pool], which bounds
// what its memos hold together.
type Memo struct {
	AtLeast int // plain files that an application has to have to be remembered; 64 if zero

	files map[string]parsed // by name in the tree; nobody changes it
	bytes int64             // of their objects as JSON
}

// memos are those of a pool that hold something.
type memos struct {
	mu     gosync.Mutex
	recent []*Memo // the one that was used last is first
	bytes  int64   // of all
}

// of is what a memo holds, for a build to read.
func (m *memos) of(memo *Memo) map[string]parsed {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memo.files
}

// keep has a memo hold what came out of a build. Where all together come to hold more than they may, those that were not
// used for longest hold nothing any more.
func (m *memos) keep(memo *Memo, files map[string]parsed, most int64) {
	var bytes int64
	for _, file := range files {
		for _, k := range file.known {
			bytes += int64(k.Bytes)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(memo)
	if len(files) < cmp.Or(memo.AtLeast, 64) || bytes > most {
		return
	}
	for m.bytes+bytes > most {
		m.drop(m.recent[len(m.recent)-1])
	}
	memo.files, memo.bytes = files, bytes
	m.recent = slices.Insert(m.recent, 0, memo)
	m.bytes += bytes
}

// drop is called with the lock held.
func (m *memos) drop(memo *Memo) {
	m.bytes -= memo.bytes
	memo.files, memo.bytes = nil, 0
	m.recent = slices.DeleteFunc(m.recent, func(other *Memo) bool { return other == memo })
}

// Identified is a [fs.DirEntry] that tells two contents of a regular file apart without reading either.
type Identified interface {
	// Identity is another for another content. Who asks for it is taken for one who reads the file.
	Identity() string
}

// parsed is a plain file and what came out of it. Nobody changes it.
type parsed struct {
	identity string
	bytes    int64
	objects  []manifests.Object
	known    []known // of each of them
}

// known is what a child has to know of an object that it need not parse again.
type known struct {
	ID    manifests.ID
	Bytes int // as JSON
	Line  int // of its file
}

// harvest is what a child makes of one tree.
type harvest struct {
	remembers bool
	before    map[string]parsed
	offered   map[string]parsed // files that the child was told of, with their identities; those known with all that is known
	files     map[string]parsed // of which all objects are here

	objects []manifests.Object
	known   []known // of each of them
}

// remembering is a harvest that looks files up that were parsed before, and gathers all of this time.
func remembering(before map[string]parsed) harvest {
	return harvest{remembers: true, before: before, offered: map[string]parsed{}, files: map[string]parsed{}}
}

// offer notes a file that the child is about to be told of, and answers what was remembered of the same content.
func (h *harvest) offer(name string, e fs.DirEntry) parsed {
	identified, can := e.(Identified)
	if !h.remembers || !can || !e.Type().IsRegular() {
		return parsed{}
	}
	file := parsed{identity: identified.Identity()}
	if before := h.before[name]; before.identity == file.identity {
		file = before
	}
	h.offered[name] = file
	return file
}

// sent notes the size of a file whose content the child gets.
func (h *harvest) sent(name string, bytes int64) {
	if file, offered := h.offered[name]; offered {
		file.bytes = bytes
		h.offered[name] = file
	}
}

// object takes an object that the child tells.
func (h *harvest) object(o manifests.Object, bytes, line int) {
	h.objects = append(h.objects, o)
	if h.remembers {
		h.known = append(h.known, known{o.ID(), bytes, line})
	}
}

// parsed takes the end of a plain file, of whose objects so many were told just before; with none they are known.
func (h *harvest) parsed(name string, told int) {
	file, offered := h.offered[name]
	if !offered || told > len(h.objects) {
		return
	}
	if told > 0 {
		first := len(h.objects) - told
		file.objects, file.known = slices.Clone(h.objects[first:]), slices.Clone(h.known[first:])
	} else {
		h.objects, h.known = append(h.objects, file.objects...), append(h.known, file.known...)
	}
	h.files[name] = file
}
