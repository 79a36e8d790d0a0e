package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// lineage follows owner references from pods up to objects of a release: a pod's ReplicaSet and that one's Deployment, a
// Job's CronJob, and whatever custom resources have put between.
type lineage struct {
	cluster *Cluster
	own     map[manifests.ID]bool
	owners  map[manifests.ID][]manifests.ID // of what was looked at on the way
}

// generations is how far up it goes: a Knative Service is five above its pods.
const generations = 8

// read reads the owners, and theirs, of what is not in the release itself. What is gone has none.
func (l lineage) read(ctx context.Context, pods []corev1.Pod) error {
	var next []manifests.ID
	for i := range pods {
		next = append(next, l.ownersOf(&pods[i])...)
	}
	for range generations {
		var unknown []manifests.ID
		for _, id := range manifests.Union(next) {
			if _, known := l.owners[id]; !known && !l.own[id] {
				unknown = append(unknown, id)
			}
		}
		if len(unknown) == 0 {
			return nil
		}
		found, errs := make([][]manifests.ID, len(unknown)), make([]error, len(unknown))
		each(len(unknown), func(i int) { found[i], errs[i] = l.look(ctx, unknown[i]) })
		next = nil
		for i, id := range unknown {
			l.owners[id] = found[i]
			next = append(next, found[i]...)
		}
		if err := all(errs); err != nil {
			return err
		}
	}
	return nil
}

// look reads who owns an object.
func (l lineage) look(ctx context.Context, id manifests.ID) ([]manifests.ID, error) {
	mapping, err := l.cluster.mapper.RESTMapping(id.GroupKind())
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, describe(id.String(), id.Kind, err)
	}
	client := l.cluster.records.Resource(mapping.Resource)
	var object *metav1.PartialObjectMetadata
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		object, err = client.Namespace(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	} else {
		object, err = client.Get(ctx, id.Name, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, describe(id.String(), id.Kind, err)
	}
	object.Namespace = id.Namespace // also of what lives in none: its owners are looked for where its pods are
	return l.ownersOf(object), nil
}

// ownersOf names an object's owners. They are of its namespace or of none, which the reference does not tell.
func (l lineage) ownersOf(object metav1.Object) []manifests.ID {
	var ids []manifests.ID
	for _, owner := range object.GetOwnerReferences() {
		group, err := schema.ParseGroupVersion(owner.APIVersion)
		if err != nil {
			continue
		}
		id := manifests.ID{Group: group.Group, Kind: owner.Kind, Name: owner.Name}
		if !l.own[id] {
			id.Namespace = object.GetNamespace()
		}
		ids = append(ids, id)
	}
	return ids
}

// rootOf finds the release's object that a pod is there for.
func (l lineage) rootOf(pod *corev1.Pod) (manifests.ID, bool) {
	line := []manifests.ID{{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name}}
	if l.own[line[0]] {
		return line[0], true
	}
	line = l.ownersOf(pod)
	for range generations {
		var above []manifests.ID
		for _, id := range line {
			if l.own[id] {
				return id, true
			}
			above = append(above, l.owners[id]...)
		}
		line = above
	}
	return manifests.ID{}, false
}
