package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// Difference is an object as it lives, and as it would be. The values of Secrets are masked.
type Difference struct {
	ID    manifests.ID
	Live  map[string]any // nil where it is missing
	Would map[string]any // nil where it would go
	// LetGo says that it would not be deleted but be nobody's.
	LetGo bool
}

// Preview tells what applying a release now would change, by trying each object on the API server, in the release's
// order, and then what would go of the release that runs. Nothing is written. Objects that were refused are in the
// error; the others are told all the same.
func (o *Objects) Preview(ctx context.Context, release, running manifests.Release) ([]Difference, error) {
	objects, trial := release.Objects.Objects(), o.trial(release.Objects, true)
	leaving := manifests.Without(running.Objects.IDs(), release.Objects.IDs())
	found := make([]*Difference, len(objects)+len(leaving))
	errs := make([]error, len(found))
	each(len(found), func(i int) {
		if i < len(objects) {
			found[i], errs[i] = trial.preview(ctx, objects[i])
			return
		}
		found[i], errs[i] = o.farewell(ctx, leaving[i-len(objects)])
	})
	var differences []Difference
	for _, d := range found {
		if d == nil || d.Live == nil && hasRun(release, running, d.ID) {
			continue
		}
		differences = append(differences, *d)
	}
	return differences, all(errs)
}

// hasRun tells Jobs that nobody misses: those that an earlier release has run, and those of the release that runs which
// take themselves away.
func hasRun(release, running manifests.Release, id manifests.ID) bool {
	if id.GroupKind() != job {
		return false
	}
	_, passes, _ := unstructured.NestedFieldNoCopy(release.Objects.Object(id).Unstructured().Object, "spec", "ttlSecondsAfterFinished")
	return slices.Contains(release.Done, id) || passes && release.Number == running.Number
}

// preview is what applying an object would change, nil if nothing: also where it would be left alone, and in fields that
// are left to others.
func (t trial) preview(ctx context.Context, object manifests.Object) (*Difference, error) {
	if object.LeftAlone() || object.Hook() != manifests.NoHook { // it would run, whatever there is
		return nil, nil
	}
	mapping, err := t.mapping(object)
	if err != nil {
		if _, comes := t.kinds[object.ID().GroupKind()]; comes {
			return newDifference(nil, object.Unstructured()), nil
		}
		return nil, err
	}
	live, err := t.get(ctx, mapping, object.ID())
	switch {
	case err != nil:
		return nil, err
	case live != nil && t.spares(object, live):
		return nil, nil
	case live != nil:
		if object, _, err = t.written(ctx, object, live); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(object.Unstructured().Object)
	if err != nil {
		return nil, err
	}
	force := true
	would, err := t.resource(mapping, object.ID().Namespace).Patch(ctx, object.ID().Name, types.ApplyPatchType, body, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: FieldManager, Force: &force,
	})
	switch {
	case live == nil && apierrors.IsNotFound(err):
		would = object.Unstructured() // its namespace is not there either, so that it cannot be tried
	case err != nil:
		return nil, describe(object.String(), object.ID().Kind, err)
	}
	return newDifference(live, would), nil
}

// farewell is an object that the release does not have, nil if it is not there or not this Sync's.
func (o *Objects) farewell(ctx context.Context, id manifests.ID) (*Difference, error) {
	mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind())
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, describe(id.String(), id.Kind, err)
	}
	live, err := o.get(ctx, mapping, id)
	if err != nil || live == nil || ownerOf(live.GetLabels()) != o.sync {
		return nil, err
	}
	difference := newDifference(live, nil)
	difference.LetGo = stays(live)
	return difference, nil
}

// get reads an object, nil if it is not there.
func (o *Objects) get(ctx context.Context, mapping *meta.RESTMapping, id manifests.ID) (*unstructured.Unstructured, error) {
	live, err := o.resource(mapping, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, describe(id.String(), id.Kind, err)
}

// newDifference compares what people would write: nil if that is the same.
func newDifference(live, would *unstructured.Unstructured) *Difference {
	id := idOf(cmp.Or(live, would))
	live, would = maskPair(live, would)
	difference := &Difference{ID: id, Live: written(live), Would: written(would)}
	if reflect.DeepEqual(difference.Live, difference.Would) {
		return nil
	}
	return difference
}

// written is an object without what the API server says of it.
func written(u *unstructured.Unstructured) map[string]any {
	if u == nil {
		return nil
	}
	content := essence(u)
	for _, field := range []string{"uid", "creationTimestamp"} {
		unstructured.RemoveNestedField(content, "metadata", field)
	}
	return content
}
