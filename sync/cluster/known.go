package cluster

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// Known names the objects that belong to a Sync, of the kinds that are watched.
func (w *Watches) Known(ctx context.Context, sync types.NamespacedName) ([]manifests.ID, error) {
	w.mu.Lock()
	kinds := slices.Collect(maps.Keys(w.watched))
	w.mu.Unlock()
	var known []manifests.ID
	for _, k := range kinds {
		mapping, err := w.mapper.RESTMapping(k)
		if err != nil {
			continue // there is nothing of a kind that is gone
		}
		list := &metav1.PartialObjectMetadataList{}
		lister := client.ObjectList(list)
		if !statusless[k] {
			lister = &unstructured.UnstructuredList{}
		}
		lister.GetObjectKind().SetGroupVersionKind(mapping.GroupVersionKind)
		err = w.cache.List(ctx, lister, client.MatchingLabels{manifests.LabelSync: sync.Name, manifests.LabelNamespace: sync.Namespace})
		if err != nil {
			return nil, &Error{Reason: "WatchFailed", Temporary: true, Detail: "listing " + mapping.Resource.Resource + ": " + err.Error()}
		}
		err = meta.EachListItem(lister, func(item runtime.Object) error {
			object, err := meta.Accessor(item)
			if err == nil {
				known = append(known, manifests.ID{Group: k.Group, Kind: k.Kind, Namespace: object.GetNamespace(), Name: object.GetName()})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}
