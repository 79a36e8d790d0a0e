package cluster

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// Apply writes objects side by side. All of them are tried, whatever becomes of the others. Those are put off that need a
// webhook or an API which does not answer yet, if nothing worse was met.
func (o *Objects) Apply(ctx context.Context, objects []manifests.Object, insist bool) (putOff []manifests.Object, err error) {
	errs := make([]error, len(objects))
	each(len(objects), func(i int) { errs[i] = o.applyOne(ctx, objects[i], insist) })
	for i, err := range errs {
		if err != nil && !passes(err) {
			return nil, all(errs)
		}
		if err != nil {
			putOff = append(putOff, objects[i])
		}
	}
	return putOff, all(errs)
}

// unanswered tells an API server that comes with the same objects, and does not answer yet, from Kubernetes' own being away.
func (o *Objects) unanswered(object manifests.Object, err error) error {
	described := describe(object.String(), object.ID().Kind, err)
	var refusal *Error
	if errors.As(described, &refusal) && apierrors.IsServiceUnavailable(err) && o.served[object.ID().Group] {
		refusal.Reason = "APIUnavailable"
	}
	return described
}

// After takes over what the view of the pass before has found out about objects that are to be written still.
func (o *Objects) After(before *Objects) {
	if before != nil {
		o.approaches, o.served = before.approaches, before.served
	}
}

// passes tells the refusals that are over once a pod runs, or a CRD is established.
func passes(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && slices.Contains([]string{"WebhookUnavailable", "APIUnavailable", "UnknownKind"}, refusal.Reason)
}

func (o *Objects) applyOne(ctx context.Context, object manifests.Object, insist bool) error {
	mapping, err := o.mapping(object)
	if err != nil {
		return err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace && object.ID().Namespace == "" { // nobody knew: see Place
		return &Error{Reason: "Invalid", Object: object.String(), Detail: "it comes with the API server that knows its kind, so that " +
			"it was not known to have a namespace: write metadata.namespace"}
	}
	w := write{mapping: mapping, object: object, insist: insist, approach: o.approaches[object.ID()]}
	apply := o.applied
	if object.CreatedOnly() {
		apply = o.created
	}
	if err := apply(ctx, w); err != nil {
		return o.unanswered(object, err)
	}
	o.cluster.handover.settle(o.sync, object.ID())
	return nil
}

// created creates an object that is not to be changed. One that is there by now is left alone.
func (o *Objects) created(ctx context.Context, w write) error {
	id := w.object.ID()
	created, err := o.resource(w.mapping, id.Namespace).Create(ctx, w.object.Unstructured(), metav1.CreateOptions{
		FieldManager: createManager, FieldValidation: metav1.FieldValidationStrict,
	})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err == nil {
		o.cluster.watches.Wrote(o.sync, id, created.GetResourceVersion())
	}
	return err
}

// applied applies an object, by whatever way Differing found that there is.
func (o *Objects) applied(ctx context.Context, w write) error {
	// Where the answer is lost, something else may be there than was before, with the same marks.
	o.cluster.watches.disproved(o.sync, w.object.ID())
	if w.entangled {
		if _, err := o.disentangle(ctx, w, taking(w.byHand)); err != nil {
			return err
		}
	}
	applied, _, err := o.patch(ctx, w)
	switch {
	case isImmutable(err):
		applied, err = o.recreate(ctx, w, err)
	case apierrors.IsInvalid(err):
		applied, err = o.cleared(ctx, w, taking(w.pick(err)), err)
	case isOutdated(err):
		applied, err = o.cleared(ctx, w, updating(w.object.GroupVersionKind().GroupVersion()), err)
	}
	if err != nil {
		return err
	}
	if len(w.account) > 0 { // it is gone; that it is empty is not to be belay's
		w.account = nil
		if applied, _, err = o.patch(ctx, w); err != nil {
			return err
		}
	}
	o.wrote(w, applied)
	if holders(applied.GetManagedFields(), w.byHand) == "" {
		return nil
	}
	// Somebody was there in between, or the API server has only now given names to who wrote the object before.
	applied, err = o.cleared(ctx, w, taking(w.byHand), nil)
	if err == nil {
		o.wrote(w, applied)
	}
	return err
}

// wrote notes an object that was applied as it is wanted.
func (o *Objects) wrote(w write, applied metav1.Object) {
	o.cluster.watches.Wrote(o.sync, w.object.ID(), applied.GetResourceVersion())
	o.cluster.watches.proved(o.sync, w.object.ID(), w.evidence, applied)
}

// cleared applies an object that was refused once more, after its managedFields have changed.
func (o *Objects) cleared(ctx context.Context, w write, change ownership, refusal error) (metav1.Object, error) {
	changed, err := o.disentangle(ctx, w, change)
	if err == nil && !changed {
		err = refusal
	}
	if err != nil {
		return nil, err
	}
	applied, _, err := o.patch(ctx, w)
	return applied, err
}

// ownership changes managedFields.
type ownership = func([]metav1.ManagedFieldsEntry) (entries []metav1.ManagedFieldsEntry, changed bool, err error)

// taking makes belay the owner of what pick picks.
func taking(pick picker) ownership {
	return func(entries []metav1.ManagedFieldsEntry) ([]metav1.ManagedFieldsEntry, bool, error) {
		return takeOver(entries, pick)
	}
}

// disentangle changes who owns what of a live object.
func (o *Objects) disentangle(ctx context.Context, w write, change ownership) (changed bool, err error) {
	id := w.object.ID()
	resource := o.resource(w.mapping, id.Namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := resource.Get(ctx, id.Name, metav1.GetOptions{})
		if err != nil {
			return client.IgnoreNotFound(err)
		}
		entries, differ, err := change(live.GetManagedFields())
		if err != nil || !differ {
			return err
		}
		body, err := managedFieldsPatch(live, entries)
		if err != nil {
			return err
		}
		written, err := resource.Patch(ctx, id.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: FieldManager})
		if err == nil {
			changed = true
			o.cluster.watches.Wrote(o.sync, id, written.GetResourceVersion())
		}
		return err
	})
	return changed, err
}
