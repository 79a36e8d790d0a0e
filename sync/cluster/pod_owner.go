package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// call calls the Sync that a pod or a ReplicaSet is there for, if it attends; all that attend where that is not known.
func (p *podWatches) call(ctx context.Context, store *podStore, object metaObject) {
	sync := ownerOf(object.GetLabels())
	if sync.Name == "" {
		sync = p.syncAbove(ctx, store, object)
	}
	p.callOwner(sync, object.GetNamespace())
}

// callAbout calls the Sync of what an event is about.
func (p *podWatches) callAbout(ctx context.Context, store *podStore, about corev1.ObjectReference) {
	group, err := schema.ParseGroupVersion(about.APIVersion)
	if err != nil {
		return
	}
	id := manifests.ID{Group: group.Group, Kind: about.Kind, Namespace: about.Namespace, Name: about.Name}
	var object client.Object
	switch id.GroupKind() {
	case pod:
		object = &corev1.Pod{}
	case bareReplicaSet:
		object = replicaSet()
	default:
		p.callOwner(p.owner(ctx, id), about.Namespace)
		return
	}
	if !store.serving() || store.cache.Get(ctx, client.ObjectKey{Namespace: about.Namespace, Name: about.Name}, object) != nil {
		p.callAll(about.Namespace)
		return
	}
	p.call(ctx, store, object)
}

func (p *podWatches) callOwner(sync types.NamespacedName, namespace string) {
	switch {
	case sync.Name == "":
		p.callAll(namespace)
	case p.attends(sync, namespace):
		p.notify(sync)
	}
}

// syncAbove finds the Sync of who controls an object: a workload of a release, or a ReplicaSet whose Deployment is
// one. The zero name says that it was not found.
func (p *podWatches) syncAbove(ctx context.Context, store *podStore, object metav1.Object) types.NamespacedName {
	controller := metav1.GetControllerOfNoCopy(object)
	if controller == nil {
		return types.NamespacedName{}
	}
	group, err := schema.ParseGroupVersion(controller.APIVersion)
	if err != nil {
		return types.NamespacedName{}
	}
	id := manifests.ID{Group: group.Group, Kind: controller.Kind, Namespace: object.GetNamespace(), Name: controller.Name}
	if _, isPod := object.(*corev1.Pod); isPod && id.GroupKind() == bareReplicaSet && store.serving() {
		set := replicaSet()
		if store.cache.Get(ctx, client.ObjectKey{Namespace: id.Namespace, Name: id.Name}, set) == nil && len(set.GetOwnerReferences()) > 0 {
			return p.syncAbove(ctx, store, set)
		}
	}
	return p.owner(ctx, id)
}
