package cluster

import (
	"bytes"
	"slices"
	gosync "sync"

	"k8s.io/apimachinery/pkg/types"
)

// What of releases is kept in memory: a release of a few objects is a few hundred bytes compressed, so that a thousand
// Syncs have theirs at hand, and a few of very many objects do not take much.
const (
	largestShelved = 8 << 20
	shelfSize      = 32 << 20
)

// shelf is the compressed texts of releases that may have to be written again, of all Syncs. What does not fit is read
// from its Secrets again. A text is what was stored or read, under the checksum that it had then.
type shelf struct {
	mu    gosync.Mutex
	texts map[types.NamespacedName]map[int]shelved // by release
	size  int
}

// shelved is one release. The text is never modified.
type shelved struct {
	text     []byte
	checksum string
}

// put keeps a release, if there is room for it.
func (s *shelf) put(sync types.NamespacedName, number int, release shelved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(sync, func(n int) bool { return n == number })
	if len(release.text) > largestShelved || s.size+len(release.text) > shelfSize {
		return
	}
	if s.texts == nil {
		s.texts = map[types.NamespacedName]map[int]shelved{}
	}
	if s.texts[sync] == nil {
		s.texts[sync] = map[int]shelved{}
	}
	release.text = bytes.Clone(release.text) // it may be the beginning of something larger
	s.texts[sync][number] = release
	s.size += len(release.text)
}

// find answers a release that is kept.
func (s *shelf) find(sync types.NamespacedName, number int) (release shelved, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	release, found = s.texts[sync][number]
	return release, found
}

// keep forgets all releases of a Sync but those numbered.
func (s *shelf) keep(sync types.NamespacedName, numbers ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(sync, func(n int) bool { return !slices.Contains(numbers, n) })
}

func (s *shelf) drop(sync types.NamespacedName, is func(number int) bool) {
	for number, release := range s.texts[sync] {
		if is(number) {
			s.size -= len(release.text)
			delete(s.texts[sync], number)
		}
	}
	if len(s.texts[sync]) == 0 {
		delete(s.texts, sync)
	}
}
