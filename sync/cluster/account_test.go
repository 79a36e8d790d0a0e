package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestAnAccountThatLeavesGitIsTakenAwayWithItsAlias(t *testing.T) {
	deployment := func(spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{"name": "web"}, "spec": map[string]any{"template": map[string]any{"spec": spec}}}}
	}
	live := func(manager, fields string) *unstructured.Unstructured {
		u := deployment(map[string]any{accountName: "robot", accountAlias: "robot"})
		u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: manager, Operation: metav1.ManagedFieldsOperationApply,
			FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}})
		return u
	}
	const owned = `{"f:spec":{"f:template":{"f:spec":{"f:serviceAccountName":{}}}}}`
	where := []string{"spec", "template", "spec"}
	none := deployment(map[string]any{})
	for _, test := range []struct {
		name         string
		object, live *unstructured.Unstructured
		want         []string
	}{
		{"belay gave it", none, live(FieldManager, owned), where},
		{"it stays", deployment(map[string]any{accountName: "robot"}), live(FieldManager, owned), nil},
		{"Git has the alias", deployment(map[string]any{accountAlias: "robot"}), live(FieldManager, owned), nil},
		{"somebody else gave it", none, live("lens", owned), nil},
		{"admission gave it", none, live(FieldManager, `{"f:spec":{}}`), nil},
		{"there is none", none, none, nil},
	} {
		if diff := cmp.Diff(test.want, leavesAccount(test.object, test.live)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}

	sent, err := withoutAccount(none.Object, where)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deployment(map[string]any{accountName: "", accountAlias: ""}).Object, sent); diff != "" {
		t.Errorf("what is sent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(deployment(map[string]any{}).Object, none.Object); diff != "" {
		t.Errorf("the object itself has changed:\n%s", diff)
	}
}
