package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// A delete waits no longer for other Syncs than longestWait: one that has a trouble of its own must not keep another's
// objects for ever. A Sync that is being deleted waits longestFarewell for those that this process knows nothing of yet:
// one of them may be the same under a new name, which cannot reach its repository at the moment.
const (
	longestWait     = time.Minute
	longestFarewell = 10 * time.Minute
)

// pending names the Syncs of the same repository that have not looked since what this one wants has changed, and asks
// them to. Those that are suspended or being deleted are not asked. It names the Sync itself, too, where it has not looked:
// while the repository is out of reach, the others cannot know what they are to take over.
func (h *handover) pending(ctx context.Context, sync types.NamespacedName) ([]string, error) {
	neighbours, err := h.neighbours(ctx, sync)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	p, limit := h.of(sync), longestWait
	var names []string
	var called []types.NamespacedName
	for _, name := range neighbours {
		other := h.of(name)
		if other.looked.After(p.since) {
			continue
		}
		names = append(names, name.String())
		if p.leaving && other.looked.IsZero() {
			limit = longestFarewell
		}
		if !other.asked {
			other.asked = true
			called = append(called, name)
		}
	}
	switch {
	case len(names) == 0:
		p.waiting = time.Time{}
	case p.waiting.IsZero():
		p.waiting = h.clock()
	case h.clock().Sub(p.waiting) > limit:
		names = nil
	}
	if len(neighbours) > 0 && p.looked.IsZero() && !p.leaving {
		names = append(names, sync.String())
	}
	h.mu.Unlock()
	for _, name := range called {
		h.notify(name)
	}
	slices.Sort(names)
	return names, nil
}

// neighbours are the other Syncs of a Sync's repository.
func (h *handover) neighbours(ctx context.Context, sync types.NamespacedName) ([]types.NamespacedName, error) {
	if h.syncs == nil {
		return nil, nil
	}
	var all v1alpha1.SyncList
	// They are only read, and there may be many.
	if err := h.syncs.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, describe("listing the Syncs", "Sync", err)
	}
	var repository string
	for i := range all.Items {
		if client.ObjectKeyFromObject(&all.Items[i]) == sync {
			repository = repositoryOf(&all.Items[i])
		}
	}
	var found []types.NamespacedName
	for i := range all.Items {
		other := &all.Items[i]
		name := client.ObjectKeyFromObject(other)
		if name != sync && repositoryOf(other) == repository && !other.Spec.Suspend && other.DeletionTimestamp.IsZero() {
			found = append(found, name)
		}
	}
	return found, nil
}

// repositoryOf is a Sync's URL without what makes no other repository of it.
func repositoryOf(sync *v1alpha1.Sync) string {
	return strings.TrimSuffix(strings.TrimSuffix(sync.Spec.Source.URL, "/"), ".git")
}
