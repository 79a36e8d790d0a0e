package cluster

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// playSyncs starts an API server that has one Sync, and a source of Syncs that has been started.
func playSyncs(t *testing.T, forbidden bool) (*playedAPI, *syncSource, requests) {
	t.Helper()
	api, c := playUnstarted(t)
	shop := &unstructured.Unstructured{Object: playedKind("/apis/belay.dev/v1alpha1/syncs")}
	shop.SetNamespace("shop")
	shop.SetName("shop")
	api.put("/apis/belay.dev/v1alpha1/namespaces/shop/syncs/shop", shop)
	if forbidden {
		api.forbids = "/apis/belay.dev"
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	known, err := cache.New(c.config, cache.Options{Scheme: scheme, Mapper: c.mapper})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- known.Start(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	source := newSyncSource(known, &handler.EnqueueRequestForObject{})
	if err := source.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	return api, source, queue
}

func TestSyncSource(t *testing.T) {
	t.Parallel()
	t.Run("is ready with the first list", func(t *testing.T) {
		t.Parallel()
		_, source, queue := playSyncs(t, false)
		if err := source.WaitForSync(t.Context()); err != nil {
			t.Fatal(err)
		}
		var all v1alpha1.SyncList
		if err := source.cache.List(t.Context(), &all); err != nil || len(all.Items) != 1 {
			t.Errorf("the cache has %d Syncs (%v) when it is said to be there, want 1", len(all.Items), err)
		}
		if got, _ := queue.Get(); got.String() != "shop/shop" {
			t.Errorf("a pass is called for %s, want shop/shop", got)
		}
	})
	t.Run("says that there is no list", func(t *testing.T) {
		t.Parallel()
		_, source, _ := playSyncs(t, true)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := source.WaitForSync(ctx); err == nil || err.Error() != "the API server has not listed the Syncs in time" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ends with the agent", func(t *testing.T) {
		t.Parallel()
		_, source, _ := playSyncs(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := source.WaitForSync(ctx); err != nil {
			t.Errorf("the agent's end is no error, got %v", err)
		}
	})
}
