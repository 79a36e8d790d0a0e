package sync

import (
	"context"
	"fmt"
	"slices"

	"github.com/belay-gitops/belay/manifests"
)

// keep ends a release well: it is the one to go back to from now on, and what has left it is deleted, unless the release
// is watched on (see vigil).
func (s *Syncer) keep(ctx context.Context, want Want, record manifests.Record, out *Outcome) error {
	release, err := s.list(ctx, record.Number)
	if err != nil {
		return err
	}
	record.Outcome = manifests.Outcome{
		Result:   manifests.Kept,
		Took:     s.Clock().Sub(s.memory.course.begun),
		Pruned:   len(manifests.Without(release.owned, release.ids)) == 0,
		Healthy:  true,
		Watching: want.Spec.Health.WatchFor.Duration > 0,
	}
	if err := s.Journal.Mark(ctx, record.Number, record.Outcome); err != nil {
		return err
	}
	if record.Outcome.Watching {
		s.memory.vigil = vigil{release: record.Number, since: s.Clock()}
		out.WatchedUntil = s.memory.vigil.since.Add(want.Spec.Health.WatchFor.Duration)
	}
	out.Events = append(out.Events, normal("Kept", "release %d of commit %s is healthy%s%s", record.Number, describe(record.Commit),
		s.memory.started.wrote(record.Number), s.besides(want, record)))
	s.memory.started = started{}
	if record.Outcome.Pruned || record.Outcome.Watching {
		return nil
	}
	return s.prune(ctx, want, &record, record.Number, out)
}

// besides is what there is to say of a kept release beside that it is healthy.
func (s *Syncer) besides(want Want, record manifests.Record) (text string) {
	if ailing := s.memory.course.ailing; len(ailing) > 0 {
		text = ", but for what had failed before it already, and which it does not change: " + manifests.Names(ailing, 5)
	}
	if record.Outcome.Watching {
		text += fmt.Sprintf("; it is watched on for %s", want.Spec.Health.WatchFor.Duration)
	}
	return text
}

// prune deletes what the record's release owned or brought and the running one does not have, and notes in the
// record when all of it is gone. What was only adopted, by a release that was never kept, is let go of.
func (s *Syncer) prune(ctx context.Context, want Want, record *manifests.Record, running int, out *Outcome) error {
	if !want.Spec.Apply.Prunes() {
		return nil
	}
	newest, err := s.list(ctx, record.Number)
	if err != nil {
		return err
	}
	listed, err := s.list(ctx, running)
	if err != nil {
		return err
	}
	past, err := s.past(ctx, record.Outcome)
	if err != nil {
		return err
	}
	kept := listed.ids
	leaving := manifests.Without(manifests.Union(newest.owned, newest.ids, past), kept)
	if adopted := manifests.Without(newest.adopted, kept); len(adopted) > 0 {
		if err := s.Cluster.LetGo(ctx, adopted); err != nil {
			return err
		}
		leaving = manifests.Without(leaving, adopted)
	}
	deletion, err := s.Cluster.Delete(ctx, slices.Concat(undoing(leaving)...))
	if len(deletion.Stayed) > 0 {
		out.Events = append(out.Events, normal("LeftInPlace", "not deleted, and nobody's from now on: %s", manifests.Names(deletion.Stayed, 10)))
	}
	if err != nil {
		return err
	}
	if len(deletion.Left) > 0 {
		return unfinished{deletion.Left}
	}
	record.Outcome.Pruned = true
	return s.Journal.Mark(ctx, record.Number, record.Outcome)
}

