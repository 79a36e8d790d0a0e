package cluster

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// Differing tries every object on the API server, with strict field validation and without writing, and answers
// what would change. An error names all objects refused.
//
// What lives now is listed by label, a request for each kind and namespace, so that an object costs one request.
func (o *Objects) Differing(ctx context.Context, objects manifests.Set, insist bool) (manifests.Changes, error) {
	var changes manifests.Changes
	if err := o.cluster.watches.Ensure(ctx, objects.IDs()); err != nil {
		return changes, err
	}
	o.served = servedGroups(objects)
	live, err := o.live(ctx, objects.IDs(), versions(objects))
	if err != nil {
		return changes, err
	}
	trial := o.trial(objects, live, insist)
	trial.claimed = o.claim(objects, func(id manifests.ID) bool { return live[id] != nil })
	list := objects.Objects()
	outcomes := make([]outcome, len(list))
	errs := make([]error, len(list))
	each(len(list), func(i int) { outcomes[i], errs[i] = trial.run(ctx, list[i]) })
	if err := all(errs); err != nil {
		o.cluster.handover.disclaim(o.sync, nil)
		return changes, err
	}
	o.approaches = map[manifests.ID]approach{}
	changes.Contended = map[manifests.ID]string{}
	for i, object := range list {
		id, outcome := object.ID(), outcomes[i]
		if outcome.difference == same {
			continue
		}
		changes.Objects = append(changes.Objects, outcome.object)
		if outcome.difference == adopts {
			changes.Adopted = append(changes.Adopted, id)
		}
		if outcome.contended != "" {
			changes.Contended[id] = outcome.contended
		}
		o.approaches[id] = outcome.approach
	}
	return changes, nil
}

// live lists this Sync's objects of the kinds and in the namespaces of ids, each kind in the version that versions
// names, if any.
func (o *Objects) live(ctx context.Context, ids []manifests.ID, versions map[kind][]string) (map[manifests.ID]*unstructured.Unstructured, error) {
	type place struct{ kind, namespace string }
	live := map[manifests.ID]*unstructured.Unstructured{}
	seen := map[place]bool{}
	var errs []error
	for _, id := range ids {
		at := place{id.GroupKind().String(), id.Namespace}
		if seen[at] {
			continue
		}
		seen[at] = true
		found, err := o.list(ctx, id, versions[id.GroupKind()])
		if err != nil {
			errs = append(errs, err)
		}
		for i := range found {
			live[idOf(&found[i])] = &found[i]
		}
	}
	if err := all(errs); err != nil {
		return nil, err
	}
	return live, nil
}

// list lists this Sync's objects of the kind and in the namespace of id.
func (o *Objects) list(ctx context.Context, id manifests.ID, versions []string) ([]unstructured.Unstructured, error) {
	mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind(), versions...)
	if meta.IsNoMatchError(err) {
		return nil, nil // nothing of a kind that is not there
	}
	if err != nil {
		return nil, describe("", id.Kind, err)
	}
	list, err := o.resource(mapping, id.Namespace).List(ctx, metav1.ListOptions{LabelSelector: o.selector()})
	if apierrors.IsNotFound(err) {
		return nil, nil // its CRD has just gone
	}
	if trying := len(versions) > 0; trying && apierrors.IsServiceUnavailable(err) && o.served[id.Group] {
		return nil, nil // what is to answer comes with the same objects; what is to be deleted is not given up for that
	}
	if err != nil {
		return nil, describe("listing "+mapping.Resource.Resource, id.Kind, err)
	}
	return list.Items, nil
}

// versions is the version that the set writes each kind in: objects can be compared in the same version only.
func versions(objects manifests.Set) map[kind][]string {
	versions := map[kind][]string{}
	for _, object := range objects.Objects() {
		gvk := object.GroupVersionKind()
		versions[gvk.GroupKind()] = []string{gvk.Version}
	}
	return versions
}

// essence is an object without what changes although nobody asked for a change.
func essence(u *unstructured.Unstructured) map[string]any {
	u = u.DeepCopy()
	for _, field := range [][]string{
		{"metadata", "managedFields"}, {"metadata", "resourceVersion"}, {"metadata", "generation"}, {"status"},
	} {
		unstructured.RemoveNestedField(u.Object, field...)
	}
	return u.Object
}
