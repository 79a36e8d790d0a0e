package cluster

// FAULTS "Apply": immutable field → recreated with belay.dev/force, once what is wanted has proved to be valid.

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestWhatIsSaidOfAnotherNameIsNotTheObjectsFault(t *testing.T) {
	name := field.Invalid(field.NewPath("metadata", "name"), "belay-trial-x", `must be spec.names.plural+"."+spec.group`)
	scope := field.NotSupported(field.NewPath("spec", "scope"), "Moon", []string{"Cluster", "Namespaced"})
	invalid := func(causes ...*field.Error) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "CustomResourceDefinition"}, "belay-trial-x", causes)
	}
	policy := invalid()
	policy.(*apierrors.StatusError).ErrStatus.Message = "ValidatingAdmissionPolicy 'names' with binding 'names' denied request: no trials here"
	for _, test := range []struct {
		what string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"its name", invalid(name), false},
		{"its scope", invalid(scope), true},
		{"both", invalid(name, scope), true},
		{"a field that is not known", apierrors.NewBadRequest(`unknown field "spec.replica"`), true},
		{"a policy", policy, false},
		{"a port that the live one has", invalid(field.Invalid(field.NewPath("spec", "ports").Index(0).Child("nodePort"), 30000, "provided port is already allocated")), false},
		{"a right", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("no")), false},
		{"without causes", &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonInvalid, Code: 422, Message: "no"}}, true},
	} {
		if got := isInvalidItself(test.err); got != test.want {
			t.Errorf("%s: got %t", test.what, got)
		}
	}
}
