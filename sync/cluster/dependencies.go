package cluster

import (
	"context"
	"maps"
	"slices"
	gosync "sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Reachable is the Syncs that this one depends on, those that they depend on, and so on, by their names, as the agent has
// them in memory. What is not there is left out.
func (o *Objects) Reachable(ctx context.Context, on []v1alpha1.Dependency) (map[types.NamespacedName]v1alpha1.Sync, error) {
	found := map[types.NamespacedName]v1alpha1.Sync{}
	if o.cluster.handover.syncs == nil {
		return found, nil
	}
	var rest []types.NamespacedName
	for _, d := range on {
		rest = append(rest, d.FullName(o.sync.Namespace))
	}
	seen := map[types.NamespacedName]bool{}
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		var other v1alpha1.Sync
		err := o.cluster.handover.syncs.Get(ctx, name, &other)
		if client.IgnoreNotFound(err) != nil {
			return nil, describe("Sync/"+name.String(), "Sync", err)
		}
		if err != nil {
			continue
		}
		found[name] = other
		for _, d := range other.Spec.DependsOn {
			rest = append(rest, d.FullName(name.Namespace))
		}
	}
	return found, nil
}

// AskToLook has another Sync look at its repository now.
func (o *Objects) AskToLook(sync types.NamespacedName) {
	h := o.cluster.handover
	h.mu.Lock()
	h.of(sync).ask(h.clock())
	h.mu.Unlock()
	h.notify(sync)
}

// dependents is the Syncs by what they depend on, as their watch tells it. An index of the agent's cache would be the same,
// but that cannot be had before the API server knows what a Sync is.
type dependents struct {
	mu gosync.Mutex
	on map[types.NamespacedName][]types.NamespacedName        // a Sync's dependencies
	of map[types.NamespacedName]map[types.NamespacedName]bool // a dependency's Syncs
}

func newDependents() *dependents {
	return &dependents{on: map[types.NamespacedName][]types.NamespacedName{}, of: map[types.NamespacedName]map[types.NamespacedName]bool{}}
}

// saw notes what a Sync depends on, and answers which ones depend on it.
func (d *dependents) saw(sync types.NamespacedName, on []v1alpha1.Dependency) []types.NamespacedName {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, other := range d.on[sync] {
		if delete(d.of[other], sync); len(d.of[other]) == 0 {
			delete(d.of, other)
		}
	}
	delete(d.on, sync)
	for _, dependency := range on {
		other := dependency.FullName(sync.Namespace)
		if d.of[other] == nil {
			d.of[other] = map[types.NamespacedName]bool{}
		}
		d.of[other][sync] = true
		d.on[sync] = append(d.on[sync], other)
	}
	return slices.Collect(maps.Keys(d.of[sync]))
}

// saw notes one Sync as it is now, and answers which ones depend on it.
func (c *Cluster) saw(d *dependents, s *v1alpha1.Sync) []types.NamespacedName {
	c.requested.saw(s, c.handover.clock())
	return d.saw(client.ObjectKeyFromObject(s), s.Spec.DependsOn)
}

// requests is a controller's queue of passes.
type requests = workqueue.TypedRateLimitingInterface[reconcile.Request]

// attend notes what becomes of Syncs, and calls those that depend on one that has changed.
func (c *Cluster) attend() handler.EventHandler {
	d := newDependents()
	call := func(called []types.NamespacedName, queue requests) {
		for _, dependent := range called {
			queue.AddAfter(reconcile.Request{NamespacedName: dependent}, gathering)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requests) {
			if s, ok := e.Object.(*v1alpha1.Sync); ok {
				c.handover.neighbourhood.changed(nil, s)
				call(c.saw(d, s), queue)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requests) {
			before, _ := e.ObjectOld.(*v1alpha1.Sync)
			if s, ok := e.ObjectNew.(*v1alpha1.Sync); ok {
				c.handover.neighbourhood.changed(before, s)
				call(c.saw(d, s), queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requests) {
			name := client.ObjectKeyFromObject(e.Object)
			c.handover.neighbourhood.changed(nil, nil)
			c.requested.forget(name)
			call(d.saw(name, nil), queue)
		},
	}
}
