package cluster

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAChangedSyncCallsThoseThatDependOnIt(t *testing.T) {
	name := func(namespace, name string) types.NamespacedName {
		return types.NamespacedName{Namespace: namespace, Name: name}
	}
	d := newDependents()
	called := func(sync types.NamespacedName, on ...v1alpha1.Dependency) []string {
		var names []string
		for _, other := range d.saw(sync, on) {
			names = append(names, other.String())
		}
		slices.Sort(names)
		return names
	}
	check := func(what string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("of a Sync that nobody depends on", called(name("shop", "a"), v1alpha1.Dependency{Name: "base"}))
	check("of another", called(name("web", "a"), v1alpha1.Dependency{Name: "base", Namespace: "shop"}, v1alpha1.Dependency{Name: "a", Namespace: "shop"}))
	check("of what both depend on", called(name("shop", "base")), "shop/a", "web/a")
	check("of what one depends on", called(name("shop", "a"), v1alpha1.Dependency{Name: "base"}), "web/a")
	check("of one of the same name", called(name("web", "base")))
	check("of one that depends on nothing any more", called(name("shop", "a")), "web/a")
	check("of what it depended on", called(name("shop", "base")), "web/a")
	check("of one that is gone", called(name("web", "a")))
	check("of what nobody depends on any more", called(name("shop", "base")))
	if len(d.of) > 0 || len(d.on) > 0 {
		t.Errorf("remembered for nothing: %v, %v", d.of, d.on)
	}
}
