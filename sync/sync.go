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
	"reflect"
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

	// Places are where custom resources name images, beside the built-in places and those of the spec.
	Places []manifests.Place
	// CheckImages is how often registries are asked whether they still have what stored releases need; 0 for never.
	CheckImages time.Duration

	memory memory
}

// memory is what a restart may lose.
type memory struct {
	head     string    // the newest commit of the ref that changed what this Sync reads
	latest   string    // where the ref was at the last look
	passed   string    // the newest commit since head that changed nothing of it
	polled   time.Time // when the last look was
	since    time.Time // when a look has to have begun to be one at the present source
	lookedBy string    // the options at the last look: another source has another head
	looking  failures
	sighting sighting // of commit

	tried       input     // what was built last, or tried to
	fresh       time.Time // since when what registries say counts for it
	building    failures
	built       input // what there is a decision on
	disposition Disposition
	waits       string   // for which other Sync, told; empty if for none
	asked       string   // for which of it that one was asked to look
	refused     *Problem // why built could not be deployed
	commit      manifests.Commit

	followed  time.Time // when the oldest was given of the answers on what the tags are
	following failures
	images    []manifests.Image // the tags that were resolved for built
	resolved  manifests.Pins    // what was resolved, and to what

	started  started  // the release under way, until people are told of it
	written  int      // the release whose objects this process has seen in the cluster; negative when by rollback
	course   course   // of the release that was written last
	vigil    vigil    // over the release that was kept last
	settling failures // of writing, reading and deleting
	progress progress // of writing, where waves wait
	hooks    hooking  // of the release under way, or of its rollback
	fights   fights   // with others, over the same fields
	removal  removal  // of a deleted Sync's objects

	suspended time.Time // since when the Sync is; zero if it is not

	listings []listing       // the last ones first
	listed   listing         // the one that was asked for last
	spec     v1alpha1.Images // what they were told under
	checking checking
}

// input is all that a release is built from, but for what tags point to.
type input struct {
	commit, options, retryAt, resolveAt string
	mayPrune                            bool // as much as it likes
	without                             string
}

// Sync is one pass: first whatever is new goes as far as the cluster, then what is there is judged.
func (s *Syncer) Sync(ctx context.Context, want Want) Outcome {
	if want.Drifted {
		s.memory.written, s.memory.progress = 0, progress{} // remembered until it is put right, whatever comes between
	}
	if want.Freed {
		s.memory.built, s.memory.building, s.memory.fresh = input{}, failures{}, s.Clock()
	}
	if want.Spec.Suspend {
		if s.memory.suspended.IsZero() {
			s.memory.suspended = s.Clock()
		}
		return s.report(ctx, want, Outcome{Suspended: true})
	}
	s.resume()
	if !reflect.DeepEqual(s.memory.spec, want.Spec.Images) { // which says why images are not pinned
		s.memory.listings, s.memory.listed, s.memory.spec = nil, listing{}, *want.Spec.Images.DeepCopy()
	}
	var out Outcome
	verdict, err := s.pass(ctx, want, &out)
	if err != nil {
		out.Problem = s.memory.settling.add(err, s.Clock())
	} else {
		s.memory.settling = failures{}
		s.checkImages(ctx, want, &out)
	}
	out.Verdict = verdict
	return s.report(ctx, want, out)
}

func (s *Syncer) pass(ctx context.Context, want Want, out *Outcome) (Verdict, error) {
	if want.Rollback != nil {
		if err := s.goBack(ctx, want, out); err != nil {
			return Verdict{Decision: Open}, err
		}
	}
	state, err := s.recall(ctx)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	if !state.RollingBack() {
		s.advance(ctx, want, state, out)
	}
	return s.settle(ctx, want, out)
}

// advance takes a new commit, or the same under a new spec, all the way to applied objects.
func (s *Syncer) advance(ctx context.Context, want Want, state State, out *Outcome) {
	out.Looked = true
	s.look(ctx, want, state)
	if s.memory.head == "" {
		out.Problem = s.memory.looking.last
		return
	}
	in := s.input(want)
	s.awake(ctx, want)
	if in == s.memory.built {
		s.follow(ctx, want)
	}
	if in != s.memory.tried {
		s.memory.fresh = s.memory.sighting.since(s.attempt(want, in, state))
		s.memory.tried, s.memory.building = in, failures{}
	}
	if in != s.memory.built && (want.Poll || !s.memory.building.waiting(s.Clock())) {
		s.memory.disposition = "" // there is no decision on it yet
		s.decide(in, s.deploy(ctx, want, in, state, out), out)
	}
	out.Decided = in == s.memory.built
	switch {
	case !out.Decided:
		out.Undecided = s.memory.building.last
		out.Problem = out.Undecided
	case s.memory.refused != nil:
		out.Problem = s.memory.refused
	case s.memory.looking.last != nil:
		out.Problem = s.memory.looking.last
	default:
		out.Problem = s.memory.following.problem()
	}
}

// input is what a release is to be built from now.
func (s *Syncer) input(want Want) input {
	return input{
		commit: s.memory.head, options: s.memory.lookedBy, retryAt: want.RetryAt, resolveAt: want.ResolveAt,
		mayPrune: want.AllowPrune == s.memory.head, without: want.Without,
	}
}

// attempt is that of in, which was not tried before.
func (s *Syncer) attempt(want Want, in input, state State) attempt {
	tried := s.memory.tried
	respecified := tried != (input{}) && tried.options != in.options
	a := attempt{now: s.Clock(), again: in.commit == tried.commit || respecified || want.Resolve || want.Retry}
	follows := want.Spec.Images.Resolve == v1alpha1.ResolveFollow
	if follows && tried == (input{}) && state.Newest != nil && state.Newest.Commit.Hash == in.commit {
		a.followed = s.interval(want)
	}
	return a
}

// decide notes what came of building in: it is deployed, refused, or to be tried again.
func (s *Syncer) decide(in input, err error, out *Outcome) {
	if err == nil {
		s.memory.built, s.memory.refused, s.memory.building = in, nil, failures{}
		return
	}
	problem := problemOf(err)
	if problem.Temporary || problem.isOfJournal() {
		s.memory.building.add(err, s.Clock())
		return
	}
	problem.Message = shorten("commit " + short(in.commit) + ": " + problem.Message)
	s.memory.built, s.memory.refused, s.memory.building = in, &problem, failures{}
	out.Events = append(out.Events, warning(problem.Reason, "%s", problem.Message))
}

// deploy builds the release that in asks for and, where it is new, applies it.
func (s *Syncer) deploy(ctx context.Context, want Want, in input, state State, out *Outcome) error {
	s.memory.waits = ""
	draft, err := s.build(ctx, want, in, state, out)
	if err != nil {
		return err
	}
	disposition, err := s.dispose(ctx, want, draft.Release, state, out)
	if err != nil {
		return err
	}
	switch disposition {
	case Start:
		if err := s.depend(ctx, want); err != nil {
			return err
		}
		if err := s.verify(ctx, want, draft); err != nil {
			return err
		}
		if err := s.start(ctx, want, in, draft.Release, state, out); err != nil {
			return err
		}
	case Rest:
		s.memory.written = 0 // look once whether the cluster really is there
	}
	s.memory.disposition = disposition
	return nil
}

// records are the releases as they are meant, see [Settled].
func (s *Syncer) records(ctx context.Context) ([]manifests.Record, error) {
	records, err := s.Journal.Records(ctx)
	return Settled(records), err
}

func (s *Syncer) recall(ctx context.Context) (State, error) {
	records, err := s.records(ctx)
	return StateOf(records), err
}
