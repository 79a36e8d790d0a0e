package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

func TestAHookIsWaitedForUntilItIsComplete(t *testing.T) {
	for _, test := range []struct {
		name   string
		report manifests.Health
		want   manifests.Condition
		says   string
	}{
		{"it runs", progressing("", "0 of 1 pods are complete"), manifests.Progressing, "0 of 1 pods"},
		{"whoever does not wait for it takes it for healthy", manifests.Health{Condition: manifests.Healthy}, manifests.Progressing, "not complete"},
		{"it is suspended", manifests.Health{Condition: manifests.Suspended}, manifests.Progressing, "not complete"},
		{"it has failed", manifests.Health{Condition: manifests.Unhealthy, Reason: "BackoffLimitExceeded", Message: "too often"}, manifests.Unhealthy, "too often"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := hookHealth(test.report)
			if got.Condition != test.want || !strings.Contains(got.Message, test.says) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWhatBecomesOfAHooksJobIsNoDrift(t *testing.T) {
	shop := types.NamespacedName{Namespace: "shop", Name: "shop"}
	object := func(version, run string) *unstructured.Unstructured {
		u := live(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate, namespace: shop, labels: {belay.dev/sync: shop, belay.dev/namespace: shop}}}`)
		u.SetResourceVersion(version)
		if run != "" {
			u.SetAnnotations(map[string]string{manifests.AnnotationRun: run})
		}
		return u
	}
	for _, run := range []string{"", "3"} {
		called := 0
		w := &Watches{notify: func(types.NamespacedName) { called++ }, wrote: map[manifests.ID]string{},
			suspects: map[types.NamespacedName]map[manifests.ID]string{}, replaced: map[types.UID]bool{}, finished: map[manifests.ID]bool{}}
		w.deleted(object("7", run))
		if drifted := w.Drifted(shop); drifted == (run != "") || called != 1 {
			t.Errorf("made for %q: drift after it was deleted: %t, called %d times", run, drifted, called)
		}
		changed := object("8", run)
		changed.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{}`)}}})
		w.updated(object("7", run), changed)
		if drifted := w.Drifted(shop); drifted == (run != "") || called != 2 {
			t.Errorf("made for %q: drift after it was changed: %t, called %d times", run, drifted, called)
		}
	}
}

func TestAnObjectIsNotRefusedForABackendThatComesWithIt(t *testing.T) {
	const called = `Internal error occurred: failed calling webhook "up.example.org": failed to call webhook: Post "https://%s/validate?timeout=10s": no endpoints available`
	refused := func(host string) error { return errors.New(strings.Replace(called, "%s", host, 1)) }
	here := trial{
		brought: map[manifests.ID]bool{{Kind: "Service", Namespace: "shop", Name: "hook"}: true},
		groups:  map[string]bool{"metrics.example.org": true},
	}
	away := apierrors.NewServiceUnavailable("the server is currently unable to handle the request")
	for _, test := range []struct {
		name  string
		err   error
		group string
		want  bool
	}{
		{"nothing", nil, "", false},
		{"a webhook of a Service of the same set", refused("hook.shop.svc:443"), "", true},
		{"a Service of another namespace", refused("hook.infra.svc:443"), "", false},
		{"another Service", refused("hooks.shop.svc:443"), "", false},
		{"a webhook by URL", refused("127.0.0.1:1"), "", false},
		{"what a webhook says", errors.New(`admission webhook "up.example.org" denied the request: see "https://hook.shop.svc/"`), "", false},
		{"an API of the same set", away, "metrics.example.org", true},
		{"another API", away, "apps", false},
	} {
		if got := here.comes(test.err, manifests.ID{Group: test.group, Kind: "X"}); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestWhatPasses(t *testing.T) {
	for reason, want := range map[string]bool{"WebhookUnavailable": true, "APIUnavailable": true, "UnknownKind": true, "ClusterUnavailable": false, "Invalid": false} {
		if got := passes(&Error{Reason: reason, Temporary: true}); got != want {
			t.Errorf("%s: %t", reason, got)
		}
	}
}

func TestTheGroupsOfAPIServicesArePlacedByTheirManifests(t *testing.T) {
	groups := servedGroups(set(t,
		map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1beta1.metrics.example.org"}},
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "v1.other.org", "namespace": "shop"}},
	))
	if diff := cmp.Diff(map[string]bool{"metrics.example.org": true}, groups); diff != "" {
		t.Error(diff)
	}
}
