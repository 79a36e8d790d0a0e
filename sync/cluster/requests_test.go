package cluster

// FAULTS "Load": what a release asks the API server.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// shopSet is a Sync's set: some ConfigMaps, a Service and a Deployment, at a version.
func shopSet(t testing.TB, name string, maps int, version string) manifests.Set {
	t.Helper()
	object := func(apiVersion, kind, name string, field string, content map[string]any) map[string]any {
		labels := map[string]any{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}
		return map[string]any{"apiVersion": apiVersion, "kind": kind, field: content,
			"metadata": map[string]any{"name": name, "namespace": "shop", "labels": labels}}
	}
	objects := []map[string]any{
		object("v1", "Service", name, "spec", map[string]any{"selector": map[string]any{"app": name}}),
		object("apps/v1", "Deployment", name, "spec", map[string]any{"paused": false, "template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": name}}}}),
	}
	for i := range maps {
		objects = append(objects, object("v1", "ConfigMap", fmt.Sprint(name, "-", i), "data", map[string]any{"a": "b"}))
	}
	if maps > 0 {
		objects[2]["data"] = map[string]any{"a": version}
	}
	return set(t, objects...)
}

// released has a set deployed, in the way that a release is, and answers what that asked.
func released(t testing.TB, api *playedAPI, o *Objects, objects manifests.Set) map[string]int {
	t.Helper()
	api.requests()
	changes, err := o.Differing(t.Context(), objects, false)
	if err != nil {
		t.Fatal(err)
	}
	if putOff, err := o.Apply(t.Context(), changes.Objects, false); err != nil || len(putOff) > 0 {
		t.Fatal(putOff, err)
	}
	asked := api.requests()
	api.seenBy(t, o.cluster, objects.IDs())
	return asked
}

func shopOn(t testing.TB, c *Cluster, spec v1alpha1.Spec) *Objects {
	t.Helper()
	o, err := c.Objects(types.NamespacedName{Namespace: "team", Name: "shop"}, spec)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhatAReleaseAsks(t *testing.T) {
	first, second := shopSet(t, "cart", 10, "1"), shopSet(t, "cart", 10, "2")
	const deployment, service = "/apis/apps/v1/namespaces/shop/deployments/cart", "/api/v1/namespaces/shop/services/cart"
	const some, other = "/api/v1/namespaces/shop/configmaps/cart-0", "/api/v1/namespaces/shop/configmaps/cart-1"
	hand := fields("kubectl-edit", update, "", `{"f:spec":{"f:paused":{}}}`)
	for _, test := range []struct {
		name   string
		happen func(api *playedAPI, o *Objects) *Objects // may be another view
		next   manifests.Set
		want   map[string]int
	}{
		{"the same again", nil, first, map[string]int{}},
		{"one object of many has changed", nil, second, map[string]int{"try": 1, "apply": 1}},
		{"a status has changed", func(api *playedAPI, o *Objects) *Objects {
			api.edit(deployment, func(u *unstructured.Unstructured) {
				u.Object["status"] = map[string]any{"replicas": int64(1)}
				u.SetManagedFields(append(u.GetManagedFields(), statusWriter))
			})
			return o
		}, first, map[string]int{}},
		{"a field was changed by hand", func(api *playedAPI, o *Objects) *Objects {
			api.edit(deployment, func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, true, "spec", "paused")
				u.SetManagedFields([]metav1.ManagedFieldsEntry{oursLess, hand})
			})
			return o
		}, first, map[string]int{"try": 1, "apply": 1}},
		{"a field was changed under belay's own name", func(api *playedAPI, o *Objects) *Objects {
			api.edit(deployment, func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, true, "spec", "paused")
				u.SetGeneration(u.GetGeneration() + 1)
			})
			return o
		}, first, map[string]int{"try": 1, "apply": 1}},
		{"a field that belay does not hold was changed", func(api *playedAPI, o *Objects) *Objects {
			api.edit(service, func(u *unstructured.Unstructured) { u.SetGeneration(u.GetGeneration() + 1) })
			return o
		}, first, map[string]int{"try": 1}},
		{"the metadata of what was changed is all that is watched", func(api *playedAPI, o *Objects) *Objects {
			api.edit(some, func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, "x", "data", "a")
				u.SetManagedFields([]metav1.ManagedFieldsEntry{oursLess})
			})
			return o
		}, first, map[string]int{"get": 1, "try": 1, "apply": 1}},
		{"one was deleted", func(api *playedAPI, o *Objects) *Objects { api.remove(other); return o }, first, map[string]int{"try": 1, "apply": 1}},
		{"one was deleted and made anew by others", func(api *playedAPI, o *Objects) *Objects {
			gone := api.objects[service].DeepCopy()
			api.remove(service)
			gone.SetUID("another")
			api.mu.Lock()
			defer api.mu.Unlock()
			api.put(service, gone)
			return o
		}, first, map[string]int{"try": 1}},
		{"somebody asks for another try", func(api *playedAPI, o *Objects) *Objects { o.Doubt(); return o }, first, map[string]int{"list": 1, "try": 12}},
		{"another service account is to write", func(api *playedAPI, o *Objects) *Objects {
			return shopOn(t, o.cluster, v1alpha1.Spec{Apply: v1alpha1.Apply{ServiceAccountName: "deployer"}})
		}, first, map[string]int{"try": 12, "apply": 12}},
		{"a field is left to others from now on", func(api *playedAPI, o *Objects) *Objects {
			rule := v1alpha1.IgnoreRule{Target: v1alpha1.Target{Kind: "Service"}, Paths: []string{"/spec/x"}}
			return shopOn(t, o.cluster, v1alpha1.Spec{Apply: v1alpha1.Apply{Ignore: []v1alpha1.IgnoreRule{rule}}})
		}, first, map[string]int{"get": 1, "try": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			api, c := play(t)
			o := shopOn(t, c, v1alpha1.Spec{})
			asked := released(t, api, o, first)
			if diff := cmp.Diff(map[string]int{"try": 12, "apply": 12}, asked); diff != "" {
				t.Fatal("at first: ", diff)
			}
			if test.happen != nil {
				o = test.happen(api, o)
				api.seenBy(t, c, first.IDs())
			}
			if diff := cmp.Diff(test.want, released(t, api, o, test.next)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]int{}, released(t, api, o, test.next)); diff != "" {
				t.Error("and once more: ", diff)
			}
		})
	}
}

