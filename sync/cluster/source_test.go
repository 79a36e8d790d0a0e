package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// playSyncs starts an API server that has one Sync, and a source of Syncs.
func playSyncs(t *testing.T, change func(*playedAPI)) (*syncSource, requests) {
	t.Helper()
	api, c := playUnstarted(t)
	shop := &unstructured.Unstructured{Object: playedKind("/apis/belay.dev/v1alpha1/syncs")}
	shop.SetNamespace("shop")
	shop.SetName("shop")
	api.put("/apis/belay.dev/v1alpha1/namespaces/shop/syncs/shop", shop)
	change(api)
	known, err := cache.New(c.config, cache.Options{Scheme: syncScheme(t), Mapper: c.mapper})
	if err != nil {
		t.Fatal(err)
	}
	start(t, known)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	source := newSyncSource(known, &handler.EnqueueRequestForObject{})
	if err := source.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	return source, queue
}

func TestSyncSource(t *testing.T) {
	t.Parallel()
	forbidden := func(api *playedAPI) { api.forbids = "/apis/belay.dev" }
	t.Run("is ready when its handler has had the first list", func(t *testing.T) {
		t.Parallel()
		source, queue := playSyncs(t, func(*playedAPI) {})
		if err := source.WaitForSync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if queue.Len() != 1 {
			t.Fatalf("%d passes are called for when it is said to be ready, want 1", queue.Len())
		}
		if got, _ := queue.Get(); got.String() != "shop/shop" {
			t.Errorf("a pass is called for %s, want shop/shop", got)
		}
	})
	for name, test := range map[string]struct {
		change func(*playedAPI)
		want   string
	}{
		"says that there is no list":   {forbidden, "the API server has not listed the Syncs in time"},
		"says what is to be installed": {func(api *playedAPI) { api.without = "/apis/belay.dev" }, "install belay's CustomResourceDefinitions: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, _ := playSyncs(t, test.change)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if err := source.WaitForSync(ctx); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("ends with the agent", func(t *testing.T) {
		t.Parallel()
		source, _ := playSyncs(t, forbidden)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := source.WaitForSync(ctx); err != nil {
			t.Errorf("the agent's end is no error, got %v", err)
		}
	})
}
