// Fault: a Secret's value is shown by a command that shows objects.

package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestOfASecretOnlyTheKeysAreShown(t *testing.T) {
	const applied = "kubectl.kubernetes.io/last-applied-configuration"
	for _, test := range []struct {
		name        string
		given, want map[string]any
	}{
		{"its values, equal or not",
			map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"a": "aHVudGVyMg==", "b": "aHVudGVyMg==", "c": "eA=="}, "stringData": map[string]any{"d": ""}},
			map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"a": "***", "b": "***", "c": "***"}, "stringData": map[string]any{"d": "***"}}},
		{"kubectl's copy of it",
			map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"annotations": map[string]any{applied: `{"data":{"a":"aHVudGVyMg=="}}`, "team": "shop"}}},
			map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"annotations": map[string]any{applied: "***", "team": "shop"}}}},
		{"values where no values belong",
			map[string]any{"apiVersion": "v1", "kind": "Secret", "data": "aHVudGVyMg==", "stringData": []any{"x"}},
			map[string]any{"apiVersion": "v1", "kind": "Secret", "data": "***", "stringData": "***"}},
		{"nothing where there is nothing",
			map[string]any{"apiVersion": "v1", "kind": "Secret", "data": nil, "type": "Opaque"},
			map[string]any{"apiVersion": "v1", "kind": "Secret", "data": nil, "type": "Opaque"}},
		{"and all of another kind",
			map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": "x"}},
			map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": "x"}}},
		{"also if it is only called a Secret",
			map[string]any{"apiVersion": "vault.example/v1", "kind": "Secret", "data": map[string]any{"a": "path"}},
			map[string]any{"apiVersion": "vault.example/v1", "kind": "Secret", "data": map[string]any{"a": "path"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			given := &unstructured.Unstructured{Object: test.given}
			before := given.DeepCopy()
			if diff := cmp.Diff(test.want, Mask(given).Object); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before.Object, given.Object); diff != "" {
				t.Errorf("what was given has changed: %s", diff)
			}
		})
	}
}

func aSecret(data map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "key"}, "data": data}}
}

func TestAChangedSecretIsSeenToChangeAndNotHow(t *testing.T) {
	live := aSecret(map[string]any{"same": "eA==", "changed": "aHVudGVyMg==", "removed": "eA=="})
	would := aSecret(map[string]any{"same": "eA==", "changed": "aHVudGVyMw==", "added": "eA=="})
	got := newDifference(live, would)
	want := &Difference{ID: idOf(live),
		Live: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "key"},
			"data": map[string]any{"same": "***", "changed": "*** (before)", "removed": "***"}},
		Would: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "key"},
			"data": map[string]any{"same": "***", "changed": "*** (after)", "added": "***"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := newDifference(live, live.DeepCopy()); got != nil {
		t.Errorf("the same twice differs: %v", got)
	}
	if got := newDifference(nil, live); got.Live != nil || got.Would["data"].(map[string]any)["changed"] != "***" {
		t.Errorf("one that is missing: %v", got)
	}
	if got := newDifference(live, nil); got.Would != nil || got.Live["data"].(map[string]any)["changed"] != "***" {
		t.Errorf("one that would go: %v", got)
	}
}

func TestWhatTheAPIServerSaysOfAnObjectIsNoDifference(t *testing.T) {
	object := func(version string, replicas int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{"name": "cart", "resourceVersion": version, "uid": version, "generation": replicas, "creationTimestamp": version, "managedFields": []any{version}},
			"spec":     map[string]any{"replicas": int64(3)}, "status": map[string]any{"replicas": replicas}}}
	}
	if got := newDifference(object("1", 1), object("2", 2)); got != nil {
		t.Errorf("got %v", got)
	}
}
