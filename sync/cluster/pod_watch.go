package cluster

import (
	"context"
	"maps"
	"slices"
	gosync "sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podWatches watch the pods and ReplicaSets of the namespaces in which a release is being judged, and of no other,
// for as long as that takes.
type podWatches struct {
	config *rest.Config
	mapper meta.RESTMapper
	notify func(types.NamespacedName)

	opened chan *podWatch // to be filled; a watch outlives the pass that opens it

	mu         gosync.Mutex
	namespaces map[string]*podWatch
}

// podWatch is the watch of one namespace.
type podWatch struct {
	namespace string
	syncs     map[types.NamespacedName]bool // who attends; guarded by podWatches.mu
	done      chan struct{}                 // closed when nobody attends any more

	synced chan struct{} // closed when cache or err is set
	cache  cache.Cache
	err    error

	mu         gosync.Mutex
	readySince map[types.UID]readiness
}

// readiness is since when, by this process's clock, a pod has been ready without a restart.
type readiness struct {
	since    time.Time
	restarts int32
}

func newPodWatches(config *rest.Config, mapper meta.RESTMapper, notify func(types.NamespacedName)) *podWatches {
	return &podWatches{
		config: config, mapper: mapper, notify: notify,
		opened: make(chan *podWatch), namespaces: map[string]*podWatch{},
	}
}

// run fills the watches that passes open, until ctx ends.
func (p *podWatches) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case watch := <-p.opened:
			go p.fill(ctx, watch)
		}
	}
}

// attend sees to it that a Sync attends just these namespaces, and waits for the first lists of new ones.
func (p *podWatches) attend(ctx context.Context, sync types.NamespacedName, namespaces map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, firstList)
	defer cancel()
	attended, fresh := p.rearrange(sync, namespaces)
	for _, watch := range fresh {
		select {
		case p.opened <- watch:
		case <-ctx.Done():
			p.drop(watch)
			return podsUnseen(ctx.Err())
		}
	}
	for _, watch := range attended {
		select {
		case <-watch.synced:
		case <-ctx.Done():
			return podsUnseen(ctx.Err())
		}
		if watch.err != nil {
			p.drop(watch) // the next pass opens another
			return podsUnseen(watch.err)
		}
	}
	return nil
}

func podsUnseen(err error) error {
	return &Error{Reason: "WatchFailed", Detail: "watching pods: " + err.Error(), Temporary: true}
}

func (p *podWatches) rearrange(sync types.NamespacedName, namespaces map[string]bool) (attended, fresh []*podWatch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, watch := range p.namespaces {
		if watch.syncs[sync] && !namespaces[name] {
			delete(watch.syncs, sync)
			if len(watch.syncs) == 0 {
				close(watch.done)
				delete(p.namespaces, name)
			}
		}
	}
	for name := range namespaces {
		watch := p.namespaces[name]
		if watch == nil {
			watch = &podWatch{
				namespace: name, syncs: map[types.NamespacedName]bool{},
				done: make(chan struct{}), synced: make(chan struct{}), readySince: map[types.UID]readiness{},
			}
			p.namespaces[name] = watch
			fresh = append(fresh, watch)
		}
		watch.syncs[sync] = true
		attended = append(attended, watch)
	}
	return attended, fresh
}

// drop forgets a watch that is of no use.
func (p *podWatches) drop(watch *podWatch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.namespaces[watch.namespace] == watch {
		close(watch.done)
		delete(p.namespaces, watch.namespace)
	}
}

// fill runs a watch's cache until nobody attends it any more, and says when it has its first lists.
func (p *podWatches) fill(ctx context.Context, watch *podWatch) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch.cache, watch.err = p.open(ctx, watch)
	close(watch.synced)
	select {
	case <-watch.done:
	case <-ctx.Done():
	}
}

func (p *podWatches) open(ctx context.Context, watch *podWatch) (cache.Cache, error) {
	store, err := cache.New(p.config, cache.Options{
		Scheme:            scheme.Scheme,
		Mapper:            p.mapper,
		DefaultNamespaces: map[string]cache.Config{watch.namespace: {}},
		DefaultTransform:  forJudging,
	})
	if err != nil {
		return nil, err
	}
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { p.saw(watch, object) },
		UpdateFunc: func(_, object any) { p.saw(watch, object) },
		DeleteFunc: func(object any) { p.forgot(watch, object) },
	}
	go store.Start(ctx) //nolint:errcheck // it ends with ctx; what goes wrong shows in WaitForCacheSync
	for _, object := range []client.Object{&corev1.Pod{}, replicaSet()} {
		informer, err := store.GetInformer(ctx, object)
		if err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	store.WaitForCacheSync(ctx)
	return store, ctx.Err()
}

// proving is how long a pod has to be ready before the next one is replaced: one that crashes at its start is ready
// for a moment, too.
const proving = 2 * time.Second

// saw notes since when a pod is ready, and calls the Syncs: at once, and again when the pod has proved itself.
func (p *podWatches) saw(watch *podWatch, object any) {
	if pod, ok := object.(*corev1.Pod); ok && watch.note(pod, time.Now()) {
		time.AfterFunc(proving, func() { p.changed(watch) })
	}
	p.changed(watch)
}

// note tells whether a pod has just become ready.
func (w *podWatch) note(pod *corev1.Pod, now time.Time) (became bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	noted, before := w.readySince[pod.UID]
	switch {
	case !ready(pod):
		delete(w.readySince, pod.UID)
		return false
	case before && noted.restarts == restarts(pod):
		return false
	}
	w.readySince[pod.UID] = readiness{since: now, restarts: restarts(pod)}
	return true
}

// forgot drops what is noted of a pod that is gone.
func (p *podWatches) forgot(watch *podWatch, object any) {
	if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if pod, ok := object.(*corev1.Pod); ok {
		watch.mu.Lock()
		delete(watch.readySince, pod.UID)
		watch.mu.Unlock()
	}
	p.changed(watch)
}

// changed calls every Sync that attends.
func (p *podWatches) changed(watch *podWatch) {
	p.mu.Lock()
	syncs := slices.Collect(maps.Keys(watch.syncs))
	p.mu.Unlock()
	for _, sync := range syncs {
		p.notify(sync)
	}
}
