package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// objects makes objects of "apiVersion Kind name".
func objects(t *testing.T, named ...[3]string) []manifests.Object {
	t.Helper()
	var list []manifests.Object
	for _, n := range named {
		o, err := manifests.NewObject(&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": n[0], "kind": n[1], "metadata": map[string]any{"name": n[2]},
		}}, "x.yaml")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, o)
	}
	return list
}

func idsIn(list []manifests.Object) []string {
	var names []string
	for _, o := range list {
		names = append(names, o.ID().String())
	}
	return names
}

func TestPlanWritesTierAfterTierWhatDiffersAndPrunesWhatHasLeft(t *testing.T) {
	all := objects(t,
		[3]string{"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "hook"},
		[3]string{"apps/v1", "Deployment", "b"},
		[3]string{"example.org/v1", "Thing", "a"},
		[3]string{"v1", "Secret", "s"},
		[3]string{"apiextensions.k8s.io/v1", "CustomResourceDefinition", "things"},
		[3]string{"v1", "Namespace", "shop"},
		[3]string{"v1", "ConfigMap", "unchanged"},
	)
	set, err := manifests.NewSet(all...)
	if err != nil {
		t.Fatal(err)
	}
	gone := manifests.ID{Kind: "ConfigMap", Name: "gone"}
	release := manifests.Release{Objects: set, Owned: []manifests.ID{gone, all[3].ID(), all[1].ID()}}

	p := plan(release, all[:6])
	var got [][]string
	for _, tier := range p.Waves[0].Tiers {
		got = append(got, idsIn(tier))
	}
	want := [][]string{
		{"CustomResourceDefinition/things", "Namespace/shop"}, {"Secret/s"}, {"Deployment/b"}, {"Thing/a"}, {"ValidatingWebhookConfiguration/hook"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]manifests.ID{gone}, p.Prune); diff != "" {
		t.Error(diff)
	}
	if p := plan(release, nil); len(p.Waves) != 0 {
		t.Errorf("with nothing that differs: %v", p.Waves)
	}
}

func TestTiers(t *testing.T) {
	for want, kinds := range map[int][]schema.GroupKind{
		definitionTier: {{Kind: "Namespace"}, {Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}, {Group: "storage.k8s.io", Kind: "StorageClass"}},
		configTier: {{Kind: "ServiceAccount"}, {Kind: "Secret"}, {Kind: "ConfigMap"}, {Kind: "Service"}, {Kind: "PersistentVolumeClaim"},
			{Group: "rbac.authorization.k8s.io", Kind: "Role"}, {Group: "networking.k8s.io", Kind: "NetworkPolicy"}},
		bindingTier:   {{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}, {Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}},
		workloadTier:  {{Group: "apps", Kind: "Deployment"}, {Kind: "Pod"}, {Group: "batch", Kind: "Job"}, {Group: "networking.k8s.io", Kind: "Ingress"}},
		customTier:    {{Group: "gateway.networking.k8s.io", Kind: "Gateway"}, {Group: "example.org", Kind: "Anything"}, {Group: "serving.knative.dev", Kind: "Service"}, {Group: "example.org", Kind: "Namespace"}},
		admissionTier: {{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}, {Group: "apiregistration.k8s.io", Kind: "APIService"}},
	} {
		for _, kind := range kinds {
			if got := tier(kind); got != want {
				t.Errorf("%s is in tier %d, want %d", kind, got, want)
			}
		}
	}
}

func TestUndoingGoesBackwardsThroughTheTiers(t *testing.T) {
	ids := []manifests.ID{
		{Kind: "ConfigMap", Name: "a"}, {Kind: "Namespace", Name: "shop"}, {Kind: "Pod", Name: "a"}, {Kind: "ConfigMap", Name: "b"},
		{Group: "apiregistration.k8s.io", Kind: "APIService", Name: "x"}, {Group: "apps", Kind: "Deployment", Name: "b"},
		{Group: "example.org", Kind: "Thing", Name: "a"},
	}
	want := [][]manifests.ID{{ids[4]}, {ids[6]}, {ids[2], ids[5]}, {ids[0], ids[3]}, {ids[1]}}
	given := append([]manifests.ID(nil), ids...)
	if diff := cmp.Diff(want, undoing(ids)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(given, ids); diff != "" {
		t.Error("the list was changed:", diff)
	}
}

func TestObjectsOfAnAPIServiceComeAfterItAndGoBeforeIt(t *testing.T) {
	all := objects(t,
		[3]string{"metrics.example.org/v1", "Gauge", "g"},
		[3]string{"apiregistration.k8s.io/v1", "APIService", "v1.metrics.example.org"},
		[3]string{"example.org/v1", "Thing", "a"},
		[3]string{"apps/v1", "Deployment", "server"},
	)
	set, err := manifests.NewSet(all...)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, tier := range plan(manifests.Release{Objects: set}, all).Waves[0].Tiers {
		got = append(got, idsIn(tier))
	}
	want := [][]string{{"Deployment/server"}, {"Thing/a"}, {"APIService/v1.metrics.example.org"}, {"Gauge/g"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if first := undoing(set.IDs())[0]; len(first) != 1 || first[0].Kind != "Gauge" {
		t.Errorf("%v goes first", first)
	}
}
