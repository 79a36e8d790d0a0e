package sync

import (
	"context"

	"github.com/belay-gitops/belay/manifests"
)

// ailing names those of the objects that a new release does not change which have failed before it came: they say
// nothing of it. That is known where the cluster was at a kept release that nobody watches on. What a release without a
// last word has broken is not to be forgiven to the next: there, only what it was forgiven itself is.
func (s *Syncer) ailing(ctx context.Context, state State, unchanged []manifests.ID) ([]manifests.ID, error) {
	switch {
	case state.Newest == nil || len(unchanged) == 0:
		return nil, nil
	case !state.Settled() || state.Watching():
		return s.failed(ctx, both(unchanged, state.Newest.Ailing))
	}
	// Nothing is asked of the pods where all is well.
	reports, err := s.Cluster.Health(ctx, unchanged, false)
	if err != nil {
		return nil, err
	}
	var suspicious []manifests.ID
	for _, report := range reports {
		if !report.Good() {
			suspicious = append(suspicious, report.ID)
		}
	}
	return s.failed(ctx, suspicious)
}

// failed are those of the objects that have failed, by a close look.
func (s *Syncer) failed(ctx context.Context, ids []manifests.ID) ([]manifests.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	reports, err := s.Cluster.Health(ctx, ids, true)
	var failed []manifests.ID
	for _, report := range reports {
		if report.Bad() {
			failed = append(failed, report.ID)
		}
	}
	return failed, err
}

// both is what is in two lists.
func both(list, other []manifests.ID) []manifests.ID {
	return manifests.Without(list, manifests.Without(list, other))
}

func idsOf(objects []manifests.Object) []manifests.ID {
	ids := make([]manifests.ID, len(objects))
	for i, o := range objects {
		ids[i] = o.ID()
	}
	return ids
}
