package cluster

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

// dependsOn is the index of Syncs by what they depend on.
const dependsOn = "spec.dependsOn"

// indexDependencies has a cache keep that index.
func indexDependencies(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, &v1alpha1.Sync{}, dependsOn, func(object client.Object) []string {
		sync, ok := object.(*v1alpha1.Sync)
		if !ok {
			return nil
		}
		var names []string
		for _, d := range sync.Spec.DependsOn {
			names = append(names, d.FullName(sync.Namespace).String())
		}
		slices.Sort(names)
		return slices.Compact(names)
	})
}

// callDependents calls the Syncs that depend on one that has changed.
func callDependents(syncs client.Reader) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, changed client.Object) []reconcile.Request {
		var list v1alpha1.SyncList
		// It reads memory: the only errors are those of a cache that is ending, or of an index that is not there.
		if err := syncs.List(ctx, &list, client.MatchingFields{dependsOn: client.ObjectKeyFromObject(changed).String()}); err != nil {
			return nil
		}
		var requests []reconcile.Request
		for _, dependent := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&dependent)})
		}
		return requests
	})
}
