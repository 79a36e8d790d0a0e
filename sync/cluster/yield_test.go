package cluster

// Fault "Apply": HPA-owned replicas, and what spec.apply.ignore names, are never written once the object is there, and
// lose neither value nor owner (kubernetes#25238, helm#12486).

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAFieldIsLeftToTheLiveObject(t *testing.T) {
	const git = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, labels: {belay.dev/sync: shop, tier: web}}, spec: {replicas: 3, paused: false,
		template: {spec: {containers: [{name: a, image: "a:2"}, {name: b, image: "b:2"}]}}, rules: [{host: x}]}}`
	const there = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, labels: {belay.dev/sync: shop, tier: db, extra: "1"}}, spec: {replicas: 8,
		template: {spec: {containers: [{name: injected, image: "i:1"}, {name: b, image: "b:live"}, {name: a, image: "a:live"}]}}, rules: [{host: live}]}}`
	const containers = `"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}`
	holding := fields("belay", apply, "", `{"f:metadata":{"f:labels":{"f:tier":{},"f:belay.dev/sync":{}}},"f:spec":{"f:replicas":{},"f:rules":{},`+containers+`}}`)
	lost := fields("belay", apply, "", `{"f:spec":{`+containers+`}}`)
	other := fields("lens", update, "", `{"f:metadata":{"f:labels":{"f:extra":{}}},"f:spec":{"f:rules":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"b\"}":{"f:image":{}}}}}}}`)

	for _, test := range []struct {
		name, pointer string
		own           metav1.ManagedFieldsEntry
		field         []string
		want          any // nil for left out
	}{
		{"that belay holds", "/spec/replicas", holding, []string{"spec", "replicas"}, int64(8)},
		{"that somebody else holds", "/spec/replicas", lost, []string{"spec", "replicas"}, nil},
		{"that the live object does not have", "/spec/paused", holding, []string{"spec", "paused"}, nil},
		{"with a slash in its name", "/metadata/labels/belay.dev~1sync", lost, []string{"metadata", "labels", "belay.dev/sync"}, "shop"},
		{"that is a map, of which belay holds some", "/metadata/labels", holding, []string{"metadata", "labels"}, map[string]any{"belay.dev/sync": "shop", "tier": "db"}},
		{"that does not exist", "/spec/nothing/at/all", holding, []string{"spec", "replicas"}, int64(3)},
		{"that says which object it is", "/metadata/name", holding, []string{"metadata", "name"}, "cart"},
		{"in a list whose items have a key", "/spec/template/spec/containers/0/image", holding, []string{"spec", "template", "spec", "containers"},
			[]any{map[string]any{"name": "a", "image": "a:live"}, map[string]any{"name": "b", "image": "b:2"}}},
		{"in such a list, that somebody else holds", "/spec/template/spec/containers/1/image", holding, []string{"spec", "template", "spec", "containers"},
			[]any{map[string]any{"name": "a", "image": "a:2"}, map[string]any{"name": "b"}}},
		{"that is an item of such a list", "/spec/template/spec/containers/0", holding, []string{"spec", "template", "spec", "containers"},
			[]any{map[string]any{"name": "a", "image": "a:live"}, map[string]any{"name": "b", "image": "b:2"}}},
		{"of a list without keys", "/spec/rules/0/host", holding, []string{"spec", "rules"}, []any{map[string]any{"host": "live"}}},
		{"beyond the end of a list", "/spec/rules/7/host", holding, []string{"spec", "rules"}, []any{map[string]any{"host": "x"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, now := live(t, git), live(t, there)
			now.SetManagedFields([]metav1.ManagedFieldsEntry{test.own, other})
			yield(u, now, test.pointer)
			got, _, err := unstructured.NestedFieldNoCopy(u.Object, test.field...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Git has no replicas once there is an autoscaler. Without an owner the field would fall back to its default, 1.
func TestAFieldThatHasLeftGitKeepsItsOwner(t *testing.T) {
	u := live(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart}, spec: {paused: true}}`)
	now := live(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart}, spec: {replicas: 3}}`)
	now.SetManagedFields([]metav1.ManagedFieldsEntry{fields("belay", apply, "", `{"f:spec":{"f:replicas":{}}}`)})
	yield(u, now, "/spec/replicas")
	if got, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); got != 3 {
		t.Errorf("got %d", got)
	}
}

func TestItemsOfAListAreLeftOutFromItsEnd(t *testing.T) {
	rules := []v1alpha1.IgnoreRule{{Paths: []string{"/spec/x/2", "/spec/a", "/spec/x/10", "/spec/x/2/y"}}}
	want := []string{"/spec/a", "/spec/x/10", "/spec/x/2/y", "/spec/x/2"}
	if diff := cmp.Diff(want, pointersFor(rules, manifests.ID{Kind: "Thing"})); diff != "" {
		t.Error(diff)
	}
}

func TestRulesPickObjects(t *testing.T) {
	id := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	for _, test := range []struct {
		name   string
		target v1alpha1.Target
		want   bool
	}{
		{"all", v1alpha1.Target{}, true},
		{"by kind", v1alpha1.Target{Kind: "Deployment"}, true},
		{"by a wildcard", v1alpha1.Target{Name: "ca*"}, true},
		{"another kind", v1alpha1.Target{Kind: "Service", Name: "cart"}, false},
		{"another group", v1alpha1.Target{Group: "extensions"}, false},
		{"another namespace", v1alpha1.Target{Namespace: "other"}, false},
		{"a broken wildcard", v1alpha1.Target{Name: "["}, false},
	} {
		rules := []v1alpha1.IgnoreRule{{Target: test.target, Paths: []string{"/spec"}}}
		if got := len(pointersFor(rules, id)) == 1; got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}

func TestReplicasAreAnAutoscalersWhereThereIsOne(t *testing.T) {
	cart := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	foreign := *live(t, `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: cart, namespace: shop},
		spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}}}`)
	own := *foreign.DeepCopy()
	own.SetLabels(map[string]string{"mine": "yes"})
	scale := fields("kube-controller-manager", update, "scale", `{"f:spec":{"f:replicas":{}}}`)
	status := fields("kube-controller-manager", update, "status", `{"f:status":{}}`)

	for _, test := range []struct {
		name  string
		set   bool
		entry metav1.ManagedFieldsEntry
		there []unstructured.Unstructured
		err   error
		want  bool
	}{
		{name: "one in the same set", set: true, entry: status, want: true},
		{name: "a trace of one, and it is there", entry: scale, there: []unstructured.Unstructured{foreign}, want: true},
		{name: "a trace, and none is there", entry: scale},
		{name: "a trace, and they cannot be listed", entry: scale, err: errors.New("forbidden"), want: true},
		{name: "a trace of this Sync's own, which has left Git", entry: scale, there: []unstructured.Unstructured{own}},
		{name: "one that has never scaled, of other people's", entry: status, there: []unstructured.Unstructured{foreign}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &autoscalers{
				set:   map[manifests.ID]bool{cart: test.set},
				mine:  func(labels map[string]string) bool { return labels["mine"] != "" },
				list:  func(context.Context, string) ([]unstructured.Unstructured, error) { return test.there, test.err },
				known: map[string]map[manifests.ID]bool{},
			}
			now := owned(nil, test.entry)
			for range 2 { // the second answer is remembered
				if got := a.autoscaled(t.Context(), cart, now); got != test.want {
					t.Errorf("got %t", got)
				}
			}
		})
	}
}
