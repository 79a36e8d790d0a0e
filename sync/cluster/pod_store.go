package cluster

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podStore holds the pods and ReplicaSets of one namespace, or of all, as watches tell of them.
type podStore struct {
	namespace string        // empty for all
	done      chan struct{} // closed when it is not needed any more
	closed    bool          // guarded by podWatches.mu

	synced chan struct{} // closed when cache or err is set
	cache  client.Reader
	err    error
}

var errClosed = errors.New("the watch was closed; it is opened again")

func newPodStore(namespace string) *podStore {
	return &podStore{namespace: namespace, done: make(chan struct{}), synced: make(chan struct{})}
}

// serves tells whether it can be read.
func (s *podStore) serves() bool {
	return s != nil && !s.closed && s.serving()
}

// serving is as serves, without the lock: a store that is being closed can be read still.
func (s *podStore) serving() bool {
	select {
	case <-s.synced:
		return s.err == nil
	default:
		return false
	}
}

// close ends it. It is called with the lock held.
func (s *podStore) close() {
	if s != nil && !s.closed {
		s.closed = true
		close(s.done)
	}
}

// metaObject is what handlers are given.
type metaObject interface{ metav1.Object }

// start opens the watches, and waits for their first lists.
func (p *podWatches) start(ctx context.Context, store *podStore) (client.Reader, error) {
	options := cache.Options{
		Scheme:           scheme.Scheme,
		Mapper:           p.mapper,
		DefaultTransform: forJudging,
		ByObject:         map[client.Object]cache.ByObject{&corev1.Event{}: {Field: fieldselector.OneTermEqualSelector("type", corev1.EventTypeWarning)}},
	}
	if store.namespace != "" {
		options.DefaultNamespaces = map[string]cache.Config{store.namespace: {}}
	}
	informers, err := cache.New(p.config, options)
	if err != nil {
		return nil, err
	}
	handler := toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    func(object any, initial bool) { p.saw(ctx, store, object, !initial) },
		UpdateFunc: func(_, object any) { p.saw(ctx, store, object, true) },
		DeleteFunc: func(object any) { p.forgot(ctx, store, object) },
	}
	var lists []toolscache.DoneChecker
	for _, object := range []client.Object{replicaSet(), &corev1.Pod{}, &corev1.Event{}} {
		informer, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		registration, err := informer.AddEventHandler(handler)
		if err != nil {
			return nil, err
		}
		lists = append(lists, registration.HasSyncedChecker())
	}
	go informers.Start(ctx) //nolint:errcheck // it ends with ctx; what goes wrong shows in the wait
	if !toolscache.WaitFor(ctx, "", lists...) {
		return nil, errClosed
	}
	return informers, nil
}

// catchUp notes what a store has of a namespace already.
func (p *podWatches) catchUp(ctx context.Context, store *podStore, namespace string) {
	var pods corev1.PodList
	var events corev1.EventList
	if store.cache.List(ctx, &pods, client.InNamespace(namespace)) != nil ||
		store.cache.List(ctx, &events, client.InNamespace(namespace)) != nil {
		return // it is closed, and so is what would be told
	}
	for i := range pods.Items {
		p.saw(ctx, store, &pods.Items[i], false)
	}
	for i := range events.Items {
		p.saw(ctx, store, &events.Items[i], false)
	}
}
