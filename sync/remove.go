package sync

import (
	"context"
	"time"
)

// Remove takes a deleted Sync's objects out of the cluster, last tier first, and answers whether that is done. Where
// pruning is disabled they stay, and are nobody's. A wait of more than 0 asks for another call.
func (s *Syncer) Remove(ctx context.Context, want Want) (wait time.Duration, problem *Problem) {
	err := s.removeOwned(ctx, want.Spec.Apply.Prune == nil || *want.Spec.Apply.Prune)
	if err != nil {
		problem := s.memory.settling.add(err, s.Clock())
		return max(s.memory.settling.until.Sub(s.Clock()), time.Millisecond), problem
	}
	return 0, nil
}

func (s *Syncer) removeOwned(ctx context.Context, prune bool) error {
	state, err := s.recall(ctx)
	if err != nil {
		return err
	}
	owned, err := s.owned(ctx, state)
	ids := owned.ids
	if err != nil && !problemOf(err).Temporary {
		// Its releases are gone, as when the whole namespace goes: what bears its labels is what can be known.
		ids, err = s.Cluster.Known(ctx)
	}
	if err != nil {
		return err
	}
	if !prune {
		return s.Cluster.LetGo(ctx, ids)
	}
	left, err := s.Cluster.Delete(ctx, undoing(ids))
	if err == nil && len(left) > 0 {
		err = unfinished{left}
	}
	return err
}
