package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	gosync "sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// sources are the remotes that Syncs follow. Those that follow the same ref of the same repository, with the same
// credentials, share one: it is polled once for all of them, and what it has is fetched once. Syncs are called for what is
// news to them, so that at rest there is no pass at all.
type sources struct {
	cluster   called
	secret    func(context.Context, types.NamespacedName) (map[string]string, error)
	allowHTTP bool
	cacheDir  string
	sightings sightings

	wake chan struct{} // has Start look at what is due

	mu      gosync.Mutex
	remotes map[access]*upstream
	syncs   map[types.NamespacedName]*source // that follow something
}

// called is who is told what is found out, as [cluster.Cluster].
type called interface {
	// Call has a Sync passed.
	Call(types.NamespacedName)
	// Looked says that Syncs have drawn their conclusions from what a poll brought that began then.
	Looked(begun time.Time, syncs ...types.NamespacedName)
	// Passed says that nothing that a Sync reads differs between two commits.
	Passed(sync types.NamespacedName, from, to string)
}

// access is what is followed, and how. Without credentials anybody may share what is fetched; a Secret is only for the Syncs
// of its namespace.
type access struct {
	followed
	namespace, secret string
}

func newSources(c called, flags agentFlags) *sources {
	return &sources{
		cluster: c, allowHTTP: flags.allowHTTP, cacheDir: filepath.Join(flags.cacheDir, "belay-git"),
		wake:    make(chan struct{}, 1),
		remotes: map[access]*upstream{}, syncs: map[types.NamespacedName]*source{},
	}
}

// follow is the remote of a Sync, as its spec has it. It leaves the one before.
func (s *sources) follow(by *source, spec v1alpha1.Source) *upstream {
	want := access{followed: followed{spec.URL, spec.Ref}}
	if spec.SecretRef != nil {
		want.namespace, want.secret = by.name.Namespace, spec.SecretRef.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.syncs[by.name] = by
	found := s.remotes[want]
	if found == nil {
		found = &upstream{sources: s, access: want, cacheDir: s.cacheOf(want), followers: map[*source]bool{}}
		s.remotes[want] = found
	}
	if found.followers[by] {
		return found // and no other: a Sync follows one at a time
	}
	for _, other := range s.remotes {
		if other.followers[by] {
			s.part(other, by)
		}
	}
	found.followers[by] = true
	return found
}

// cacheOf is a directory that says nothing of what is in it.
func (s *sources) cacheOf(a access) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{a.url, a.ref.Branch, a.ref.Tag, a.ref.Commit, a.namespace, a.secret}))
	return filepath.Join(s.cacheDir, hex.EncodeToString(sum[:16]))
}

func (s *sources) leave(by *source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.syncs[by.name] == by {
		delete(s.syncs, by.name)
	}
	for _, r := range s.remotes {
		if r.followers[by] {
			s.part(r, by)
		}
	}
}

// part takes a follower away; the caller holds the lock.
func (s *sources) part(r *upstream, by *source) {
	delete(r.followers, by)
	s.drop(r)
}

// drop removes a remote that nobody follows, and what was fetched of it; later, where it is in use. The caller holds the
// lock.
func (s *sources) drop(r *upstream) {
	if len(r.followers) > 0 || r.tended {
		return
	}
	delete(s.remotes, r.access)
	r.close()
	_ = os.RemoveAll(r.cacheDir) // a cache that stays takes room, no more
}

// refresh has the remotes of Syncs polled that have nothing else to do, and answers the others: they need a pass.
func (s *sources) refresh(names []types.NamespacedName) []types.NamespacedName {
	var rest []types.NamespacedName
	now := time.Now()
	for _, name := range names {
		s.mu.Lock()
		of := s.syncs[name]
		s.mu.Unlock()
		if of == nil {
			rest = append(rest, name)
			continue
		}
		if r, idle := of.idle(); idle {
			r.ask(now)
		} else {
			rest = append(rest, name)
		}
	}
	if len(rest) < len(names) {
		s.nudge()
	}
	return rest
}

func (s *sources) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// Start polls what is due, and tells what that brings, until ctx ends.
func (s *sources) Start(ctx context.Context) error {
	var work gosync.WaitGroup
	defer work.Wait()
	for {
		due, next := s.due(time.Now())
		for _, r := range due {
			work.Go(func() {
				r.tend(ctx)
				s.mu.Lock()
				r.tended = false
				s.drop(r)
				s.mu.Unlock()
				s.nudge()
			})
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// due takes the remotes that there is something to do for, and says when there is something next.
func (s *sources) due(now time.Time) (due []*upstream, next time.Duration) {
	next = time.Hour
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.remotes {
		if r.tended {
			continue
		}
		wait := r.wait(now, r.interval())
		if wait > 0 {
			next = min(next, wait)
			continue
		}
		r.tended = true
		due = append(due, r)
	}
	return due, next
}
