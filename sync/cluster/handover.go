package cluster

import (
	"context"
	"maps"
	"slices"
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
	// refresh has the repositories of Syncs looked at, and names those that have to look themselves; nil where all have.
	refresh func([]types.NamespacedName) []types.NamespacedName

	neighbourhood neighbourhood

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

	asked   bool      // to look at the remote
	askedAt time.Time // when it was
	freed   bool      // something that it wants and that was another's

	from, to string                        // the commits between which nothing was changed that it reads
	heeded   map[types.NamespacedName]bool // by the Syncs that have asked for that
}

// ask notes that another Sync asks this one to look at the remote.
func (p *party) ask(now time.Time) { p.asked, p.askedAt = true, now }

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

// looked notes that what Syncs want is what the remote had when a look began, and calls those that wait for it.
func (h *handover) looked(begun time.Time, syncs ...types.NamespacedName) {
	h.mu.Lock()
	var called []types.NamespacedName
	newer := 0
	for _, sync := range syncs {
		if p := h.of(sync); begun.After(p.looked) {
			p.looked = begun
			newer++
		}
	}
	for name, other := range h.parties {
		if newer > 0 && !other.waiting.IsZero() && !(len(syncs) == 1 && name == syncs[0]) {
			called = append(called, name)
		}
	}
	h.mu.Unlock()
	for _, name := range called {
		h.notify(name)
	}
}

// passed notes that nothing that a Sync reads differs between two commits, and calls those that have asked how far it is.
func (h *handover) passed(sync types.NamespacedName, from, to string) {
	h.mu.Lock()
	p := h.of(sync)
	var called []types.NamespacedName
	if p.from != from || p.to != to {
		p.from, p.to = from, to
		called = slices.Collect(maps.Keys(p.heeded))
		p.heeded = nil
	}
	h.mu.Unlock()
	for _, name := range called {
		h.notify(name)
	}
}

// passedOver answers what a Sync has passed over, and has the one that asks called when that is further.
func (h *handover) passedOver(sync, asking types.NamespacedName) (from, to string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.of(sync)
	if p.heeded == nil {
		p.heeded = map[types.NamespacedName]bool{}
	}
	p.heeded[asking] = true
	return p.from, p.to
}

// Asked tells whether another Sync waits for this one to look at its repository, once for each time, and since when.
func (o *Objects) Asked() (since time.Time, asked bool) {
	asked = o.cluster.handover.take(o.sync, func(p *party) *bool {
		since = p.askedAt
		return &p.asked
	})
	return since, asked
}

// Freed tells whether an object that this Sync wants has been another's and is not any more, once for each time.
func (o *Objects) Freed() bool {
	return o.cluster.handover.take(o.sync, func(p *party) *bool { return &p.freed })
}

// Looked notes that this Sync has come to a decision on what its repository had when the look at it began.
func (o *Objects) Looked(begun time.Time) { o.cluster.handover.looked(begun, o.sync) }

// Looked notes the same of many Syncs.
func (c *Cluster) Looked(begun time.Time, syncs ...types.NamespacedName) {
	c.handover.looked(begun, syncs...)
}

// Passed notes that nothing that a Sync reads differs between two commits of its ref, of which its status tells the first
// one as wanted.
func (c *Cluster) Passed(sync types.NamespacedName, from, to string) {
	c.handover.passed(sync, from, to)
}

// PassedOver is the newest commit that a Sync was found to have nothing to do for, and the one since when that is so. This
// Sync is called when there is another.
func (o *Objects) PassedOver(sync types.NamespacedName) (from, to string) {
	return o.cluster.handover.passedOver(sync, o.sync)
}

// RefreshBy has refresh called where Syncs are to look at their repositories. It answers those that need a pass for that.
// It must not call back.
func (c *Cluster) RefreshBy(refresh func([]types.NamespacedName) []types.NamespacedName) {
	c.handover.refresh = refresh
}

// Call has a Sync passed.
func (c *Cluster) Call(sync types.NamespacedName) { c.handover.notify(sync) }

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
