package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
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

	opened chan error            // what came of opening it, once
	failed atomic.Pointer[error] // why it could not be opened so far
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

// open has the handler called, and returns when it has handled the first list.
func (s *syncSource) open(ctx context.Context, queue requests) error {
	informer := &registering{}
	err := wait.PollUntilContextCancel(ctx, discoveryRetry, true, func(ctx context.Context) (bool, error) {
		known, err := s.cache.GetInformer(ctx, &v1alpha1.Sync{}, cache.BlockUntilSynced(false))
		if meta.IsNoMatchError(err) {
			err = fmt.Errorf("install belay's CustomResourceDefinitions: %w", err)
		}
		if err != nil {
			s.failed.Store(&err)
			log.FromContext(ctx).Error(err, "the Syncs cannot be watched yet")
			return false, nil
		}
		informer.Informer = known
		s.failed.Store(nil)
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := (&source.Informer{Informer: informer, Handler: s.handler, Predicates: s.predicates}).Start(ctx, queue); err != nil {
		return err
	}
	if !toolscache.WaitFor(ctx, "", informer.handled.HasSyncedChecker()) {
		return ctx.Err()
	}
	return nil
}

// registering is an informer that keeps what source.Informer drops: what tells that the handler has had the first list.
type registering struct {
	cache.Informer
	handled toolscache.ResourceEventHandlerRegistration
}

// AddEventHandlerWithOptions implements [cache.Informer].
func (r *registering) AddEventHandlerWithOptions(handler toolscache.ResourceEventHandler, options toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	handled, err := r.Informer.AddEventHandlerWithOptions(handler, options)
	r.handled = handled
	return handled, err
}

// WaitForSync implements [source.SyncingSource].
func (s *syncSource) WaitForSync(ctx context.Context) error {
	var err error
	select {
	case err = <-s.opened:
	case <-ctx.Done():
		err = errors.New("the API server has not listed the Syncs in time")
		if failed := s.failed.Load(); failed != nil {
			err = *failed
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil // the agent ends
	}
	return err
}
