package cluster

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// claim is a Sync's that is about to create an object.
type claim struct {
	sync      types.NamespacedName
	contended bool // another was refused for it
}

// claim notes that a Sync is about to create objects, and answers who was before it. Two Syncs that have both tried an
// object before either has written it would both find it absent, and the API server takes their writes for one manager's.
// A claim is for all of the objects or for none, so that of two Syncs one gets them. It ends when the object is written.
func (h *handover) claim(sync types.NamespacedName, ids []manifests.ID) (taken map[manifests.ID]types.NamespacedName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken = map[manifests.ID]types.NamespacedName{}
	for _, id := range ids {
		if c := h.claims[id]; c != nil && c.sync != sync {
			taken[id], c.contended = c.sync, true
		}
	}
	if len(taken) > 0 {
		return taken
	}
	for _, id := range ids {
		if h.claims[id] == nil {
			h.claims[id] = &claim{sync: sync}
		}
	}
	return taken
}

// settle ends the claim to an object that is in the cluster by now.
func (h *handover) settle(sync types.NamespacedName, id manifests.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.claims[id]; c != nil && c.sync == sync {
		delete(h.claims, id)
	}
}

// disclaim ends a Sync's claims to what it does not want, or cannot have, and calls those that were
// refused for one.
func (h *handover) disclaim(sync types.NamespacedName, wanted map[manifests.ID]bool) {
	h.mu.Lock()
	var free []manifests.ID
	for id, c := range h.claims {
		if c.sync != sync || wanted[id] {
			continue
		}
		delete(h.claims, id)
		if c.contended {
			free = append(free, id)
		}
	}
	h.mu.Unlock()
	for _, id := range free {
		h.free(id, sync)
	}
}

// claim claims those of a set that are not there, and answers who was before this Sync.
func (o *Objects) claim(objects manifests.Set, isThere func(manifests.ID) bool) map[manifests.ID]types.NamespacedName {
	var absent []manifests.ID
	for _, object := range objects.Objects() {
		if !isThere(object.ID()) && !object.LeftAlone() && !object.CreatedOnly() {
			absent = append(absent, object.ID())
		}
	}
	return o.cluster.handover.claim(o.sync, absent)
}
