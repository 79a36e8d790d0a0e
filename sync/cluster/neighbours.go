package cluster

import (
	"context"
	"slices"
	"strings"
	gosync "sync"
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
	h.ask(called)
	slices.Sort(names)
	return names, nil
}

// ask has Syncs look at their repositories. For those that have nothing to do there is a shorter way than a pass.
func (h *handover) ask(syncs []types.NamespacedName) {
	if h.refresh != nil {
		syncs = h.refresh(syncs)
	}
	h.mu.Lock()
	for _, name := range syncs {
		h.of(name).ask(h.clock())
	}
	h.mu.Unlock()
	for _, name := range syncs {
		h.notify(name)
	}
}

// neighbours are the other Syncs of a Sync's repository.
func (h *handover) neighbours(ctx context.Context, sync types.NamespacedName) ([]types.NamespacedName, error) {
	if h.syncs == nil {
		return nil, nil
	}
	known, err := h.neighbourhood.of(ctx, h.syncs)
	if err != nil {
		return nil, err
	}
	others := known.by[known.repository[sync]]
	return slices.DeleteFunc(slices.Clone(others), func(name types.NamespacedName) bool { return name == sync }), nil
}

// neighbourhood is which Syncs follow which repository. To go through all of them for each that deletes something would be
// a million steps for a thousand, so it is found out anew only when one of them has changed.
type neighbourhood struct {
	mu      gosync.Mutex
	version int
	known   *repositories // nil when there is something new
}

// repositories are the Syncs by their repositories, without those that are suspended or being deleted, and the
// repositories of all.
type repositories struct {
	by         map[string][]types.NamespacedName
	repository map[types.NamespacedName]string
}

// changed notes that a Sync has become another one; before or now is nil where it was not there, or is not any more.
func (n *neighbourhood) changed(before, now *v1alpha1.Sync) {
	if before != nil && now != nil && repositoryOf(before) == repositoryOf(now) && isNeighbour(before) == isNeighbour(now) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.version++
	n.known = nil
}

// of is what is known, or what a client knows of now.
func (n *neighbourhood) of(ctx context.Context, syncs client.Reader) (*repositories, error) {
	n.mu.Lock()
	known, version := n.known, n.version
	n.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var all v1alpha1.SyncList
	// They are only read, and there may be many.
	if err := syncs.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, describe("listing the Syncs", "Sync", err)
	}
	known = &repositories{map[string][]types.NamespacedName{}, map[types.NamespacedName]string{}}
	for i := range all.Items {
		s := &all.Items[i]
		name, repository := client.ObjectKeyFromObject(s), repositoryOf(s)
		known.repository[name] = repository
		if isNeighbour(s) {
			known.by[repository] = append(known.by[repository], name)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.version == version { // nothing has changed while they were listed
		n.known = known
	}
	return known, nil
}

// isNeighbour tells the Syncs that look at their repositories.
func isNeighbour(s *v1alpha1.Sync) bool { return !s.Spec.Suspend && s.DeletionTimestamp.IsZero() }

// repositoryOf is a Sync's URL without what makes no other repository of it.
func repositoryOf(sync *v1alpha1.Sync) string {
	return strings.TrimSuffix(strings.TrimSuffix(sync.Spec.Source.URL, "/"), ".git")
}