// refuse ends a release badly. With a kept release to go back to, the rollback begins at once.
func (s *Syncer) refuse(ctx context.Context, want Want, state State, why Verdict, out *Outcome) (Verdict, error) {
	record := *state.Newest
	record.Outcome = manifests.Outcome{
		Result:  manifests.Failed,
		Reason:  why.Reason,
		Message: shorten(why.Message),
		Took:    s.Clock().Sub(s.memory.course.begun),
		Options: optionsOf(want.Spec),
	}
	enabled := want.Spec.Rollback.Enabled == nil || *want.Spec.Rollback.Enabled
	if state.Watching() {
		state.Kept = state.Before
	}
	if enabled && state.Kept != nil {
		moved, err := s.suspects(ctx, record.Number, state.Kept.Number)
		if err != nil {
			return why, err
		}
		record.Outcome.Result, record.Outcome.To, record.Outcome.Suspects = manifests.RollingBack, state.Kept.Number, moved
	}
	if record.Outcome.Result == manifests.Failed { // it may be kept still
		ran, err := s.hooksThatRan(ctx, state)
		if err != nil {
			return why, err
		}
		record.Outcome.Hooks = ran
		record.Outcome.Watching = state.Watching()
	}
	if err := s.Journal.Mark(ctx, record.Number, record.Outcome); err != nil {
		return why, err
	}
	s.memory.disposition = Hold
	out.Events = append(out.Events, warning(why.Reason, "release %d of commit %s is refused: %s",
		record.Number, describe(record.Commit), why.Message))
	if record.Outcome.Result == manifests.Failed {
		return why, nil
	}
	state.Newest = &record
	return s.rollBack(ctx, want, state, out)
}

// suspects are the pins of a refused release that the kept one has otherwise.
func (s *Syncer) suspects(ctx context.Context, refused, kept int) (manifests.Pins, error) {
	now, err := s.list(ctx, refused)
	if err != nil {
		return nil, err
	}
	before, err := s.list(ctx, kept)
	if err != nil {
		return nil, err
	}
	return suspects(now.pins, before.pins), nil
}

// rollBack writes the stored objects of the kept release, takes away what only the refused one had brought, and
// judges the result with a deadline of its own. It asks neither Git nor a registry. It is done once: if the kept
// release is not healthy either, everything stays as it is until there is a new commit.
func (s *Syncer) rollBack(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	refused, kept := *state.Newest, *state.Kept
	verdict, err := s.carry(ctx, want, state, -refused.Number, out)
	if err != nil {
		return verdict, err
	}
	refused.Outcome.Hooks = s.memory.hooks.done
	if !refused.Outcome.Pruned && verdict.Decision != Bad && s.memory.written == -refused.Number {
		// It waits until all waves are back, for pods of the refused release use it until then. What does not go away at
		// once, or at all, must not keep the good release from being judged: rest comes back to it, and tells.
		_ = s.prune(ctx, want, &refused, kept.Number, out)
	}
	switch verdict.Decision {
	case Good:
		refused.Outcome.Result = manifests.RolledBack
		if err := s.Journal.Mark(ctx, refused.Number, refused.Outcome); err != nil {
			return verdict, err
		}
		s.memory.written = kept.Number
		out.Events = append(out.Events, warning("RolledBack", "release %d (commit %s) runs again, for release %d is refused: %s",
			kept.Number, describe(kept.Commit), refused.Number, refused.Outcome.Message))
		s.tellFreeze(ctx, out)
	case Bad:
		return s.giveUp(ctx, refused, verdict, out)
	}
	return verdict, nil
}

// giveUp leaves the objects as they are after a rollback that did not help.
func (s *Syncer) giveUp(ctx context.Context, refused manifests.Record, why Verdict, out *Outcome) (Verdict, error) {
	refused.Outcome.Result = manifests.RollbackFailed
	refused.Outcome.Message = shorten(refused.Outcome.Message + "; and the rollback failed: " + why.Message)
	if err := s.Journal.Mark(ctx, refused.Number, refused.Outcome); err != nil {
		return why, err
	}
	out.Events = append(out.Events, warning("RollbackFailed", "%s", refused.Outcome.Message))
	s.tellFreeze(ctx, out)
	return why, nil
}

// tellFreeze says that a rollback which has ended was one too many.
func (s *Syncer) tellFreeze(ctx context.Context, out *Outcome) {
	if records, err := s.records(ctx); err == nil && frozen(records) {
		out.Events = append(out.Events, warning("Frozen", "%s", s.thaw()))
	}
}
