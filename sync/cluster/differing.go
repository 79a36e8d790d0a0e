package cluster

import (
	"context"
	"encoding/json"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/belay-gitops/belay/manifests"
)

// Differing tries every object on the API server, with strict field validation and without writing, and answers
// those whose application would change something, in the set's order, and of them those that are there already and
// nobody's. An error names all objects refused.
//
// What lives now is listed by label, a request for each kind and namespace, so that an object costs one request.
func (o *Objects) Differing(ctx context.Context, objects manifests.Set) (differing []manifests.Object, adopted []manifests.ID, err error) {
	if err := o.cluster.watches.Ensure(ctx, objects.IDs()); err != nil {
		return nil, nil, err
	}
	live, err := o.live(ctx, objects.IDs(), versions(objects))
	if err != nil {
		return nil, nil, err
	}
	trial := trial{Objects: o, live: live, kinds: definitions(objects), brought: objects.Index()}
	list := objects.Objects()
	outcomes := make([]difference, len(list))
	errs := make([]error, len(list))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, object := range list {
		group.Go(func() error {
			outcomes[i], errs[i] = trial.run(ctx, object)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs, for all of them are told
	if err := all(errs); err != nil {
		return nil, nil, err
	}
	for i, object := range list {
		if outcomes[i] != same {
			differing = append(differing, object)
		}
		if outcomes[i] == adopts {
			adopted = append(adopted, object.ID())
		}
	}
	return differing, adopted, nil
}

// difference is what applying an object would do.
type difference int

const (
	same    difference = iota // nothing
	differs                   // create or change it
	adopts                    // change one that is there and nobody's
)

// trial is what trying one object of a set needs to know.
type trial struct {
	*Objects
	live    map[manifests.ID]*unstructured.Unstructured
	kinds   map[kind]string // brought by CRDs of the same set
	brought map[manifests.ID]bool
}

// run tries one object.
func (t trial) run(ctx context.Context, object manifests.Object) (difference, error) {
	id := object.ID()
	mapping, err := t.mapping(object)
	if err != nil {
		if _, brought := t.kinds[id.GroupKind()]; brought {
			return differs, nil // it can be tried once its CRD is there
		}
		return same, err
	}
	live := t.live[id]
	if live == nil {
		if owner := t.cluster.watches.Owner(ctx, id); owner.Name != "" && owner != t.sync {
			return same, unowned(object, owner, t.sync)
		}
	}
	tried, err := t.patch(ctx, mapping, object, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case apierrors.IsNotFound(err) && t.brought[namespaceID(id.Namespace)]:
		return differs, t.tryElsewhere(ctx, mapping, object)
	case apierrors.IsNotFound(err) && t.brought[boundRole(object)]:
		return differs, nil // the API server looks the role up, which is written a tier before
	case err != nil:
		return same, describe(object.String(), id.Kind, err)
	case live == nil && tried.GetResourceVersion() != "":
		return adopts, nil // the answer to a creation that is only tried has none
	case live == nil || !equality.Semantic.DeepEqual(essence(live), essence(tried)):
		return differs, nil
	}
	return same, nil
}

func namespaceID(name string) manifests.ID { return manifests.ID{Kind: "Namespace", Name: name} }

// boundRole is the Role or ClusterRole that a binding refers to; the zero ID for anything but a binding.
func boundRole(object manifests.Object) manifests.ID {
	id := object.ID()
	if id.Group != "rbac.authorization.k8s.io" {
		return manifests.ID{}
	}
	ref, _, _ := unstructured.NestedStringMap(object.Unstructured().Object, "roleRef")
	role := manifests.ID{Group: id.Group, Kind: ref["kind"], Name: ref["name"]}
	if role.Kind == "Role" {
		role.Namespace = id.Namespace
	}
	return role
}

// patch applies an object, server-side. Fields that kubectl manages are taken over; a conflict with anybody else
// is an error.
func (o *Objects) patch(ctx context.Context, mapping *meta.RESTMapping, object manifests.Object, options metav1.PatchOptions) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(object.Unstructured().Object)
	if err != nil {
		return nil, err
	}
	options.FieldManager = FieldManager
	options.FieldValidation = metav1.FieldValidationStrict
	client := o.resource(mapping, object.ID().Namespace)
	applied, err := client.Patch(ctx, object.ID().Name, types.ApplyPatchType, body, options)
	if apierrors.IsConflict(err) && onlyKubectl(err) {
		force := true
		options.Force = &force
		applied, err = client.Patch(ctx, object.ID().Name, types.ApplyPatchType, body, options)
	}
	return applied, err
}

// onlyKubectl tells whether all the managers that a conflict names are kubectl's: what people did by hand, or
// before belay came.
func onlyKubectl(err error) bool {
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().Details == nil {
		return false
	}
	causes := status.Status().Details.Causes
	for _, cause := range causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict || !strings.HasPrefix(cause.Message, `conflict with "kubectl`) {
			return false
		}
	}
	return len(causes) > 0
}

// tryElsewhere tries an object whose namespace comes in the same set: under another name, in the Sync's namespace.
// Only what is wrong with the object itself counts there.
func (t trial) tryElsewhere(ctx context.Context, mapping *meta.RESTMapping, object manifests.Object) error {
	u := object.Unstructured()
	u.SetNamespace(t.sync.Namespace)
	u.SetName("belay-trial-" + rand.String(8))
	_, err := t.resource(mapping, t.sync.Namespace).Create(ctx, u, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: FieldManager, FieldValidation: metav1.FieldValidationStrict,
	})
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return describe(object.String(), object.ID().Kind, err)
	}
	return nil
}

// live lists this Sync's objects of the kinds and in the namespaces of ids, each kind in the version that versions
// names, if any.
func (o *Objects) live(ctx context.Context, ids []manifests.ID, versions map[kind][]string) (map[manifests.ID]*unstructured.Unstructured, error) {
	type place struct {
		kind      kind
		namespace string
	}
	places := map[place]bool{}
	for _, id := range ids {
		places[place{id.GroupKind(), id.Namespace}] = true
	}
	live := map[manifests.ID]*unstructured.Unstructured{}
	for p := range places {
		mapping, err := o.cluster.mapper.RESTMapping(p.kind, versions[p.kind]...)
		if meta.IsNoMatchError(err) {
			continue // nothing of a kind that is not there
		}
		if err != nil {
			return nil, describe("", p.kind.Kind, err)
		}
		list, err := o.resource(mapping, p.namespace).List(ctx, metav1.ListOptions{LabelSelector: o.selector()})
		if apierrors.IsNotFound(err) {
			continue // its CRD has just gone
		}
		if err != nil {
			return nil, describe("listing "+mapping.Resource.Resource, p.kind.Kind, err)
		}
		for i := range list.Items {
			live[idOf(&list.Items[i])] = &list.Items[i]
		}
	}
	return live, nil
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
