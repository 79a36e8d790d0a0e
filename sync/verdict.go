package sync

import (
	"context"

	"github.com/belay-gitops/belay/manifests"
)

// keep ends a release well: it is the one to go back to from now on, and what has left it is deleted.
func (s *Syncer) keep(ctx context.Context, want Want, record manifests.Record, out *Outcome) error {
	release, err := s.Journal.Load(ctx, record.Number)
	if err != nil {
		return err
	}
	record.Outcome = manifests.Outcome{
		Result: manifests.Kept,
		Took:   s.Clock().Sub(s.memory.since),
		Pruned: len(plan(release, nil).Prune) == 0,
	}
	if err := s.Journal.Mark(ctx, record.Number, record.Outcome); err != nil {
		return err
	}
	out.Events = append(out.Events, normal("Kept", "release %d of commit %s is healthy", record.Number, describe(record.Commit)))
	if record.Outcome.Pruned {
		return nil
	}
	return s.prune(ctx, want, &record, record.Number)
}

// prune deletes what the record's release owned or brought and the running one does not have, and notes in the
// record when all of it is gone. What a refused release had only adopted is let go of.
func (s *Syncer) prune(ctx context.Context, want Want, record *manifests.Record, running int) error {
	if want.Spec.Apply.Prune != nil && !*want.Spec.Apply.Prune {
		return nil
	}
	newest, err := s.Journal.Load(ctx, record.Number)
	if err != nil {
		return err
	}
	listed, err := s.list(ctx, running)
	if err != nil {
		return err
	}
	kept := listed.ids
	leaving := manifests.Without(manifests.Union(newest.Owned, newest.Objects.IDs()), kept)
	if record.Number != running && len(newest.Adopted) > 0 {
		if err := s.Cluster.LetGo(ctx, manifests.Without(newest.Adopted, kept)); err != nil {
			return err
		}
		leaving = manifests.Without(leaving, newest.Adopted)
	}
	left, err := s.Cluster.Delete(ctx, undoing(leaving))
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return unfinished{left}
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
		Took:    s.Clock().Sub(s.memory.since),
		Options: optionsOf(want.Spec),
	}
	enabled := want.Spec.Rollback.Enabled == nil || *want.Spec.Rollback.Enabled
	if enabled && state.Kept != nil {
		record.Outcome.Result = manifests.RollingBack
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

// rollBack writes the stored objects of the kept release, takes away what only the refused one had brought, and
// judges the result with a deadline of its own. It asks neither Git nor a registry. It is done once: if the kept
// release is not healthy either, everything stays as it is until there is a new commit.
func (s *Syncer) rollBack(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	refused, kept := *state.Newest, *state.Kept
	verdict, err := s.carry(ctx, want, kept, -refused.Number, out)
	if err != nil {
		return verdict, err
	}
	if !refused.Outcome.Pruned && verdict.Decision != Bad {
		// What does not go away at once, or at all, must not keep the good release from being judged: rest comes back
		// to it, and tells.
		_ = s.prune(ctx, want, &refused, kept.Number)
	}
	switch verdict.Decision {
	case Good:
		refused.Outcome.Result = manifests.RolledBack
		if err := s.Journal.Mark(ctx, refused.Number, refused.Outcome); err != nil {
			return verdict, err
		}
		s.memory.written = kept.Number
		out.Events = append(out.Events, warning("RolledBack", "release %d (commit %s) runs again, for release %d failed: %s",
			kept.Number, describe(kept.Commit), refused.Number, refused.Outcome.Message))
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
	return why, nil
}
