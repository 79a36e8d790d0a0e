// Package sync is belay's verb: it takes a Sync from the commit that Git wants to a release that is kept, or back.
//
//	commit ─▶ tree ─▶ objects ─▶ pinned objects ─▶ plan ─▶ applied ─▶ judged ─▶ kept | rolled back
//
// [Syncer.Sync] is one pass. It never sleeps: it computes from the journal and from live state how far things are,
// does what can be done now, and says when it wants to be called again; watches call it sooner. What decides is
// in pure functions: what is new or held ([State.Dispose]), what is written and deleted when (plan), and what
// makes a release good (judge). The outside world is behind the interfaces in this package.
package sync

import (
	"context"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Syncer carries one Sync's passes. It is made for one goroutine at a time. All that it remembers between two
// passes may be lost: it saves work, and the journal holds what counts.
type Syncer struct {
	Namespace, Name string

	Source   Source
	Renderer Renderer
	Resolver Resolver
	Cluster  Cluster
	Journal  Journal
	Clock    Clock

	memory memory
}

// Want is what a pass is asked for.
type Want struct {
	Spec v1alpha1.Spec
	// Poll asks for a look at the remote although the interval has not passed.
	Poll bool
	// Retry asks for another try of a held release; RetryAt tells one such request from the next.
	Retry   bool
	RetryAt string
	// Drifted says that somebody changed or deleted an owned object.
	Drifted bool
}

// memory is what a restart may lose.
type memory struct {
	head   string    // where the ref was at the last look
	polled time.Time // when that was
	failed failures  // of looking and building

	built       input // what was built last
	disposition Disposition
	refused     *Problem // why built could not be deployed
	commit      manifests.Commit

	written      int       // the release whose objects this process has seen in the cluster; negative when by rollback
	watched      int       // the release, likewise, that since and healthySince are about
	since        time.Time // when it was written
	healthySince time.Time // since when all of it is healthy; zero when not
	settling     failures  // of writing, reading and deleting

	listed listing
}

// listing is what passes at rest need of a release.
type listing struct {
	number int
	ids    []manifests.ID
	pins   manifests.Pins
}

// input is all that a release is built from, but for what tags point to.
type input struct{ commit, options, retryAt string }

// Sync is one pass: first whatever is new goes as far as the cluster, then what is there is judged.
func (s *Syncer) Sync(ctx context.Context, want Want) Outcome {
	if want.Spec.Suspend {
		return s.report(ctx, want, Outcome{Suspended: true})
	}
	state, err := s.recall(ctx)
	if err != nil {
		return s.report(ctx, want, Outcome{Problem: s.memory.settling.add(err, s.Clock())})
	}
	var out Outcome
	if !state.RollingBack() {
		out.Events, out.Problem = s.advance(ctx, want, state)
	}
	verdict, err := s.settle(ctx, want, &out)
	if err != nil {
		out.Problem = s.memory.settling.add(err, s.Clock())
	} else {
		s.memory.settling = failures{}
	}
	out.Verdict = verdict
	return s.report(ctx, want, out)
}

// advance takes a new commit, or the same under a new spec, all the way to applied objects.
func (s *Syncer) advance(ctx context.Context, want Want, state State) ([]Event, *Problem) {
	now := s.Clock()
	if s.memory.failed.waiting(now) && !want.Poll && !want.Retry {
		return nil, s.memory.failed.last
	}
	if err := s.look(ctx, want); err != nil {
		return nil, s.memory.failed.add(err, now)
	}
	in := input{commit: s.memory.head, options: optionsOf(want.Spec), retryAt: want.RetryAt}
	if in == s.memory.built {
		s.memory.failed = failures{}
		return nil, s.memory.refused
	}
	events, err := s.deploy(ctx, want, in, state)
	if err == nil {
		s.memory.built, s.memory.refused, s.memory.failed = in, nil, failures{}
		return events, nil
	}
	problem := problemOf(err)
	if problem.Temporary {
		return events, s.memory.failed.add(err, now)
	}
	problem.Message = shorten("commit " + short(in.commit) + ": " + problem.Message)
	s.memory.built, s.memory.refused, s.memory.failed = in, &problem, failures{}
	return append(events, warning(problem.Reason, "%s", problem.Message)), &problem
}

// look asks the remote where the ref is, if it is time to.
func (s *Syncer) look(ctx context.Context, want Want) error {
	due := s.memory.polled.Add(want.Spec.Source.Interval.Duration)
	if s.memory.head != "" && !want.Poll && s.Clock().Before(due) {
		return nil
	}
	head, err := s.Source.Head(ctx)
	if err != nil {
		return err
	}
	if head != s.memory.head {
		s.memory.commit = manifests.Commit{Hash: head}
	}
	s.memory.head, s.memory.polled = head, s.Clock()
	return nil
}

// deploy builds the release that in asks for and, where it is new, applies it.
func (s *Syncer) deploy(ctx context.Context, want Want, in input, state State) ([]Event, error) {
	release, err := s.build(ctx, want, in, state)
	if err != nil {
		return nil, err
	}
	s.memory.disposition = state.Dispose(release.Objects.Digest(), in.options, want.Retry)
	switch s.memory.disposition {
	case Start:
		return s.start(ctx, want, release, state)
	case Rest:
		s.memory.written = 0 // look once whether the cluster really is there
	}
	return nil, nil
}

// start tries the release on the server, stores it, and only then writes its objects.
func (s *Syncer) start(ctx context.Context, want Want, release manifests.Release, state State) ([]Event, error) {
	owned, err := s.owned(ctx, state)
	if err != nil {
		return nil, err
	}
	release.Owned = manifests.Without(owned, release.Objects.IDs())
	if state.Newest != nil {
		release.Number = state.Newest.Number
	}
	release.Number++
	differing, err := s.Cluster.Differing(ctx, release.Objects)
	if err != nil {
		return nil, err
	}
	if err := s.Journal.Store(ctx, release, want.Spec.Rollback.Keep); err != nil {
		return nil, err
	}
	events := []Event{normal("ReleaseStarted", "release %d of commit %s: %d objects, %d of them to write",
		release.Number, describe(release.Commit), release.Objects.Len(), len(differing))}
	// The release is stored: whatever stops the writing from here on, settle takes it up again.
	if err := s.apply(ctx, release, differing); err == nil {
		s.memory.written = release.Number
	}
	return events, nil
}

// apply writes tier after tier.
func (s *Syncer) apply(ctx context.Context, release manifests.Release, differing []manifests.Object) error {
	for _, objects := range plan(release, differing).Tiers {
		if err := s.Cluster.Apply(ctx, objects); err != nil {
			return err
		}
	}
	return nil
}

func (s *Syncer) recall(ctx context.Context) (State, error) {
	records, err := s.Journal.Records(ctx)
	return stateOf(settled(records)), err
}
