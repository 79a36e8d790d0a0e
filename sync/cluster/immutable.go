package cluster

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// unchangeable is how the API server says that a field cannot be changed (k8s.io/kubernetes/pkg/apis/*/validation,
// k8s.io/apimachinery/pkg/api/validate). The message of an invalid value quotes the value before it says what is wrong,
// so that only the end of it counts; that of a forbidden one does not.
var unchangeable = map[metav1.CauseType]*regexp.Regexp{
	metav1.CauseTypeFieldValueInvalid: regexp.MustCompile(
		`: ([^:"]* )?(immutable|immutable after creation|immutable for unsuspended job once set|may not change once set|cannot change roleRef|` +
			`may not be changed in an update|may not be updated|field cannot be (modified|cleared) once set)\.?$`),
	"FieldValueForbidden": regexp.MustCompile("^Forbidden: (" +
		"field is immutable|spec is immutable after creation|spec.persistentvolumesource is immutable after creation|" +
		"updates to .* are forbidden|may not be changed in an update|may not be updated|pod updates may not change fields other than)"),
}

// isImmutable tells whether an API error says of fields that they cannot be changed, and of nothing else.
func isImmutable(err error) bool {
	found, total := immutableCauses(err)
	return found > 0 && found == total
}

func immutableCauses(err error) (found, total int) {
	for _, cause := range causesOf(err) {
		if pattern := unchangeable[cause.Type]; pattern != nil && pattern.MatchString(cause.Message) {
			found++
		}
		total++
	}
	return found, total
}

func causesOf(err error) []metav1.StatusCause {
	status, ok := err.(apierrors.APIStatus)
	if !apierrors.IsInvalid(err) || !ok || status.Status().Details == nil {
		return nil
	}
	return status.Status().Details.Causes
}

// recreatable refuses to delete a live object and make it anew, for a field that cannot be changed, unless people have
// allowed that, in Git or on the live object. The latter lets a rollback go back.
func (o *Objects) recreatable(object manifests.Object, live *unstructured.Unstructured, cause error) error {
	allowed := func(annotation string) bool {
		return object.Annotation(annotation) == "enabled" || live.GetAnnotations()[annotation] == "enabled"
	}
	var needs []string
	if !allowed(manifests.AnnotationForce) {
		needs = append(needs, manifests.AnnotationForce+": enabled")
	}
	if precious[object.ID().GroupKind()] && !allowed(manifests.AnnotationPrune) {
		needs = append(needs, manifests.AnnotationPrune+": enabled, for what it holds goes with it")
	}
	refused := describe(object.String(), object.ID().Kind, cause).(*Error)
	switch {
	case ownerOf(live.GetLabels()) != o.sync:
		refused.Detail += "; the object was there before and is nobody's: delete it, or write this field as it is"
		return refused
	case len(needs) > 0:
		refused.Detail += "; a field that cannot be changed needs a new object: write it as it was, or annotate the object with " +
			strings.Join(needs, " and ")
		return refused
	}
	return nil
}

// recreate deletes a live object, if that is allowed, and makes it anew once it is gone.
func (o *Objects) recreate(ctx context.Context, w write, cause error) (metav1.Object, error) {
	id := w.object.ID()
	client := o.resource(w.mapping, id.Namespace)
	live, err := client.Get(ctx, id.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if err := o.recreatable(w.object, live, cause); err != nil {
		return nil, err
	}
	if live.GetDeletionTimestamp() == nil {
		uid := live.GetUID()
		o.cluster.watches.Replacing(uid)
		err := client.Delete(ctx, id.Name, exactly(uid))
		if err != nil && !apierrors.IsNotFound(err) {
			o.cluster.watches.NotDeleted(id, uid)
			return nil, err
		}
		live, err = client.Get(ctx, id.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			applied, _, err := o.patch(ctx, w)
			return applied, err
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, leaving(w.object, live)
}

// leaving says that an object has to be gone before it can be made anew.
func leaving(object manifests.Object, live *unstructured.Unstructured) error {
	detail := "it is being deleted, to be made anew with fields that cannot be changed"
	if finalizers := live.GetFinalizers(); len(finalizers) > 0 {
		slices.Sort(finalizers)
		detail += fmt.Sprintf("; it waits for %s", strings.Join(finalizers, ", "))
	}
	return &Error{Reason: "Recreating", Object: object.String(), Detail: detail, Temporary: true}
}
