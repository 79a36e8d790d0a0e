package sync

import (
	"context"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// removal is how far the objects of a deleted Sync are on their way out, as this process has seen it.
type removal struct {
	left  int       // tiers that are not gone; 0 before the first pass
	since time.Time // since when it is so many
}

// Remove takes a deleted Sync's objects out of the cluster, last tier first, and answers whether that is done. Where
// pruning is disabled they stay, and are nobody's. A wait of more than 0 asks for another call.
func (s *Syncer) Remove(ctx context.Context, want Want) (wait time.Duration, problem *Problem) {
	err := s.removeOwned(ctx, want)
	if err == nil {
		return 0, nil
	}
	now := s.Clock()
	problem = s.memory.settling.add(err, now)
	again := s.memory.settling.until
	if end := s.memory.removal.since.Add(want.Spec.Health.Timeout.Duration); end.After(now) && end.Before(again) {
		again = end
	}
	return max(again.Sub(now), time.Millisecond), problem
}

func (s *Syncer) removeOwned(ctx context.Context, want Want) error {
	remaining, err := s.remaining(ctx)
	if err != nil {
		return err
	}
	if !want.Spec.Apply.Prunes() {
		return s.Cluster.LetGo(ctx, remaining.ids)
	}
	if len(remaining.adopted) > 0 {
		if err := s.Cluster.LetGo(ctx, remaining.adopted); err != nil {
			return err
		}
	}
	return s.undo(ctx, manifests.Without(remaining.ids, remaining.adopted), want.Spec.Health.Timeout.Duration)
}

// remaining names what a deleted Sync may have in the cluster.
func (s *Syncer) remaining(ctx context.Context) (holdings, error) {
	state, err := s.recall(ctx)
	if err != nil && problemOf(err).Temporary {
		return holdings{}, err
	}
	if err == nil && state.Newest != nil {
		owned, err := s.owned(ctx, state)
		if err == nil || problemOf(err).Temporary {
			return owned, err
		}
	}
	// There are no releases, or they are gone, as when the whole namespace goes: what bears its labels is what can be
	// known.
	ids, err := s.Cluster.Known(ctx)
	return holdings{ids: ids}, err
}

// undo deletes tier after tier, the last one first, each once the one before is gone. One that does not go for as long
// as timeout holds the others up no longer, once and for all.
func (s *Syncer) undo(ctx context.Context, ids []manifests.ID, timeout time.Duration) error {
	tiers := undoing(ids)
	overdue := s.memory.removal.left > 0 && s.Clock().Sub(s.memory.removal.since) >= timeout
	var unsettled []manifests.ID
	var refused error
	gone := 0
	for _, tier := range tiers {
		deletion, err := s.Cluster.Delete(ctx, tier)
		if err == nil && len(deletion.Left) == 0 {
			gone++
			continue
		}
		unsettled = append(unsettled, deletion.Left...)
		if refused == nil {
			refused = err
		}
		if !overdue {
			break
		}
	}
	if now := (removal{left: len(tiers) - gone, since: s.Clock()}); !overdue && now.left != s.memory.removal.left {
		s.memory.removal = now
	}
	switch {
	case refused != nil:
		return refused
	case len(unsettled) > 0:
		return unfinished{unsettled}
	}
	return nil
}
