package cluster

import (
	"context"
	"maps"
	gosync "sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// handover sees to it that an object that moves from one Sync to another lives on. It knows what each Sync's newest
// commit holds: what one of them would delete and another wants is let go of instead, and the other is called.
//
// When an object moves within a repository, the Sync that loses it may be faster than the one that gets it. So nothing
// is deleted before every Sync of the same repository has looked since; they are asked to.
//
// All of it may be lost with the process: every Sync looks anew in the next one.
type handover struct {
	notify func(types.NamespacedName)
	syncs  client.Reader // of all Syncs; nil where nobody else is to be asked
	clock  func() time.Time

	mu      gosync.Mutex
	parties map[types.NamespacedName]*party
	claims  map[manifests.ID]*claim
}

// party is what is known of one Sync.
type party struct {
	wants   map[manifests.ID]bool // what its newest commit holds
	since   time.Time             // when that changed last: who has looked since then has seen what this one saw
	looked  time.Time             // when its last look at the remote began, of those that it has drawn its conclusions from
	waiting time.Time             // since when it waits for others; zero if it does not
	leaving bool                  // it is being deleted
	keeps   bool                  // it does not let go of what has left its commits

	// who has to let go of something before its newest commit can be applied, and when that was last found
	waitsFor map[types.NamespacedName]time.Time

	asked bool // to look at the remote
	freed bool // something that it wants and that was another's
}

func newHandover(notify func(types.NamespacedName)) *handover {
	return &handover{notify: notify, clock: time.Now,
		parties: map[types.NamespacedName]*party{}, claims: map[manifests.ID]*claim{}}
}

// of is what is known of a Sync; the caller holds the lock.
func (h *handover) of(sync types.NamespacedName) *party {
	if h.parties[sync] == nil {
		h.parties[sync] = &party{since: h.clock()}
	}
	return h.parties[sync]
}

// wants notes what a Sync's newest commit holds, and tells whether there is less of it than before.
func (h *handover) wants(sync types.NamespacedName, ids map[manifests.ID]bool, keeps bool) (less bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.of(sync)
	p.keeps, p.leaving, p.waitsFor = keeps, false, nil // it may be another of the same name
	if maps.Equal(p.wants, ids) {
		return false
	}
	for id := range p.wants {
		less = less || !ids[id]
	}
	p.wants, p.since, p.waiting = ids, h.clock(), time.Time{}
	return less
}

// leaves notes that a Sync is being deleted: it wants nothing any more.
func (h *handover) leaves(sync types.NamespacedName) {
	h.disclaim(sync, nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.of(sync); !p.leaving {
		p.wants, p.since, p.waiting, p.leaving = nil, h.clock(), time.Time{}, true
	}
}

func (h *handover) forget(sync types.NamespacedName) {
	h.disclaim(sync, nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.parties, sync)
}

// wanted tells whether another Sync wants an object.
func (h *handover) wanted(id manifests.ID, owner types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.parties {
		if name != owner && p.wants[id] {
			return true
		}
	}
	return false
}

// free calls the Syncs that want an object which is not its owner's any more.
func (h *handover) free(id manifests.ID, owner types.NamespacedName) {
	h.mu.Lock()
	var called []types.NamespacedName
	for name, p := range h.parties {
		if name != owner && p.wants[id] {
			p.freed, p.waitsFor = true, nil
			called = append(called, name)
		}
	}
	h.mu.Unlock()
	for _, name := range called {
		h.notify(name)
	}
}

// take answers a mark of a Sync's, and takes it off.
func (h *handover) take(sync types.NamespacedName, mark func(*party) *bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := mark(h.of(sync))
	was := *m
	*m = false
	return was
}

// looked notes that what a Sync wants is what the remote had when a look began, and calls those that wait for it.
func (h *handover) looked(sync types.NamespacedName, begun time.Time) {
	h.mu.Lock()
	var called []types.NamespacedName
	if p := h.of(sync); begun.After(p.looked) {
		p.looked = begun
		for name, other := range h.parties {
			if !other.waiting.IsZero() && name != sync {
				called = append(called, name)
			}
		}
	}
	h.mu.Unlock()
	for _, name := range called {
		h.notify(name)
	}
}

// Asked tells whether another Sync waits for this one to look at its repository, once for each time.
func (o *Objects) Asked() bool {
	return o.cluster.handover.take(o.sync, func(p *party) *bool { return &p.asked })
}

// Freed tells whether an object that this Sync wants has been another's and is not any more, once for each time.
func (o *Objects) Freed() bool {
	return o.cluster.handover.take(o.sync, func(p *party) *bool { return &p.freed })
}

// Looked notes that this Sync has come to a decision on what its repository had when the look at it began.
func (o *Objects) Looked(begun time.Time) { o.cluster.handover.looked(o.sync, begun) }

// wants notes what this Sync's newest commit holds. If that is less than before, it is time for the others to look:
// what has left this one may have gone to them.
func (o *Objects) wants(ctx context.Context, objects manifests.Set) error {
	ids := objects.Index()
	o.cluster.handover.disclaim(o.sync, ids)
	if !o.cluster.handover.wants(o.sync, ids, o.keeps) {
		return nil
	}
	_, err := o.cluster.handover.pending(ctx, o.sync)
	return err
}
