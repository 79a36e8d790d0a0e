package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/belay-gitops/belay/manifests"
)

// precious kinds take other people's data with them when they go. They are deleted only where an annotation says so.
var precious = map[kind]bool{
	namespaceKind:                   true,
	customResourceDefinition:        true,
	{Kind: "PersistentVolumeClaim"}: true,
	{Kind: "PersistentVolume"}:      true,
}

// LetGo takes this Sync's labels off what is there of ids; the objects stay, and are nobody's.
func (o *Objects) LetGo(ctx context.Context, ids []manifests.ID) error {
	live, _, err := o.seen(ctx, ids)
	errs := []error{err}
	for _, id := range there(ids, live) {
		mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind())
		if err == nil {
			err = o.letGo(ctx, o.resource(mapping, id.Namespace), live[id])
		}
		if err == nil {
			o.cluster.handover.free(id, o.sync)
		}
		errs = append(errs, describe(id.String(), id.Kind, err))
	}
	return all(errs)
}

// stays tells what is not deleted: what people asked to keep or to leave alone, and precious kinds without
// belay.dev/prune: enabled.
func stays(u *unstructured.Unstructured) bool {
	if u.GetAnnotations()[manifests.AnnotationReconcile] == "disabled" {
		return true
	}
	switch u.GetAnnotations()[manifests.AnnotationPrune] {
	case "disabled":
		return true
	case "enabled":
		return false
	}
	return precious[u.GroupVersionKind().GroupKind()]
}

// letGo takes this Sync's labels off an object, but not off another of the same name.
func (o *Objects) letGo(ctx context.Context, client dynamic.ResourceInterface, u *unstructured.Unstructured) error {
	without := fmt.Sprintf(`{"metadata":{"uid":%q,"labels":{%q:null,%q:null}}}`, u.GetUID(), manifests.LabelSync, manifests.LabelNamespace)
	o.cluster.watches.Wrote(o.sync, idOf(u), "")
	_, err := client.Patch(ctx, u.GetName(), types.MergePatchType, []byte(without), metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		o.cluster.watches.NotDeleted(idOf(u), u.GetUID())
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
