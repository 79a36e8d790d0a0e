package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	deploymentResource = schema.GroupResource{Group: "apps", Resource: "deployments"}
	deploymentKind     = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	replicas           = field.NewPath("spec", "replicas")
)

func terminating() error {
	err := apierrors.NewForbidden(deploymentResource, "cart", errors.New("unable to create new content in namespace shop because it is being terminated"))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: causeNamespaceTerminating, Field: "metadata.namespace"}}
	return err
}

func TestEachRefusalHasItsClass(t *testing.T) {
	internal := func(text string) error { return apierrors.NewInternalError(errors.New(text)) }
	forbidden := func(text string) error { return apierrors.NewForbidden(deploymentResource, "cart", errors.New(text)) }
	invalid := func(e *field.Error) error { return apierrors.NewInvalid(deploymentKind, "cart", field.ErrorList{e}) }
	for _, test := range []struct {
		name      string
		err       error
		reason    string
		temporary bool
	}{
		{"a namespace that goes away", terminating(), "NamespaceTerminating", true},
		{"a webhook that is not up", internal(`failed calling webhook "x.example.org": Post "https://x.svc": connection refused`), "WebhookUnavailable", true},
		{"a webhook that says no", forbidden(`admission webhook "x.example.org" denied the request: no latest tag`), "AdmissionDenied", false},
		{"a webhook that says no with another code", apierrors.NewBadRequest(`admission webhook "x.example.org" denied the request: no`), "AdmissionDenied", false},
		{"a field that the schema lacks", internal(`failed to create typed patch object (shop/cart; apps/v1, Kind=Deployment): .spec.x: field not declared in schema`), "Invalid", false},
		{"a full quota", forbidden("exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"), "QuotaExceeded", true},
		{"a missing right", forbidden(`User "system:serviceaccount:shop:x" cannot patch resource "deployments" in API group "apps"`), "Forbidden", false},
		{"pod security", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "cart", errors.New(`violates PodSecurity "restricted:latest"`)), "AdmissionDenied", false},
		{"an immutable field", invalid(field.Invalid(replicas, 3, "field is immutable")), "ImmutableField", false},
		{"an invalid field", invalid(field.Invalid(replicas, -3, "must be greater than or equal to 0")), "Invalid", false},
		{"a bad request", apierrors.NewBadRequest("strict decoding error: unknown field"), "Invalid", false},
		{"an admission policy that says no", func() error {
			err := apierrors.NewInvalid(deploymentKind, "cart", nil)
			err.ErrStatus.Message = `deployments.apps "cart" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no latest tag`
			return err
		}(), "AdmissionDenied", false},
		{"an object that is too large", apierrors.NewRequestEntityTooLargeError("too large"), "Invalid", false},
		{"a race with somebody faster", apierrors.NewConflict(deploymentResource, "cart", errors.New("the object has been modified")), "Conflict", true},
		{"a conflict", apierrors.NewApplyConflict([]metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict}}, "Apply failed"), "Conflict", false},
		{"a missing object", apierrors.NewNotFound(deploymentResource, "cart"), "NotFound", true},
		{"a kind whose CRD has gone", apierrors.NewGenericServerResponse(http.StatusNotFound, "patch", schema.GroupResource{}, "", "", 0, true), "UnknownKind", true},
		{"too many requests", apierrors.NewTooManyRequests("slow down", 7), "ClusterUnavailable", true},
		{"an API server that starts", apierrors.NewServiceUnavailable("starting"), "ClusterUnavailable", true},
		{"a timeout", apierrors.NewTimeoutError("etcd", 1), "ClusterUnavailable", true},
		{"an expired token", apierrors.NewUnauthorized("Unauthorized"), "ClusterUnavailable", true},
		{"an error of the server", internal("etcdserver: leader changed"), "ClusterUnavailable", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := describe("Deployment/shop/cart (cart.yaml)", "Deployment", test.err)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			reason, temporary, _ := e.Describe()
			if reason != test.reason || temporary != test.temporary {
				t.Errorf("got %s, temporary %t, want %s, %t", reason, temporary, test.reason, test.temporary)
			}
			if !strings.HasPrefix(err.Error(), "Deployment/shop/cart (cart.yaml): ") {
				t.Errorf("the object is not named in %s", err)
			}
		})
	}
}

func TestTheServersWishToWaitIsHeard(t *testing.T) {
	var e *Error
	if !errors.As(describe("x", "Pod", apierrors.NewTooManyRequests("slow down", 7)), &e) || e.After != 7*time.Second {
		t.Errorf("got %+v", e)
	}
}

func TestAServerThatCannotBeReachedIsTemporary(t *testing.T) {
	for _, err := range []error{errors.New("dial tcp: connection refused"), context.DeadlineExceeded, context.Canceled} {
		var e *Error
		if !errors.As(describe("x", "Pod", err), &e) || e.Reason != "ClusterUnavailable" || !e.Temporary {
			t.Errorf("%v: got %+v", err, e)
		}
	}
	if describe("x", "Pod", nil) != nil {
		t.Error("nothing is an error")
	}
}

