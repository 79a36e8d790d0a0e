package cluster

import (
	"context"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/belay-gitops/belay/manifests"
)

// kind shortens the many signatures that speak of kinds.
type kind = schema.GroupKind

// precious kinds take other people's data with them when they go. They are deleted only where an annotation says so.
var precious = map[kind]bool{
	namespaceKind:                   true,
	customResourceDefinition:        true,
	{Kind: "PersistentVolumeClaim"}: true,
	{Kind: "PersistentVolume"}:      true,
}

// Delete deletes those of ids that bear this Sync's labels, and answers which are not gone yet. Objects that are to
// stay (belay.dev/prune: disabled, and precious kinds without belay.dev/prune: enabled) lose the labels instead:
// they are nobody's from then on.
func (o *Objects) Delete(ctx context.Context, ids []manifests.ID) (left []manifests.ID, err error) {
	live, err := o.live(ctx, ids, nil)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(ids))
	gone := make([]bool, len(ids))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, id := range ids {
		u, there := live[id]
		if !there {
			gone[i] = true
			continue
		}
		group.Go(func() error {
			gone[i], errs[i] = o.deleteOne(ctx, u)
			return nil
		})
	}
	_ = group.Wait()
	for i, id := range ids {
		if !gone[i] {
			left = append(left, id)
		}
	}
	return left, all(errs)
}

// LetGo takes this Sync's labels off what is there of ids; the objects stay, and are nobody's.
func (o *Objects) LetGo(ctx context.Context, ids []manifests.ID) error {
	live, err := o.live(ctx, ids, nil)
	if err != nil {
		return err
	}
	for _, id := range ids {
		u, there := live[id]
		if !there {
			continue
		}
		mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind())
		if err != nil {
			return describe(id.String(), id.Kind, err)
		}
		if err := o.letGo(ctx, o.resource(mapping, id.Namespace), u); err != nil {
			return describe(id.String(), id.Kind, err)
		}
	}
	return nil
}

func (o *Objects) deleteOne(ctx context.Context, u *unstructured.Unstructured) (gone bool, err error) {
	id := idOf(u)
	mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind())
	if err != nil {
		return meta.IsNoMatchError(err), describe(id.String(), id.Kind, err)
	}
	client := o.resource(mapping, id.Namespace)
	if stays(u) {
		return true, describe(id.String(), id.Kind, o.letGo(ctx, client, u))
	}
	uid, propagation := u.GetUID(), metav1.DeletePropagationBackground
	o.cluster.watches.Wrote(id, "")
	err = client.Delete(ctx, id.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid},
		PropagationPolicy: &propagation,
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return true, nil // gone, or another object of the same name by now
	}
	if err != nil {
		return false, describe(id.String(), id.Kind, err)
	}
	return len(u.GetFinalizers()) == 0, nil
}

func stays(u *unstructured.Unstructured) bool {
	switch u.GetAnnotations()[manifests.AnnotationPrune] {
	case "disabled":
		return true
	case "enabled":
		return false
	}
	return precious[u.GroupVersionKind().GroupKind()]
}

// letGo takes this Sync's labels off an object.
func (o *Objects) letGo(ctx context.Context, client dynamic.ResourceInterface, u *unstructured.Unstructured) error {
	const without = `{"metadata":{"labels":{"` + manifests.LabelSync + `":null,"` + manifests.LabelNamespace + `":null}}}`
	o.cluster.watches.Wrote(idOf(u), "")
	_, err := client.Patch(ctx, u.GetName(), types.MergePatchType, []byte(without), metav1.PatchOptions{FieldManager: FieldManager})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
