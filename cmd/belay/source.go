package main

import (
	"context"
	"io/fs"
	gosync "sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
	"github.com/belay-gitops/belay/sync/git"
)

// source is where one Sync takes its commits from: a remote that others may follow as well. It knows what the Sync has read,
// and so which commits it need not be called for.
type source struct {
	name    types.NamespacedName
	sources *sources

	mu          gosync.Mutex
	remote      *upstream // nil while the Sync follows nothing
	interval    time.Duration
	busy        bool       // there is a pass, which finds out by itself what is new
	failed      bool       // the last look did, which is told
	begun       time.Time  // when the poll began that answered the last look
	reads       *git.Reads // of the tree that was built last
	indifferent bool       // see [sync.Outcome]
	wanted      string     // the commit that the status tells as wanted
	concluded   string     // the commit of the ref that conclusions were drawn from; empty while there are none
}

// begin prepares for a pass under a spec.
func (s *source) begin(spec v1alpha1.Source) {
	remote := s.sources.follow(s, spec)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.remote != remote || s.interval != spec.Interval.Duration {
		s.sources.nudge() // it may be due sooner now
	}
	s.remote, s.interval, s.busy = remote, spec.Interval.Duration, true
}

// end notes what came of a pass, and tells those who wait for it.
func (s *source) end(out sync.Outcome) {
	s.mu.Lock()
	s.busy, s.indifferent, s.wanted, s.concluded = false, out.Indifferent, out.Wanted.Hash, ""
	if out.Decided || out.Undecided != nil && hasAim(out.Undecided.Reason) {
		s.concluded = out.Latest
	}
	remote, begun, concluded, wanted := s.remote, s.begun, s.concluded, s.wanted
	s.mu.Unlock()
	if concluded == "" || remote == nil {
		return
	}
	if out.Decided && concluded != wanted {
		s.sources.cluster.Passed(s.name, wanted, concluded)
	}
	if a := remote.last(); a.err == nil && a.head == concluded { // polled again since
		begun = a.begun
	}
	s.sources.cluster.Looked(begun, s.name)
}

// hasAim tells that a wait for others is one with a known aim; a prune that waits says nothing of the newest commit.
func hasAim(reason string) bool {
	return reason == cluster.HandOverPending || reason == sync.DependencyNotReady
}

// leave follows nothing any more.
func (s *source) leave() {
	s.mu.Lock()
	s.remote, s.reads, s.busy, s.concluded = nil, nil, false, ""
	s.mu.Unlock()
	s.sources.leave(s)
}

// Head implements [sync.Source].
func (s *source) Head(ctx context.Context, since time.Time) (string, time.Time, error) {
	a, err := s.remote.look(ctx, since)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err != nil
	if err != nil {
		return "", time.Time{}, err
	}
	s.begun = a.begun
	return a.head, a.seen, nil
}

// Commit implements [sync.Source].
func (s *source) Commit(ctx context.Context, hash string) (manifests.Commit, error) {
	repository, err := s.remote.open(ctx)
	if err != nil {
		return manifests.Commit{}, err
	}
	commit, err := repository.Commit(ctx, hash)
	return manifests.Commit{Hash: commit.Hash, Author: commit.Author, Subject: commit.Subject}, s.remote.checked(err)
}

// Tree implements [sync.Source].
func (s *source) Tree(ctx context.Context, hash string) (fs.FS, error) {
	repository, err := s.remote.open(ctx)
	if err != nil {
		return nil, err
	}
	reads := &git.Reads{}
	tree, err := repository.Record(ctx, hash, reads)
	s.mu.Lock()
	s.reads = reads
	s.mu.Unlock()
	return tree, s.remote.checked(err)
}

// Unchanged implements [sync.Source].
func (s *source) Unchanged(ctx context.Context, commit string) bool {
	s.mu.Lock()
	remote, reads := s.remote, s.reads
	s.mu.Unlock()
	return unchanged(ctx, remote, reads, commit)
}

// unchanged may fetch the commit, so nobody who calls it may hold a lock.
func unchanged(ctx context.Context, remote *upstream, reads *git.Reads, commit string) bool {
	repository := remote.opened()
	if repository == nil || reads.Empty() {
		return false
	}
	same, err := repository.Unchanged(ctx, reads, commit)
	return err == nil && same
}

// concern is what a commit of its ref is to a Sync.
type concern int

const (
	concerned concern = iota // it needs a pass
	aware                    // it has drawn its conclusions from the commit
	passing                  // it has none to draw: nothing changes for it
)

// consider tells what an answer of the remote is to the Sync, and since which commit there is nothing new for it. Where the
// commit could not be fetched, whoever has not seen it is concerned.
func (s *source) consider(ctx context.Context, a answer, fetched bool) (concern, string) {
	s.mu.Lock()
	what, remote, reads := s.concernOf(a.head), s.remote, s.reads
	s.mu.Unlock()
	if what != passing {
		return what, ""
	}
	if !fetched || !unchanged(ctx, remote, reads, a.head) {
		return concerned, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if what = s.concernOf(a.head); what == passing && (s.remote != remote || s.reads != reads) {
		what = concerned // there was a pass meanwhile, which read something else
	}
	if what != passing {
		return what, ""
	}
	s.concluded = a.head
	return passing, s.wanted
}

// concernOf is what a commit is to the Sync if nothing of what it reads differs there; the caller holds the lock.
func (s *source) concernOf(head string) concern {
	switch {
	case s.busy || s.failed || s.remote == nil:
		return concerned
	case s.concluded == head:
		return aware
	case s.indifferent:
		return passing
	}
	return concerned
}

// idle tells that the Sync has drawn its conclusions from the newest commit that is known, so that it need not be passed
// to have looked: the remote is asked instead.
func (s *source) idle() (*upstream, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.remote == nil || s.concluded == "" {
		return nil, false
	}
	a := s.remote.last()
	return s.remote, a.err == nil && a.head == s.concluded
}