// The API server's words quote what it does not like.
func TestTheValuesOfASecretAreNeverTold(t *testing.T) {
	const value = "hunter2"
	secretKind, secretResource := schema.GroupKind{Kind: "Secret"}, schema.GroupResource{Resource: "secrets"}
	for name, err := range map[string]error{
		"an invalid value": apierrors.NewInvalid(secretKind, "db", field.ErrorList{field.Invalid(field.NewPath("data").Key("password"), value, "illegal base64: "+value)}),
		"a wrong type":     apierrors.NewBadRequest(`Secret in version "v1" cannot be handled: .stringData: expected map, got ` + value),
		"a webhook":        apierrors.NewForbidden(secretResource, "db", fmt.Errorf(`admission webhook "x" denied the request: password %s is weak`, value)),
		"a typed patch":    apierrors.NewInternalError(errors.New("failed to create typed patch object (shop/db; /v1, Kind=Secret): .stringData: expected map, got " + value)),
		"a server error":   apierrors.NewGenericServerResponse(http.StatusInternalServerError, "patch", secretResource, "db", value, 0, true),
	} {
		t.Run(name, func(t *testing.T) {
			got := describe("Secret/shop/db (db.yaml)", "Secret", err)
			for _, text := range []string{got.Error(), fmt.Sprint(got), fmt.Sprintf("%+v %#v", got, got)} {
				if strings.Contains(text, value) {
					t.Errorf("it says %s", text)
				}
			}
			if !strings.HasPrefix(got.Error(), "Secret/shop/db (db.yaml): ") {
				t.Errorf("the object is not named in %s", got)
			}
		})
	}
	t.Run("but the field is", func(t *testing.T) {
		err := apierrors.NewInvalid(secretKind, "db", field.ErrorList{field.Invalid(field.NewPath("data").Key("password"), value, "x")})
		if got := describe("", "Secret", err).Error(); !strings.Contains(got, "data[password]") {
			t.Errorf("it says %s", got)
		}
	})
}

func TestErrorsOfSeveralObjectsAreOne(t *testing.T) {
	failing := func(name string, temporary bool) error {
		return &Error{Reason: "Reason" + name, Object: name, Detail: "no", Temporary: temporary, After: time.Second}
	}
	t.Run("none of none", func(t *testing.T) {
		if err := all([]error{nil, nil}); err != nil {
			t.Errorf("got %v", err)
		}
		if err := all(nil); err != nil {
			t.Errorf("got %v", err)
		}
	})
	t.Run("one stays itself", func(t *testing.T) {
		var e *Error
		err := all([]error{nil, failing("a", true), nil})
		if !errors.As(err, &e) || e.Object != "a" || err.Error() != "a: no" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("temporary only if all are", func(t *testing.T) {
		for _, test := range []struct {
			errs []error
			want Error
		}{
			{[]error{failing("a", true), failing("b", true)}, Error{Reason: "Reasona", Detail: "a: no\nb: no", Temporary: true, After: time.Second}},
			{[]error{failing("a", true), nil, failing("b", false), failing("c", false)}, Error{Reason: "Reasonb", After: time.Second}},
			{[]error{failing("a", false), failing("b", true)}, Error{Reason: "Reasona", After: time.Second}},
		} {
			var e *Error
			if !errors.As(all(test.errs), &e) {
				t.Fatal("it is no Error")
			}
			got := *e
			if test.want.Detail == "" {
				got.Detail = ""
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		}
	})
	t.Run("which names three and counts the rest", func(t *testing.T) {
		err := all([]error{failing("a", true), failing("b", true), failing("c", true), failing("d", true), failing("e", true)})
		if want := "a: no\nb: no\nc: no\nand 2 more"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
	t.Run("and one of another kind is passed on", func(t *testing.T) {
		other := errors.New("other")
		if err := all([]error{failing("a", true), other}); !errors.Is(err, other) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOnlyKubectlsFieldsAreTakenOver(t *testing.T) {
	conflict := func(messages ...string) error {
		var causes []metav1.StatusCause
		for _, m := range messages {
			causes = append(causes, metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Message: m, Field: ".spec.replicas"})
		}
		return apierrors.NewApplyConflict(causes, "Apply failed")
	}
	for _, test := range []struct {
		name string
		err  error
		held string
		kept bool
	}{
		{"edited by hand", conflict(`conflict with "kubectl-edit" using apps/v1`), `manager "kubectl-edit" holds .spec.replicas`, false},
		{"applied by hand before", conflict(`conflict with "kubectl-client-side-apply" using apps/v1`, `conflict with "kubectl" using apps/v1`),
			`manager "kubectl-client-side-apply" holds .spec.replicas; manager "kubectl" holds .spec.replicas`, false},
		{"scaled by an autoscaler that is gone", conflict(`conflict with "kube-controller-manager" with subresource "scale" using apps/v1`),
			`manager "kube-controller-manager" holds .spec.replicas`, false},
		{"written by a controller", conflict(`conflict with "kube-controller-manager" using apps/v1`), `manager "kube-controller-manager" holds .spec.replicas`, true},
		{"by both", conflict(`conflict with "kubectl-edit"`, `conflict with "helm"`),
			`manager "kubectl-edit" holds .spec.replicas; manager "helm" holds .spec.replicas`, true},
		{"a conflict without a cause", conflict(), "", false},
		{"another refusal", apierrors.NewBadRequest("x"), "", false},
		{"no answer at all", errors.New("x"), "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if held, kept := conflicts(test.err); held != test.held || kept != test.kept {
				t.Errorf("got %s, kept %t", held, kept)
			}
		})
	}
}
