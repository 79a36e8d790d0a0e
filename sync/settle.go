package sync

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// settle judges what is in the cluster, and sees to it that it is there. It reads the journal again, for advance
// may have started a release.
func (s *Syncer) settle(ctx context.Context, want Want, out *Outcome) (Verdict, error) {
	state, err := s.recall(ctx)
	if err != nil || state.Newest == nil {
		return Verdict{Decision: Open}, err
	}
	if state.Running() == nil {
		return Verdict{Decision: Open}, refusal{"ReleaseLost",
			fmt.Sprintf("release %d was rolled back, and the release to go back to is not stored any more; commit something to make a new one", state.Newest.Number)}
	}
	switch state.Newest.Outcome.Result {
	case manifests.Applying:
		return s.watch(ctx, want, state, out)
	case manifests.Failed:
		return s.hope(ctx, want, state, out)
	case manifests.RollingBack:
		return s.rollBack(ctx, want, state, out)
	case manifests.RollbackFailed:
		return s.observe(ctx, want, *state.Kept, state.Kept.Number, out)
	}
	return s.rest(ctx, want, state, out)
}

// watch judges a release under way, and ends it as kept or refused.
func (s *Syncer) watch(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record := *state.Newest
	verdict, err := s.carry(ctx, want, record, record.Number, out)
	if err != nil {
		return verdict, err
	}
	switch verdict.Decision {
	case Good:
		return verdict, s.keep(ctx, want, record, out)
	case Bad:
		return s.refuse(ctx, want, state, verdict, out)
	}
	return verdict, nil
}

// carry writes a release's stored objects if that is not done yet, judges them, and has the pods follow. An error
// leaves the question open, but one that is about an object is a verdict: at once if trying again cannot help, and
// otherwise when the time is over.
func (s *Syncer) carry(ctx context.Context, want Want, record manifests.Record, as int, out *Outcome) (Verdict, error) {
	if s.memory.watched != as {
		s.begin(as)
	}
	verdict, err := s.runHooks(ctx, want, manifests.HookBefore, record, as)
	if err != nil {
		return s.lasting(want, err)
	}
	if verdict.Decision != Good {
		return verdict, nil
	}
	if _, err := s.write(ctx, want, record, as); err != nil {
		return s.unwritten(ctx, want, record, as, out, err)
	}
	verdict, err = s.observe(ctx, want, record, as, out)
	if err == nil && verdict.Decision == Open {
		err = s.Cluster.ReplacePods(ctx, s.memory.listed.ids, as < 0)
	}
	if err == nil && verdict.Decision == Good {
		verdict, err = s.runHooks(ctx, want, manifests.HookAfter, record, as)
	}
	if err != nil {
		return s.lasting(want, err)
	}
	return verdict, nil
}

// unwritten is the verdict while not all of a release can be written. What is there may be bad already: where the backend of
// a webhook crashes, what that webhook refuses is not waited for.
func (s *Syncer) unwritten(ctx context.Context, want Want, record manifests.Record, as int, out *Outcome, err error) (Verdict, error) {
	if len(s.memory.progress.putOff.tiers) > 0 {
		if verdict, unseen := s.observe(ctx, want, record, as, out); unseen == nil && verdict.Decision == Bad && verdict.Reason != "TimedOut" {
			return verdict, nil
		}
	}
	return s.lasting(want, err)
}

// outages are the reasons of errors that say nothing of a release: nobody is rolled back for them.
var outages = []string{"ClusterUnavailable", "WatchFailed", "Error"}

