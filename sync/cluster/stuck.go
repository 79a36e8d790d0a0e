package cluster

import (
	"context"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// unstick deletes the pods that hold a StatefulSet up. Its controller replaces one pod after another, each once all
// are ready: a pod that never gets ready is waited for, also when the template has gone back
// (https://github.com/kubernetes/kubernetes/issues/67250).
func (o *Objects) unstick(ctx context.Context, w workload, back bool) error {
	pods, err := o.cluster.pods.of(ctx, w)
	if err != nil {
		return err
	}
	for _, pod := range w.stuck(pods.pods, back) {
		if err := o.deletePod(ctx, pod); err != nil {
			return err
		}
	}
	return nil
}

// stuck picks the pods of another revision than the one that a StatefulSet is updated to, which its controller would
// wait for in vain: on the way back all that are not ready, for they are the refused revision's; otherwise those that
// have failed. Pods that are to stay at another revision are left alone: those below the partition, and all where people
// replace pods by hand (OnDelete).
func (w workload) stuck(pods []*corev1.Pod, back bool) []*corev1.Pod {
	revision, _, _ := unstructured.NestedString(w.object.Object, "status", "updateRevision")
	strategy, _, _ := unstructured.NestedString(w.object.Object, "spec", "updateStrategy", "type")
	if revision == "" || strategy == "OnDelete" {
		return nil
	}
	first := w.number(0, "spec", "ordinals", "start") + w.number(0, "spec", "updateStrategy", "rollingUpdate", "partition")
	var stuck []*corev1.Pod
	for _, pod := range pods {
		switch {
		case pod.DeletionTimestamp != nil || ready(pod) || pod.Labels["controller-revision-hash"] == revision || ordinal(pod) < first:
		case back || podHealth(sight{pod: pod}).Condition == manifests.Unhealthy:
			stuck = append(stuck, pod)
		}
	}
	return stuck
}

// ordinal is the number that a StatefulSet's pod has, or -1.
func ordinal(pod *corev1.Pod) int64 {
	n, err := strconv.ParseInt(pod.Name[strings.LastIndex(pod.Name, "-")+1:], 10, 32)
	if err != nil {
		return -1
	}
	return n
}
