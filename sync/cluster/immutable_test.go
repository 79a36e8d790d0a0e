package cluster

// Fault "Apply": an object is made anew for a field that cannot be changed and for nothing else (flux2#4392). The
// messages are those of Kubernetes 1.36.

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

func refusedFor(causes ...metav1.StatusCause) error {
	err := apierrors.NewInvalid(deploymentKind, "cart", nil)
	err.ErrStatus.Details.Causes = causes
	return err
}

func TestOnlyFieldsThatCannotBeChangedCountAsImmutable(t *testing.T) {
	invalid := func(message string) metav1.StatusCause {
		return metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Message: "Invalid value: " + message}
	}
	forbidden := func(message string) metav1.StatusCause {
		return metav1.StatusCause{Type: "FieldValueForbidden", Message: "Forbidden: " + message}
	}
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"a selector", refusedFor(invalid(`{"matchLabels":{"app":"x"}}: field is immutable`)), true},
		{"a clusterIP", refusedFor(invalid(`["None"]: may not change once set`)), true},
		{"a roleRef", refusedFor(invalid(`{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"z"}: cannot change roleRef`)), true},
		{"a StatefulSet", refusedFor(invalid(`{"matchLabels":{"a":"c"}}: field is immutable`),
			forbidden("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")), true},
		{"a claim", refusedFor(forbidden("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n@@ -1,6 +1,6 @@\n {\n")), true},
		{"a volume", refusedFor(forbidden("spec.persistentvolumesource is immutable after creation\n x")), true},
		{"a ConfigMap", refusedFor(forbidden("field is immutable when `immutable` is set")), true},
		{"a StorageClass", refusedFor(forbidden("updates to parameters are forbidden.")), true},
		{"a Pod", refusedFor(forbidden("pod updates may not change fields other than `spec.containers[*].image`\n x")), true},
		{"a priority", refusedFor(forbidden("may not be changed in an update.")), true},
		{"a rule of a custom resource", refusedFor(invalid(`"object": Value is immutable`)), true},

		{"an invalid value beside it", refusedFor(invalid(`{}: field is immutable`), invalid(`-3: must be greater than or equal to 0`)), false},
		{"a value that says so", refusedFor(invalid(`"x: field is immutable": a lowercase RFC 1123 label must consist of lower case`)), false},
		{"a quoted value at the end", refusedFor(invalid(`"a": must not be ": immutable"`)), false},
		{"another forbidden thing", refusedFor(forbidden("may not be specified when `immutable` is")), false},
		{"no cause", refusedFor(), false},
		{"a conflict", apierrors.NewConflict(deploymentResource, "cart", nil), false},
		{"a webhook that says so", apierrors.NewBadRequest(`admission webhook "x" denied the request: field is immutable`), false},
		{"no error", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := isImmutable(test.err); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestWhoMayMakeAnObjectAnewIsSaidInGitOrOnTheObject(t *testing.T) {
	const labels = `labels: {belay.dev/sync: app, belay.dev/namespace: shop}`
	cause := refusedFor(metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Message: "Invalid value: {}: field is immutable"})
	for _, test := range []struct {
		name, kind, git, there string
		refused                string // nothing where it is allowed
	}{
		{"in Git", "Service", `annotations: {belay.dev/force: enabled}`, labels, ""},
		{"on the object, which lets a rollback go back", "Service", `{}`, labels + `, annotations: {belay.dev/force: enabled}`, ""},
		{"nowhere", "Service", `{}`, labels, "annotate the object with belay.dev/force: enabled"},
		{"disabled", "Service", `annotations: {belay.dev/force: disabled}`, labels, "belay.dev/force: enabled"},
		{"for what holds data", "PersistentVolumeClaim", `annotations: {belay.dev/force: enabled}`, labels, "annotate the object with belay.dev/prune: enabled"},
		{"for what holds data, twice", "PersistentVolumeClaim", `annotations: {belay.dev/force: enabled, belay.dev/prune: enabled}`, labels, ""},
		{"of nobody's", "Service", `annotations: {belay.dev/force: enabled}`, `{}`, "nobody's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			metadata := func(text string) string {
				return `{apiVersion: v1, kind: ` + test.kind + `, metadata: {name: cart, namespace: shop` + strings.TrimSuffix(", "+text, ", {}") + `}}`
			}
			object, err := manifests.NewObject(live(t, metadata(test.git)), "cart.yaml")
			if err != nil {
				t.Fatal(err)
			}
			o := &Objects{sync: types.NamespacedName{Namespace: "shop", Name: "app"}}
			err = o.recreatable(object, live(t, metadata(test.there)), cause)
			switch {
			case test.refused == "" && err != nil:
				t.Error(err)
			case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("got %v", err)
			}
		})
	}
}
