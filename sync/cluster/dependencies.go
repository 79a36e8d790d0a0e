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
	h.of(sync).asked = true
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

// requests is a controller's queue of passes.
type requests = workqueue.TypedRateLimitingInterface[reconcile.Request]

// handler calls the Syncs that depend on one that has changed.
func (d *dependents) handler() handler.EventHandler {
	call := func(object client.Object, on []v1alpha1.Dependency, queue requests) {
		for _, dependent := range d.saw(client.ObjectKeyFromObject(object), on) {
			queue.AddAfter(reconcile.Request{NamespacedName: dependent}, gathering)
		}
	}
	changed := func(object client.Object, queue requests) {
		if sync, ok := object.(*v1alpha1.Sync); ok {
			call(sync, sync.Spec.DependsOn, queue)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requests) { changed(e.Object, queue) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requests) { changed(e.ObjectNew, queue) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requests) { call(e.Object, nil, queue) },
	}
}
