package sync

import (
	"context"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// Remove takes a deleted Sync's objects out of the cluster, last tier first, and answers whether that is done.
// Where pruning is disabled they stay. A wait of more than 0 asks for another call.
func (s *Syncer) Remove(ctx context.Context, want Want) (wait time.Duration, problem *Problem) {
	if want.Spec.Apply.Prune != nil && !*want.Spec.Apply.Prune {
		return 0, nil
	}
	left, err := s.removeOwned(ctx)
	if err == nil && len(left) > 0 {
		err = unfinished{left}
	}
	if err != nil {
		problem := s.memory.settling.add(err, s.Clock())
		return s.memory.settling.until.Sub(s.Clock()), problem
	}
	return 0, nil
}

func (s *Syncer) removeOwned(ctx context.Context) ([]manifests.ID, error) {
	state, err := s.recall(ctx)
	if err != nil {
		return nil, err
	}
	owned, err := s.owned(ctx, state)
	if err != nil {
		return nil, err
	}
	return s.Cluster.Delete(ctx, undoing(owned))
}
