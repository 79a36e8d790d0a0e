package registry

import (
	queue "container/list"
	"context"
	"sync"
)

// lookup is what all callers know, by key. One caller at a time asks for an answer; those who want the same meanwhile
// wait, as long as their ctx lets them, and take it. The oldest answers are dropped to make room.
type lookup[K comparable, V any] struct {
	limit int

	mu     sync.Mutex
	places map[K]*queue.Element // of *place[K, V]
	age    *queue.List          // the oldest first
}

// place is where the answer for a key is, or is going to be.
type place[K comparable, V any] struct {
	key    K
	turn   chan struct{} // full while somebody asks
	users  int           // who ask or wait
	answer V
	known  bool
}

func newLookup[K comparable, V any](limit int) *lookup[K, V] {
	return &lookup[K, V]{limit: limit, places: map[K]*queue.Element{}, age: queue.New()}
}

// do returns the answer for key if there is one and it is good, and else asks for it. An error is the asker's own: who
// waited asks for himself.
func (s *lookup[K, V]) do(ctx context.Context, key K, good func(V) bool, ask func() (V, error)) (V, error) {
	var none V
	p := s.enter(key)
	defer s.leave(p)
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	if answer, known := s.get(key); known && good(answer) {
		return answer, nil
	}
	answer, err := ask()
	if err != nil {
		return none, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.answer, p.known = answer, true
	s.age.MoveToBack(s.places[key])
	return answer, nil
}

func (s *lookup[K, V]) get(key K) (answer V, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.places[key]; ok {
		p := e.Value.(*place[K, V])
		return p.answer, p.known
	}
	return answer, false
}

// forget drops the answer for key, but for the callers that have it already.
func (s *lookup[K, V]) forget(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.places[key]; ok {
		p := e.Value.(*place[K, V])
		var none V
		p.answer, p.known = none, false
		s.leaveEmpty(p)
	}
}

func (s *lookup[K, V]) enter(key K) *place[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.places[key]
	if !ok {
		s.makeRoom()
		e = s.age.PushBack(&place[K, V]{key: key, turn: make(chan struct{}, 1)})
		s.places[key] = e
	}
	p := e.Value.(*place[K, V])
	p.users++
	return p
}

func (s *lookup[K, V]) leave(p *place[K, V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.users--
	s.leaveEmpty(p)
}

// leaveEmpty drops a place that nobody is at and that has no answer.
func (s *lookup[K, V]) leaveEmpty(p *place[K, V]) {
	if p.users == 0 && !p.known {
		s.age.Remove(s.places[p.key])
		delete(s.places, p.key)
	}
}

// makeRoom drops the oldest place that nobody is at.
func (s *lookup[K, V]) makeRoom() {
	if len(s.places) < s.limit {
		return
	}
	for e := s.age.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*place[K, V]); p.users == 0 {
			s.age.Remove(e)
			delete(s.places, p.key)
			return
		}
	}
}
