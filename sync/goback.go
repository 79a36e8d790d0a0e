package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// byHand is the reason of a release that people have taken back.
const byHand = "RolledBackByHand"

// goBack begins the rollback that people ask for: the newest release is held, with who and why, and an earlier one is
// put back as after a failed health check. A request that cannot be carried out is told and dropped.
func (s *Syncer) goBack(ctx context.Context, want Want, out *Outcome) error {
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	request := *want.Rollback
	if wasAnswered(records, request) {
		out.GoneBack = true
		return nil
	}
	to, err := Target(records, request.To)
	if err == nil && strings.TrimSpace(request.Reason) == "" {
		err = errors.New("a rollback needs a reason: belay rollback SYNC --reason TEXT")
	}
	if err == nil {
		if _, err = s.Journal.Load(ctx, to.Number); err != nil && !problemOf(err).isOfJournal() {
			return err
		}
	}
	if err != nil {
		out.GoneBack = true
		out.Events = append(out.Events, warning("RollbackRefused", "%s", err))
		return nil
	}
	state := StateOf(records)
	moved, err := s.movedTags(ctx, state, to.Number)
	if err != nil {
		return err
	}
	record := *state.Newest
	record.Outcome = takenBack(state, to, request)
	record.Outcome.Options, record.Outcome.Suspects = optionsOf(want.Spec), moved
	if err := s.Journal.Mark(ctx, record.Number, record.Outcome); err != nil {
		return err
	}
	s.memory.written, s.memory.course, s.memory.progress, s.memory.disposition = 0, course{}, progress{}, Hold
	s.memory.hooks = hooking{}
	if to.Number == record.Number {
		s.memory.built = input{} // Git may want just that
	}
	out.GoneBack = true
	out.Events = append(out.Events, warning(byHand, "release %d of commit %s is held, going back to release %d: %s",
		record.Number, describe(record.Commit), to.Number, record.Outcome.Message))
	return nil
}

// movedTags are the suspects of a rollback by hand: those of the release that runs, and those that there were before. A
// release that cannot be read may be gone back from all the same.
func (s *Syncer) movedTags(ctx context.Context, state State, to int) (manifests.Pins, error) {
	moved, err := s.suspects(ctx, cmp.Or(state.Running(), state.Newest).Number, to)
	if err != nil && !problemOf(err).isOfJournal() {
		return nil, err
	}
	if before := state.Newest.Outcome.Suspects; len(before) > 0 {
		merged := manifests.Pins{}
		maps.Copy(merged, moved)
		maps.Copy(merged, before)
		return merged, nil
	}
	return moved, nil
}

// takenBack is what becomes of the newest release as people go back to another. What is known of it from an earlier
// rollback goes on to count.
func takenBack(state State, to manifests.Record, request v1alpha1.RollbackRequest) manifests.Outcome {
	before := state.Newest.Outcome
	outcome := manifests.Outcome{
		Result:  manifests.RollingBack,
		Reason:  byHand,
		Message: shorten("taken back by " + cmp.Or(request.By, "hand") + ": " + request.Reason),
		Took:    before.Took,
		Healthy: before.WasKept(),
		To:      to.Number,
		Request: request.At,
		Thawed:  before.Thawed,

		Unhealthy: wentBackByItself(*state.Newest),
	}
	if running := state.Running(); before.Result.WentBack() && running != nil {
		if !before.Pruned {
			outcome.Past = before.Past
		}
		outcome.Past = append(slices.Clone(outcome.Past), running.Number)
		outcome.Left = append(slices.Clone(before.Left), running.Objects)
	}
	return outcome
}

// wasAnswered tells whether a request was carried out already: the agent may have been killed before it could say so.
func wasAnswered(records []manifests.Record, request v1alpha1.RollbackRequest) bool {
	return slices.ContainsFunc(records, func(r manifests.Record) bool { return r.Outcome.Request == request.At })
}

// Target is the release to go back to: the one that is asked for or, with 0, the newest healthy one before what runs. It
// takes the records as they are meant, see [Settled].
func Target(records []manifests.Record, to int) (manifests.Record, error) {
	running := 0
	if r := StateOf(records).Running(); r != nil {
		running = r.Number
	}
	if running == 0 && to == 0 && len(records) > 0 {
		return manifests.Record{}, errors.New("the release that runs is not stored any more: choose one with --to")
	}
	healthy := slices.DeleteFunc(slices.Clone(records), func(r manifests.Record) bool { return r.Number == running || !r.Outcome.WasKept() })
	if len(healthy) == 0 {
		return manifests.Record{}, errors.New("no release to go back to: none but the one that runs was healthy and is stored")
	}
	if to == 0 {
		for _, r := range slices.Backward(healthy) {
			if r.Number < running {
				return r, nil
			}
		}
		return manifests.Record{}, fmt.Errorf("release %d runs, and no healthy one before it is stored; those to go back to are %s", running, manifests.Numbers(healthy))
	}
	named := find(records, to)
	switch {
	case named == nil:
		return manifests.Record{}, fmt.Errorf("release %d is not stored; those to go back to are %s", to, manifests.Numbers(healthy))
	case to == running:
		return manifests.Record{}, fmt.Errorf("release %d runs already; those to go back to are %s", to, manifests.Numbers(healthy))
	case !named.Outcome.WasKept():
		return manifests.Record{}, fmt.Errorf("release %d was not healthy (%s); those to go back to are %s",
			to, cmp.Or(named.Outcome.Reason, string(named.Outcome.Result)), manifests.Numbers(healthy))
	}
	return *named, nil
}
