package cluster

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
)

// proving is how long a pod has to be ready before the next one is replaced: one that crashes at its start is ready
// for a moment, too.
const proving = 2 * time.Second

// saw notes how a pod is, and calls its Sync: at once, and again when the pod has proved itself. Live says that it
// has just changed.
func (p *podWatches) saw(ctx context.Context, store *podStore, object any, live bool) {
	switch object := object.(type) {
	case *corev1.Pod:
		a := p.attention(object.Namespace)
		if a == nil {
			return
		}
		if a.memory.note(object, time.Now()) {
			time.AfterFunc(proving, func() { p.call(ctx, store, object) })
		}
		if live {
			p.call(ctx, store, object)
		}
	case *corev1.Event:
		a := p.attention(object.Namespace)
		if a == nil {
			return
		}
		a.memory.warned(object, live, time.Now())
		if live && telling[object.Reason] {
			p.callAbout(ctx, store, object.InvolvedObject)
		}
	default:
		if set, ok := object.(metaObject); ok && live {
			p.call(ctx, store, set)
		}
	}
}

// forgot drops what is noted of a pod that is gone.
func (p *podWatches) forgot(ctx context.Context, store *podStore, object any) {
	if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	o, ok := object.(metaObject)
	if !ok {
		return
	}
	if pod, ok := object.(*corev1.Pod); ok {
		if a := p.attention(pod.Namespace); a != nil {
			a.memory.forget(pod.UID)
		}
	}
	if _, event := object.(*corev1.Event); !event {
		p.call(ctx, store, o)
	}
}

// callAll calls every Sync that attends a namespace.
func (p *podWatches) callAll(namespace string) {
	p.mu.Lock()
	var syncs []types.NamespacedName
	if a := p.attended[namespace]; a != nil {
		syncs = slices.Collect(maps.Keys(a.syncs))
	}
	p.mu.Unlock()
	for _, sync := range syncs {
		p.notify(sync)
	}
}

// attends tells whether a Sync looks at a namespace.
func (p *podWatches) attends(sync types.NamespacedName, namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.attended[namespace]
	return a != nil && a.syncs[sync]
}
