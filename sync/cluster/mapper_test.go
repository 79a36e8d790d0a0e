package cluster

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// changingMapper is a mapper whose cluster changes. It notes what it is asked.
type changingMapper struct {
	meta.RESTMapper
	scopes map[string]meta.RESTScope // by kind
	asked  []string
}

func (m *changingMapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	m.asked = append(m.asked, gk.Kind)
	scope := m.scopes[gk.Kind]
	if scope == nil {
		return nil, &meta.NoKindMatchError{GroupKind: gk, SearchedVersions: versions}
	}
	return &meta.RESTMapping{Scope: scope}, nil
}

func TestRememberingMapper(t *testing.T) {
	of := func(kind string) schema.GroupKind { return schema.GroupKind{Group: "acme.dev", Kind: kind} }
	cluster := &changingMapper{scopes: map[string]meta.RESTScope{"Cart": meta.RESTScopeNamespace}}
	m := &rememberingMapper{RESTMapper: cluster}
	ask := func(kind string, want meta.RESTScope, versions ...string) {
		t.Helper()
		got, err := m.RESTMapping(of(kind), versions...)
		switch {
		case want == nil && !meta.IsNoMatchError(err):
			t.Errorf("%s: got %v, %v, want it not to be there", kind, got, err)
		case want != nil && (err != nil || got.Scope != want):
			t.Errorf("%s: got %v, %v, want %v", kind, got, err, want)
		}
	}
	asked := func(want ...string) {
		t.Helper()
		if !slices.Equal(cluster.asked, want) {
			t.Errorf("asked for %q, want %q", cluster.asked, want)
		}
		cluster.asked = nil
	}
	ask("Cart", meta.RESTScopeNamespace, "v1")
	ask("Cart", meta.RESTScopeNamespace, "v1")
	asked("Cart")
	ask("Cart", meta.RESTScopeNamespace, "v2") // another one
	ask("Cart", meta.RESTScopeNamespace)       // which version it prefers may change
	ask("Cart", meta.RESTScopeNamespace)
	ask("Cart", meta.RESTScopeNamespace, "")
	ask("Cart", meta.RESTScopeNamespace, "")
	asked("Cart", "Cart", "Cart", "Cart", "Cart")
	cluster.scopes["Cart"] = meta.RESTScopeRoot
	ask("Cart", meta.RESTScopeNamespace, "v1") // nothing has told that it is another one
	asked()
	ask("Order", nil, "v1")
	ask("Cart", meta.RESTScopeRoot, "v1")
	asked("Order", "Cart")
	cluster.scopes["Order"] = meta.RESTScopeNamespace
	ask("Order", meta.RESTScopeNamespace, "v1") // it has come
	ask("Order", meta.RESTScopeNamespace, "v1")
	asked("Order")
}
