package cluster

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// syncSource is the Syncs as a controller's source. Controller-runtime's own, source.Kind, looks ten times a second whether
// the first list is there, and again whether that was handled: a fifth of a second in which an agent that starts does
// nothing. This one is told.
type syncSource struct {
	cache      cache.Cache
	handler    handler.EventHandler
	predicates []predicate.Predicate

	opened chan error // what came of opening it, once
}

var _ source.SyncingSource = (*syncSource)(nil)

func newSyncSource(cache cache.Cache, handler handler.EventHandler, predicates ...predicate.Predicate) *syncSource {
	return &syncSource{cache: cache, handler: handler, predicates: predicates, opened: make(chan error, 1)}
}

// String names the source in the agent's log.
func (s *syncSource) String() string { return "Syncs" }

// discoveryRetry is when the Syncs are asked for again where the API server does not know them, or does not answer.
const discoveryRetry = 10 * time.Second

// Start implements [source.Source]. It does not wait.
func (s *syncSource) Start(ctx context.Context, queue requests) error {
	go func() { s.opened <- s.open(ctx, queue) }()
	return nil
}

// open has the handler called, and returns when the first list has come.
func (s *syncSource) open(ctx context.Context, queue requests) error {
	var informer cache.Informer
	err := wait.PollUntilContextCancel(ctx, discoveryRetry, true, func(ctx context.Context) (known bool, err error) {
		if informer, err = s.cache.GetInformer(ctx, &v1alpha1.Sync{}, cache.BlockUntilSynced(false)); err != nil {
			log.FromContext(ctx).Error(err, "the API server does not know Syncs; are belay's CustomResourceDefinitions installed?")
		}
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	if err := (&source.Informer{Informer: informer, Handler: s.handler, Predicates: s.predicates}).Start(ctx, queue); err != nil {
		return err
	}
	if !toolscache.WaitFor(ctx, "", informer.HasSyncedChecker()) {
		return ctx.Err()
	}
	return nil
}

// WaitForSync implements [source.SyncingSource].
func (s *syncSource) WaitForSync(ctx context.Context) error {
	select {
	case err := <-s.opened:
		return err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil // the agent ends
		}
		return errors.New("the API server has not listed the Syncs in time")
	}
}
