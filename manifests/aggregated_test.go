package manifests

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestOnlyAggregatedClusterRolesLoseTheirRules(t *testing.T) {
	const group = "rbac.authorization.k8s.io/v1"
	for _, test := range []struct {
		name, apiVersion, kind string
		aggregates             any
		keeps                  bool
	}{
		{"aggregated", group, "ClusterRole", map[string]any{"clusterRoleSelectors": []any{}}, false},
		{"not aggregated", group, "ClusterRole", nil, true},
		{"a Role", group, "Role", map[string]any{}, true},
		{"of another group", "example.org/v1", "ClusterRole", map[string]any{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": test.apiVersion, "kind": test.kind,
				"metadata": map[string]any{"name": "a"}, "rules": []any{}, "aggregationRule": test.aggregates}}
			o, err := NewObject(u, "a.yaml")
			if err != nil {
				t.Fatal(err)
			}
			set, err := NewSet(o)
			if err != nil {
				t.Fatal(err)
			}
			if set, err = set.WithoutAggregatedRules(); err != nil {
				t.Fatal(err)
			}
			if _, keeps := set.Objects()[0].Unstructured().Object["rules"]; keeps != test.keeps {
				t.Errorf("keeps them: %t", keeps)
			}
		})
	}
}