// The manager starts watches and passes side by side: a pass that comes first waits, and takes nothing for missing.
func TestNothingIsReadBeforeTheWatchesRun(t *testing.T) {
	objects := shopSet(t, "cart", 1, "1")
	api, c := playUnstarted(t)
	o := shopOn(t, c, v1alpha1.Spec{})
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	var refused *Error
	if err := c.watches.Ensure(impatient, objects.IDs()); !errors.As(err, &refused) || !refused.Temporary {
		t.Fatal("no error that another try may mend: ", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := o.Differing(t.Context(), objects, false)
		ended <- err
	}()
	start(t, c)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"try": 3}, api.requests()); diff != "" {
		t.Error(diff)
	}
}

// A kind that may not be listed is not taken for another of the same plural, which may.
func TestEachKindsFirstListIsAwaited(t *testing.T) {
	api, c := playUnstarted(t)
	api.forbids = "/apis/serving.example/"
	start(t, c)
	ids := []manifests.ID{{Group: "serving.example", Kind: "Service", Namespace: "shop", Name: "cart"}, {Kind: "Service", Namespace: "shop", Name: "cart"}}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var refused *Error
	if err := c.watches.Ensure(ctx, ids); !errors.As(err, &refused) || !strings.Contains(refused.Detail, "services.serving.example") {
		t.Error("got ", err)
	}
}

