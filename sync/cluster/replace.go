package cluster

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// ReplacePods deletes, of each workload among ids whose controller keeps running pods when the template changes, the
// next pod of an older template, if it is the turn of one; and of each StatefulSet the pods that hold it up. The
// controllers make the new ones. Back says that the pods to replace are a refused release's.
func (o *Objects) ReplacePods(ctx context.Context, ids []manifests.ID, back bool) error {
	for _, id := range ids {
		if !manifests.ReplacesNoPods(id.GroupKind()) && id.GroupKind() != statefulSet {
			continue
		}
		object, err := o.cluster.watches.Get(ctx, id)
		if err != nil {
			return err
		}
		u, full := object.(*unstructured.Unstructured)
		if !full || o.cluster.watches.Stale(id, object) {
			continue
		}
		w, ok := workloadOf(u)
		switch {
		case !ok || !w.isObserved():
		case w.kind == statefulSet:
			err = o.unstick(ctx, w, back)
		default:
			err = o.replaceNext(ctx, w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *Objects) replaceNext(ctx context.Context, w workload) error {
	pods, err := o.cluster.pods.of(ctx, w)
	if err != nil {
		return err
	}
	needed := max(proving, time.Duration(w.number(0, "spec", "minReadySeconds"))*time.Second)
	proven := func(pod *corev1.Pod) bool { return pods.readyFor[pod.UID] >= needed }
	next := nextStale(pods.pods, w.isStale, proven, int(w.number(1, "spec", "replicas")))
	if next == nil {
		return nil
	}
	return o.deletePod(ctx, next)
}

// deletePod deletes a pod, but not another of the same name.
func (o *Objects) deletePod(ctx context.Context, pod *corev1.Pod) error {
	err := o.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(pod.Namespace).
		Delete(ctx, pod.Name, exactly(pod.UID))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return describe("Pod/"+pod.Namespace+"/"+pod.Name, "Pod", err)
}

// nextStale picks the pod to delete: a stale one that is not ready, for it serves nobody; else, once as many pods
// as wanted serve and none is on its way out, the oldest stale one. A new pod serves when it has proved itself. So
// never more than one pod is missing, and the next goes only after its successor has proved to run.
func nextStale(pods []*corev1.Pod, isStale, proven func(*corev1.Pod) bool, wanted int) *corev1.Pod {
	var useless, oldest *corev1.Pod
	serving, leaving := 0, false
	for _, pod := range pods {
		switch {
		case pod.DeletionTimestamp != nil:
			leaving = true
		case !isStale(pod):
			if proven(pod) {
				serving++
			}
		case !ready(pod):
			useless = elder(useless, pod)
		default:
			serving++
			oldest = elder(oldest, pod)
		}
	}
	switch {
	case useless != nil:
		return useless
	case leaving || serving < wanted:
		return nil
	}
	return oldest
}

// elder is the older of two pods, of which the first may be nil. Of those of the same second the UID decides, so that
// two passes choose the same.
func elder(a, b *corev1.Pod) *corev1.Pod {
	switch {
	case a == nil, b.CreationTimestamp.Before(&a.CreationTimestamp):
		return b
	case a.CreationTimestamp.Equal(&b.CreationTimestamp) && b.UID < a.UID:
		return b
	}
	return a
}

func restarts(pod *corev1.Pod) (count int32) {
	for _, c := range pod.Status.ContainerStatuses {
		count += c.RestartCount
	}
	return count
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
