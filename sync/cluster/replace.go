package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// replaceStale deletes one pod of an older template, if it is its turn, and answers how many there are. The
// workload's controller makes the new one.
func (o *Objects) replaceStale(ctx context.Context, w workload, pods podsOf) (stale int, err error) {
	for _, pod := range pods.pods {
		if w.isStale(pod) {
			stale++
		}
	}
	next := nextStale(pods.pods, w.isStale, int(w.number(1, "spec", "replicas")))
	if next == nil {
		return stale, nil
	}
	uid := next.UID
	err = o.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(next.Namespace).
		Delete(ctx, next.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return stale, nil
	}
	return stale, describe("Pod/"+next.Namespace+"/"+next.Name, "Pod", err)
}

// nextStale picks the pod to delete: a stale one that is not ready, for it serves nobody; else, once as many pods
// as wanted are ready and none is on its way out, the oldest stale one. So never more than one pod is missing, and
// the next goes only after its successor has proved to run.
func nextStale(pods []*corev1.Pod, isStale func(*corev1.Pod) bool, wanted int) *corev1.Pod {
	var oldest *corev1.Pod
	readyPods := 0
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			return nil
		}
		if ready(pod) {
			readyPods++
		}
		if !isStale(pod) {
			continue
		}
		if !ready(pod) {
			return pod
		}
		if oldest == nil || pod.CreationTimestamp.Before(&oldest.CreationTimestamp) {
			oldest = pod
		}
	}
	if readyPods < wanted {
		return nil
	}
	return oldest
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
