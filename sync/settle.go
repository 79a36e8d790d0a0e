package sync

import (
	"context"

	"github.com/belay-gitops/belay/manifests"
)

// settle judges what is in the cluster, and sees to it that it is there. It reads the journal again, for advance
// may have started a release.
func (s *Syncer) settle(ctx context.Context, want Want, out *Outcome) (Verdict, error) {
	state, err := s.recall(ctx)
	if err != nil || state.Newest == nil {
		return Verdict{Decision: Open}, err
	}
	switch state.Newest.Outcome.Result {
	case manifests.Applying:
		return s.watch(ctx, want, state, out)
	case manifests.Failed:
		return s.hope(ctx, want, state, out)
	case manifests.RollingBack:
		return s.rollBack(ctx, want, state, out)
	case manifests.RollbackFailed:
		return s.observe(ctx, want, *state.Kept, false, out)
	}
	return s.rest(ctx, want, state, out)
}

// watch judges a release under way, and ends it as kept or refused.
func (s *Syncer) watch(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record := *state.Newest
	if err := s.write(ctx, record.Number, record.Number, want.Drifted, nil); err != nil {
		if problem := problemOf(err); !problem.Temporary {
			return s.refuse(ctx, want, state, Verdict{Decision: Bad, Reason: problem.Reason, Message: problem.Message}, out)
		}
		return Verdict{Decision: Open}, err
	}
	verdict, err := s.observe(ctx, want, record, true, out)
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

// hope keeps an eye on a refused release that there was nothing to go back from: what becomes healthy late is kept
// all the same.
func (s *Syncer) hope(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	verdict, err := s.observe(ctx, want, *state.Newest, true, out)
	if err == nil && verdict.Decision == Good {
		err = s.keep(ctx, want, *state.Newest, out)
	}
	return verdict, err
}

// rest is where a Sync is nearly all of the time: the kept release runs. Drift is put right, and what could not
// be pruned before is tried again.
func (s *Syncer) rest(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record := *state.Running()
	var corrected []manifests.ID
	if err := s.write(ctx, record.Number, record.Number, want.Drifted, &corrected); err != nil {
		return Verdict{Decision: Open}, err
	}
	if len(corrected) > 0 {
		out.Events = append(out.Events, normal("DriftCorrected", "put back as release %d has it: %s",
			record.Number, manifests.Names(corrected, 5)))
	}
	if !state.Newest.Outcome.Pruned {
		if err := s.prune(ctx, want, state.Newest, record.Number); err != nil {
			return Verdict{Decision: Open}, err
		}
	}
	return s.observe(ctx, want, record, false, out)
}

// write sees to it that the stored objects of a release are in the cluster, once in this process and again after
// drift. As is the mark of having done so: the release's number, negative when it is written to roll back. The
// objects that differed are told in corrected.
func (s *Syncer) write(ctx context.Context, number, as int, drifted bool, corrected *[]manifests.ID) error {
	if s.memory.written == as && !drifted {
		return nil
	}
	release, err := s.Journal.Load(ctx, number)
	if err != nil {
		return err
	}
	differing, err := s.Cluster.Differing(ctx, release.Objects)
	if err != nil {
		return err
	}
	if err := s.apply(ctx, release, differing); err != nil {
		return err
	}
	s.memory.written = as
	if corrected != nil {
		for _, o := range differing {
			*corrected = append(*corrected, o.ID())
		}
	}
	return nil
}

// observe asks how the objects of a release are, and judges them.
func (s *Syncer) observe(ctx context.Context, want Want, record manifests.Record, closely bool, out *Outcome) (Verdict, error) {
	ids, err := s.idsOf(ctx, record.Number)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	reports, err := s.Cluster.Health(ctx, ids, closely)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	out.Reports = reports
	now := s.Clock()
	if s.memory.watched != s.memory.written || s.memory.since.IsZero() {
		s.memory.watched, s.memory.since = s.memory.written, now
		s.memory.healthySince = now
	}
	if !allHealthy(reports) {
		s.memory.healthySince = now
	}
	return judge(reports, now.Sub(s.memory.since), now.Sub(s.memory.healthySince), patience{
		timeout:   want.Spec.Health.Timeout.Duration,
		stableFor: want.Spec.Health.StableFor.Duration,
	}), nil
}

// idsOf remembers the names of one release's objects, so that a pass at rest reads no Secret.
func (s *Syncer) idsOf(ctx context.Context, number int) ([]manifests.ID, error) {
	if s.memory.listed.number != number {
		release, err := s.Journal.Load(ctx, number)
		if err != nil {
			return nil, err
		}
		s.memory.listed = listing{number: number, ids: release.Objects.IDs(), pins: release.Pins}
	}
	return s.memory.listed.ids, nil
}
