package manifests

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	configMap  = ID{Kind: "ConfigMap", Namespace: "shop", Name: "cart"}
	namespace  = ID{Kind: "Namespace", Name: "shop"}
	service    = ID{Kind: "Service", Namespace: "shop", Name: "cart"}
	otherShop  = ID{Kind: "Service", Namespace: "shop-2", Name: "cart"}
	deployment = ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
)

func TestIDsAreOrderedByGroupKindNamespaceAndName(t *testing.T) {
	want := []ID{
		configMap, namespace,
		{Kind: "Service", Name: "z"},
		{Kind: "Service", Namespace: "shop", Name: "aa"}, service, otherShop,
		{Group: "apps", Kind: "DaemonSet", Namespace: "a", Name: "a"}, deployment,
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, ID.Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnIDReadsLikeAPath(t *testing.T) {
	for id, want := range map[ID]string{
		deployment: "Deployment/shop/cart",
		namespace:  "Namespace/shop",
	} {
		if got := id.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestUnionIsSortedWithoutRepeatsAndLeavesItsArgumentsAlone(t *testing.T) {
	first, second := []ID{service, configMap, service}, []ID{deployment, configMap}
	got := Union(first, nil, second)
	if diff := cmp.Diff([]ID{configMap, service, deployment}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]ID{service, configMap, service}, first); diff != "" {
		t.Error("the first list was changed:", diff)
	}
	if got := Union(); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestWithoutKeepsTheOrderAndLeavesItsArgumentsAlone(t *testing.T) {
	list := []ID{service, deployment, configMap, otherShop}
	got := Without(list, []ID{deployment, namespace})
	if diff := cmp.Diff([]ID{service, configMap, otherShop}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]ID{service, deployment, configMap, otherShop}, list); diff != "" {
		t.Error("the list was changed:", diff)
	}
}

func TestNamesListsAFewAndCountsTheRest(t *testing.T) {
	ids := []ID{service, configMap, namespace}
	for limit, want := range map[int]string{
		1: "Service/shop/cart and 2 more",
		2: "Service/shop/cart, ConfigMap/shop/cart and 1 more",
		3: "Service/shop/cart, ConfigMap/shop/cart, Namespace/shop",
		9: "Service/shop/cart, ConfigMap/shop/cart, Namespace/shop",
	} {
		if got := Names(ids, limit); got != want {
			t.Errorf("%d of them: got %q, want %q", limit, got, want)
		}
	}
}

func TestRefusedResultsAreThoseThatHold(t *testing.T) {
	for result, want := range map[Result]bool{
		Applying: false, Kept: false, Superseded: false,
		RollingBack: true, RolledBack: true, RollbackFailed: true, Failed: true,
	} {
		if got := result.Refused(); got != want {
			t.Errorf("%s: got %t", result, got)
		}
	}
}
