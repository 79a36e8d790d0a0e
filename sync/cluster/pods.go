package cluster

import (
	"context"
	"maps"
	gosync "sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
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

	mu         gosync.Mutex
	ctx        context.Context // the agent's: a watch outlives the pass that began it
	namespaces map[string]*podWatch
}

// podWatch is the watch of one namespace.
type podWatch struct {
	cache  cache.Cache
	stop   context.CancelFunc
	syncs  map[types.NamespacedName]bool // who attends
	synced chan struct{}
	err    error
}

func newPodWatches(config *rest.Config, mapper meta.RESTMapper, notify func(types.NamespacedName)) *podWatches {
	return &podWatches{config: config, mapper: mapper, notify: notify, namespaces: map[string]*podWatch{}}
}

func (p *podWatches) start(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ctx = ctx
}

// attend sees to it that a Sync attends just these namespaces, and waits for the first lists of new ones.
func (p *podWatches) attend(ctx context.Context, sync types.NamespacedName, namespaces map[string]bool) error {
	for _, watch := range p.rearrange(sync, namespaces) {
		select {
		case <-watch.synced:
		case <-ctx.Done():
			return ctx.Err()
		}
		if watch.err != nil {
			return &Error{Reason: "WatchFailed", Detail: "watching pods: " + watch.err.Error(), Temporary: true}
		}
	}
	return nil
}

func (p *podWatches) rearrange(sync types.NamespacedName, namespaces map[string]bool) []*podWatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, watch := range p.namespaces {
		if watch.syncs[sync] && !namespaces[name] {
			delete(watch.syncs, sync)
			if len(watch.syncs) == 0 {
				watch.stop()
				delete(p.namespaces, name)
			}
		}
	}
	var attended []*podWatch
	for name := range namespaces {
		watch := p.namespaces[name]
		if watch == nil {
			watch = p.open(name)
			p.namespaces[name] = watch
		}
		watch.syncs[sync] = true
		attended = append(attended, watch)
	}
	return attended
}

func (p *podWatches) open(namespace string) *podWatch {
	ctx, stop := context.WithCancel(p.ctx)
	watch := &podWatch{stop: stop, syncs: map[types.NamespacedName]bool{}, synced: make(chan struct{})}
	go func() {
		defer close(watch.synced)
		watch.err = p.fill(ctx, watch, namespace)
	}()
	return watch
}

// fill starts a watch's cache and waits until it has its first lists.
func (p *podWatches) fill(ctx context.Context, watch *podWatch, namespace string) error {
	store, err := cache.New(p.config, cache.Options{
		Scheme:            scheme.Scheme,
		Mapper:            p.mapper,
		DefaultNamespaces: map[string]cache.Config{namespace: {}},
		DefaultTransform:  forJudging,
	})
	if err != nil {
		return err
	}
	watch.cache = store
	changed := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { p.changed(namespace) },
		UpdateFunc: func(any, any) { p.changed(namespace) },
		DeleteFunc: func(any) { p.changed(namespace) },
	}
	go func() { _ = store.Start(ctx) }() // it ends with ctx, and its lists' errors show in WaitForCacheSync
	for _, object := range []client.Object{&corev1.Pod{}, replicaSet()} {
		informer, err := store.GetInformer(ctx, object)
		if err != nil {
			return err
		}
		if _, err := informer.AddEventHandler(changed); err != nil {
			return err
		}
	}
	store.WaitForCacheSync(ctx)
	return ctx.Err()
}

// changed calls every Sync that attends a namespace.
func (p *podWatches) changed(namespace string) {
	p.mu.Lock()
	var syncs []types.NamespacedName
	if watch := p.namespaces[namespace]; watch != nil {
		for sync := range maps.Keys(watch.syncs) {
			syncs = append(syncs, sync)
		}
	}
	p.mu.Unlock()
	for _, sync := range syncs {
		p.notify(sync)
	}
}

// podsOf is a workload's pods and, for a Deployment, the pod-template-hash of its newest ReplicaSet.
type podsOf struct {
	pods       []*corev1.Pod
	newestHash string
}

// of reads the pods of a workload in an attended namespace.
func (p *podWatches) of(ctx context.Context, w workload) (podsOf, error) {
	namespace := w.object.GetNamespace()
	p.mu.Lock()
	watch := p.namespaces[namespace]
	p.mu.Unlock()
	if watch == nil {
		return podsOf{}, nil
	}
	found, err := read(ctx, watch.cache, w)
	if err != nil {
		return podsOf{}, &Error{Reason: "WatchFailed", Detail: "reading pods: " + err.Error(), Temporary: true}
	}
	return found, nil
}

func read(ctx context.Context, store client.Reader, w workload) (podsOf, error) {
	namespace := w.object.GetNamespace()
	if w.kind == (kind{Kind: "Pod"}) {
		pod := &corev1.Pod{}
		err := store.Get(ctx, client.ObjectKeyFromObject(w.object), pod)
		return podsOf{pods: []*corev1.Pod{pod}}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	if err := store.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: w.selector}); err != nil {
		return podsOf{}, err
	}
	var found podsOf
	for i := range pods.Items {
		found.pods = append(found.pods, &pods.Items[i])
	}
	if w.kind != (kind{Group: "apps", Kind: "Deployment"}) {
		return found, nil
	}
	sets := &metav1.PartialObjectMetadataList{}
	sets.SetGroupVersionKind(replicaSetKind)
	if err := store.List(ctx, sets, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: w.selector}); err != nil {
		return podsOf{}, err
	}
	const revision = "deployment.kubernetes.io/revision"
	for _, set := range sets.Items {
		if metav1.IsControlledBy(&set, w.object) && set.Annotations[revision] == w.object.GetAnnotations()[revision] {
			found.newestHash = set.Labels["pod-template-hash"]
		}
	}
	return found, nil
}

var replicaSetKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"}

func replicaSet() client.Object {
	set := &metav1.PartialObjectMetadata{}
	set.SetGroupVersionKind(replicaSetKind)
	return set
}

// forJudging keeps of a pod what it is judged by.
func forJudging(event any) (any, error) {
	if object, ok := event.(client.Object); ok {
		object.SetManagedFields(nil)
	}
	if pod, ok := event.(*corev1.Pod); ok {
		pod.Spec = corev1.PodSpec{NodeName: pod.Spec.NodeName}
	}
	return event, nil
}

func fromMap(content map[string]any, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(content, into)
}
