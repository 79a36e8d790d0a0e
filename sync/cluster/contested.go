package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// HandOverPending is the reason to wait for another Sync.
const HandOverPending = "HandOverPending"

// contested refuses an object that another Sync owns. It is no decision yet while the owner has still to look at what
// this one has seen, or is about to let go of the object; but it is if the owner waits for this Sync to do the same.
func (o *Objects) contested(ctx context.Context, object manifests.Object, owner types.NamespacedName) error {
	pending, err := o.cluster.handover.pending(ctx, o.sync)
	if err != nil {
		return err
	}
	refusal := &Error{Reason: HandOverPending, Object: object.String(), Temporary: true}
	switch {
	case o.cluster.handover.lettingGo(object.ID(), owner) && o.cluster.handover.waitFor(o.sync, owner):
		refusal.Reason, refusal.Temporary = "OwnedByAnother", false
		refusal.Detail = fmt.Sprintf("it belongs to Sync %s, which waits for an object of this one: let them change hands in two commits", owner)
	case o.cluster.handover.lettingGo(object.ID(), owner):
		refusal.Detail = fmt.Sprintf("it belongs to Sync %s, which is about to let go of it", owner)
	case slices.Contains(pending, owner.String()):
		refusal.Detail = fmt.Sprintf("it belongs to Sync %s, which has to look first whether it still holds it", owner)
	default:
		return unowned(object, owner, o.sync)
	}
	return refusal
}

// unowned refuses an object that another Sync owns.
func unowned(object manifests.Object, owner, sync fmt.Stringer) error {
	return &Error{Reason: "OwnedByAnother", Object: object.String(),
		Detail: fmt.Sprintf("it belongs to Sync %s already; take it out of one of the two (this is %s)", owner, sync)}
}

// waitFor notes that a Sync cannot go on before another has let go of something, and tells whether that one waits for it,
// too, or for one that does. One that waited for what another's commit before held has still to look at the newest.
func (h *handover) waitFor(sync, owner types.NamespacedName) (mutual bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.of(sync)
	if p.waitsFor == nil {
		p.waitsFor = map[types.NamespacedName]time.Time{}
	}
	p.waitsFor[owner] = h.clock()
	seen, rest := map[types.NamespacedName]bool{}, []types.NamespacedName{owner}
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		other := h.parties[name]
		if seen[name] || other == nil || other.leaving {
			continue
		}
		seen[name] = true
		for next, found := range other.waitsFor {
			if found.Before(h.of(next).since) {
				continue
			}
			if next == sync {
				return true
			}
			rest = append(rest, next)
		}
	}
	return false
}

// lettingGo tells whether the newest commit of an object's owner does not hold it any more.
func (h *handover) lettingGo(id manifests.ID, owner types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.parties[owner]
	return p != nil && (p.leaving || p.wants != nil && !p.wants[id] && !p.keeps)
}