// A kind is read in the version that it is watched in, also when the API server has come to prefer another; but for one that
// could not be listed.
func TestANewerVersionOfAKindLeavesItsWatchAlone(t *testing.T) {
	id := manifests.ID{Group: "serving.example", Kind: "Service", Namespace: "shop", Name: "cart"}
	for name, forbidden := range map[string]string{"listed": "", "not listed": "/apis/serving.example/v1/"} {
		t.Run(name, func(t *testing.T) {
			api, c := playUnstarted(t)
			api.forbids = forbidden
			start(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := c.watches.Ensure(ctx, []manifests.ID{id}); (err != nil) != (forbidden != "") {
				t.Fatal(err)
			}
			api.prefer(t, c, id)
			if err := c.watches.Ensure(t.Context(), []manifests.ID{id}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.watches.Get(t.Context(), id); err != nil {
				t.Error(err)
			}
			if _, err := c.watches.glance().at(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
}

// prefer has the API server come to prefer a newer version of playedServing, and the cluster know of it.
func (a *playedAPI) prefer(t *testing.T, c *Cluster, id manifests.ID) {
	t.Helper()
	a.mu.Lock()
	a.newer = true
	a.mu.Unlock()
	if _, err := c.mapper.RESTMapping(kind{Group: "new.example", Kind: "New"}); !meta.IsNoMatchError(err) { // so that groups are asked for anew
		t.Fatal(err)
	}
	for _, versions := range [][]string{{"v2"}, nil} {
		if got, err := c.mapper.RESTMapping(id.GroupKind(), versions...); err != nil || got.GroupVersionKind.Version != "v2" {
			t.Fatal(got, err)
		}
	}
}

// What was written and not answered is there all the same: it is not taken for what was there before.
func TestAWriteWithoutAnAnswerIsNotForgotten(t *testing.T) {
	first, second := shopSet(t, "cart", 10, "1"), shopSet(t, "cart", 10, "2")
	api, c := play(t)
	o := shopOn(t, c, v1alpha1.Spec{})
	released(t, api, o, first)
	changes, err := o.Differing(t.Context(), second, false)
	if err != nil {
		t.Fatal(err)
	}
	api.mu.Lock()
	api.loses = true
	api.mu.Unlock()
	if _, err := o.Apply(t.Context(), changes.Objects, false); err == nil {
		t.Fatal("no error")
	}
	api.mu.Lock()
	api.loses = false
	api.mu.Unlock()
	api.seenBy(t, c, second.IDs())
	if diff := cmp.Diff(map[string]int{"get": 1, "try": 1, "apply": 1}, released(t, api, o, first)); diff != "" {
		t.Error(diff)
	}
}

// What a watch that is behind takes for belay's own last write is looked at before something else is written over it.
func TestAReleaseOverWhatTheWatchesHaveNotSeen(t *testing.T) {
	first, second := shopSet(t, "cart", 10, "1"), shopSet(t, "cart", 10, "2")
	const changed = "/api/v1/namespaces/shop/configmaps/cart-0"
	for _, test := range []struct {
		name   string
		happen func(u *unstructured.Unstructured)
		want   map[string]int
	}{
		{"people have said that it is not to be changed", func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{manifests.AnnotationReconcile: "disabled"})
		}, map[string]int{"try": 1, "get": 1}},
		{"it has got another owner", func(u *unstructured.Unstructured) {
			u.SetUID("another")
			u.SetLabels(map[string]string{manifests.LabelSync: "other", manifests.LabelNamespace: "team"})
		}, nil},
		{"a status has changed", func(u *unstructured.Unstructured) { u.Object["status"] = map[string]any{} },
			map[string]int{"try": 2, "get": 1, "apply": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			api, c := play(t)
			o := shopOn(t, c, v1alpha1.Spec{})
			released(t, api, o, first)
			api.mu.Lock()
			api.mute = true
			api.mu.Unlock()
			api.edit(changed, test.happen)
			api.requests()
			changes, err := o.Differing(t.Context(), second, false)
			if test.want == nil {
				if err == nil {
					t.Fatal("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.Apply(t.Context(), changes.Objects, false); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, api.requests()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A restart knows nothing: the watches tell most, and what they keep the metadata of is listed.
func TestWhatAnotherAgentAsks(t *testing.T) {
	objects := shopSet(t, "cart", 10, "1")
	api, c := play(t)
	released(t, api, shopOn(t, c, v1alpha1.Spec{}), objects)
	other, err := Connect(limited(c.config, 0), func(types.NamespacedName) {})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = other.Start(t.Context()) }()
	if diff := cmp.Diff(map[string]int{"list": 1, "try": 12}, released(t, api, shopOn(t, other, v1alpha1.Spec{}), objects)); diff != "" {
		t.Error(diff)
	}
}

// One Sync of 1,000 ConfigMaps: as a first release, and as one that changes a single one of them.
func BenchmarkAReleaseOfAThousandObjects(b *testing.B) {
	first, second := shopSet(b, "cart", 998, "1"), shopSet(b, "cart", 998, "2")
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			api, c := play(b)
			o := shopOn(b, c, v1alpha1.Spec{})
			if err := c.watches.Ensure(b.Context(), first.IDs()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			released(b, api, o, first)
		}
	})
	b.Run("one changed", func(b *testing.B) {
		api, c := play(b)
		o := shopOn(b, c, v1alpha1.Spec{})
		released(b, api, o, first)
		sets := []manifests.Set{second, first}
		for i := 0; b.Loop(); i++ {
			released(b, api, o, sets[i%2])
		}
	})
}
