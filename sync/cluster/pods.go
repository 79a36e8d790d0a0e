package cluster

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podsOf is a workload's pods and, for a Deployment, the pod-template-hash of its newest ReplicaSet.
type podsOf struct {
	pods       []*corev1.Pod
	newestHash string
	readyFor   map[types.UID]time.Duration
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
		return podsOf{}, podsUnseen(err)
	}
	found.readyFor = watch.readyFor(found.pods, time.Now())
	return found, nil
}

// readyFor tells how long each pod has been ready.
func (w *podWatch) readyFor(pods []*corev1.Pod, now time.Time) map[types.UID]time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	ready := make(map[types.UID]time.Duration, len(pods))
	for _, pod := range pods {
		if noted, ok := w.readySince[pod.UID]; ok {
			ready[pod.UID] = now.Sub(noted.since)
		}
	}
	return ready
}

func read(ctx context.Context, store client.Reader, w workload) (podsOf, error) {
	namespace := w.object.GetNamespace()
	if w.kind == pod {
		one := &corev1.Pod{}
		err := store.Get(ctx, client.ObjectKeyFromObject(w.object), one)
		return podsOf{pods: []*corev1.Pod{one}}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	if err := store.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: w.selector}); err != nil {
		return podsOf{}, err
	}
	var found podsOf
	for i := range pods.Items {
		// A selector may fit other workloads' pods, too. Those of a Deployment are told apart by their hash.
		if w.kind == deployment || metav1.IsControlledBy(&pods.Items[i], w.object) {
			found.pods = append(found.pods, &pods.Items[i])
		}
	}
	if w.kind != deployment {
		return found, nil
	}
	sets := &metav1.PartialObjectMetadataList{}
	sets.SetGroupVersionKind(replicaSetKind)
	if err := store.List(ctx, sets, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: w.selector}); err != nil {
		return podsOf{}, err
	}
	found.newestHash = newestHash(sets.Items, w.object)
	return found, nil
}

// newestHash is the pod-template-hash of a Deployment's newest ReplicaSet, once the Deployment names that one's
// revision: on the way back to an older ReplicaSet its controller raises that one's revision first and its own after.
func newestHash(sets []metav1.PartialObjectMetadata, deployment client.Object) string {
	const annotation = "deployment.kubernetes.io/revision"
	newest, hash := -1, ""
	for _, set := range sets {
		revision, err := strconv.Atoi(set.Annotations[annotation])
		if err == nil && revision > newest && metav1.IsControlledBy(&set, deployment) {
			newest, hash = revision, set.Labels["pod-template-hash"]
		}
	}
	if strconv.Itoa(newest) != deployment.GetAnnotations()[annotation] {
		return ""
	}
	return hash
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
