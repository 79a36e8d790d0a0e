package cluster

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// Differing tries the objects on the API server, without writing, and answers what would change. An error names all objects
// refused.
//
// What is known to be as wanted is not tried, see [proof]; of what is tried, most costs one request. An object is read
// before only where the watches do not know enough of it, and listed with others by label where many are.
func (o *Objects) Differing(ctx context.Context, objects manifests.Set, insist bool) (manifests.Changes, error) {
	var changes manifests.Changes
	if err := o.cluster.watches.Ensure(ctx, objects.IDs()); err != nil {
		return changes, err
	}
	o.served = servedGroups(objects)
	trial, list := o.trial(objects, insist), objects.Objects()
	sightings, err := trial.sighted(ctx, list)
	if err != nil {
		return changes, err
	}
	if err := trial.list(ctx, list, versions(objects), sightings); err != nil {
		return changes, err
	}
	there := map[manifests.ID]bool{}
	for i, s := range sightings {
		if s.isThere() {
			there[list[i].ID()] = true
		}
	}
	trial.claimed = o.claim(objects, func(id manifests.ID) bool { return there[id] })
	outcomes := make([]outcome, len(list))
	errs := make([]error, len(list))
	each(len(list), func(i int) { outcomes[i], errs[i] = trial.run(ctx, list[i], sightings[i]) })
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

// domain is one kind in one namespace.
type domain struct {
	kind      kind
	namespace string
}

func domainOf(id manifests.ID) domain { return domain{id.GroupKind(), id.Namespace} }

// few is how many objects of a kind and namespace are read one by one, and not listed.
const few = 3

// list lists the kinds of which many objects have to be read: all of them, after a restart of the agent, where no more
// than their metadata is watched.
func (t *trial) list(ctx context.Context, objects []manifests.Object, versions map[kind][]string, sightings []sighting) error {
	toRead := map[domain][]manifests.ID{}
	for i, s := range sightings {
		if !objects[i].LeftAlone() && objects[i].Hook() == manifests.NoHook && s.effort() == needsReading {
			at := domainOf(objects[i].ID())
			toRead[at] = append(toRead[at], objects[i].ID())
		}
	}
	t.listed = map[domain]bool{}
	var ids []manifests.ID
	for at, of := range toRead {
		if len(of) > few {
			t.listed[at] = true
			ids = append(ids, of[0])
		}
	}
	var err error
	t.live, err = t.Objects.live(ctx, ids, versions)
	return err
}

// live lists this Sync's objects of the kinds and in the namespaces of ids, each kind in the version that versions
// names, if any.
func (o *Objects) live(ctx context.Context, ids []manifests.ID, versions map[kind][]string) (map[manifests.ID]*unstructured.Unstructured, error) {
	live := map[manifests.ID]*unstructured.Unstructured{}
	seen := map[domain]bool{}
	var errs []error
	for _, id := range ids {
		if seen[domainOf(id)] {
			continue
		}
		seen[domainOf(id)] = true
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