// lasting tells an error that decides on a release from one that leaves it open.
func (s *Syncer) lasting(want Want, err error) (Verdict, error) {
	problem := problemOf(err)
	left := want.Spec.Health.Timeout.Duration - s.memory.hooks.waited(s.memory.since, s.Clock())
	switch {
	case problem.isOfJournal():
		return Verdict{Decision: Open}, err
	case !problem.Temporary:
		return Verdict{Decision: Bad, Reason: problem.Reason, Message: problem.Message}, nil
	case slices.Contains(outages, problem.Reason) || left > 0:
		return Verdict{Decision: Open, Wait: max(left, 0)}, err
	}
	return Verdict{Decision: Bad, Reason: problem.Reason,
		Message: fmt.Sprintf("not applied within %s: %s", want.Spec.Health.Timeout.Duration, problem.Message)}, nil
}

// hope keeps an eye on a refused release that there was nothing to go back from: what becomes healthy late is kept
// all the same, if all of it is really there.
func (s *Syncer) hope(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record := *state.Newest
	if barred, err := s.barred(ctx, record); err != nil || barred {
		return Verdict{Decision: Bad, Reason: record.Outcome.Reason, Message: record.Outcome.Message}, err
	}
	if _, err := s.write(ctx, want, record, record.Number); err != nil {
		return Verdict{Decision: Open}, err
	}
	verdict, err := s.observe(ctx, want, record, record.Number, out)
	if err == nil && verdict.Decision == Good && record.Outcome.Reason == hookFailed {
		return Verdict{Decision: Bad, Reason: record.Outcome.Reason, Message: record.Outcome.Message}, nil
	}
	if err == nil && verdict.Decision == Good {
		verdict, err = s.runHooks(ctx, want, manifests.HookAfter, record, record.Number)
	}
	if err == nil && verdict.Decision == Good {
		err = s.keep(ctx, want, record, out)
	}
	return verdict, err
}

// rest is where a Sync is nearly all of the time: the kept release runs. Drift is put right, and what could not
// be pruned before is tried again.
func (s *Syncer) rest(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record := *state.Running()
	corrected, err := s.write(ctx, want, record, record.Number)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	if len(corrected) > 0 {
		out.Events = append(out.Events, normal("DriftCorrected", "put back as release %d has it: %s",
			record.Number, manifests.Names(corrected, 5)))
	}
	verdict, err := s.observe(ctx, want, record, record.Number, out)
	if err == nil && !state.Newest.Outcome.Pruned {
		err = s.prune(ctx, want, state.Newest, record.Number, out)
	}
	if err == nil {
		err = s.memory.fights.problem(s.Name, s.Namespace)
	}
	return verdict, err
}

// begin starts the time in which a release has to become healthy.
func (s *Syncer) begin(as int) {
	now := s.Clock()
	s.memory.watched, s.memory.since, s.memory.healthySince = as, now, now
	s.memory.fights = fights{}
}

// observe asks how the objects of a release are, and judges them: closely, with the pods behind them, unless the release
// is settled.
func (s *Syncer) observe(ctx context.Context, want Want, record manifests.Record, as int, out *Outcome) (Verdict, error) {
	listed, err := s.list(ctx, record.Number)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	wasKept := record.Outcome.WasKept()
	expected := listed.expected(wasKept)
	// Hooks are asked for as well, since pods are watched in the namespaces of what is.
	reports, err := s.Cluster.Health(ctx, slices.Concat(expected, s.memory.hooks.running), as < 0 || !wasKept)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	reports = reports[:len(expected)]
	out.Reports = reports
	if s.memory.watched != as {
		s.begin(as)
	}
	now := s.Clock()
	if !allHealthy(reports) {
		s.memory.healthySince = now
	}
	begun := s.memory.progress.begun(as, listed, reports)
	if p := s.memory.progress; p.waiting && p.release == as && allHealthy(begun) {
		return Verdict{Decision: Open, Reason: "Progressing", Message: "the next wave comes now", Wait: time.Millisecond}, nil
	}
	return judge(begun, s.memory.hooks.waited(s.memory.since, now), now.Sub(s.memory.healthySince), patience{
		timeout:   want.Spec.Health.Timeout.Duration,
		stableFor: want.Spec.Health.StableFor.Duration,
	}), nil
}
