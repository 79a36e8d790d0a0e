package cluster

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// podsOf is a workload's pods, what is remembered of them and, for a Deployment, its newest ReplicaSet.
type podsOf struct {
	pods     []*corev1.Pod
	newest   newestSet
	memory   *podMemory
	readyFor map[types.UID]time.Duration
}

// of reads the pods of a workload in an attended namespace.
func (p *podWatches) of(ctx context.Context, w workload) (podsOf, error) {
	namespace := w.object.GetNamespace()
	store, attended := p.storeOf(namespace), p.attention(namespace)
	if store == nil || attended == nil || !store.serving() {
		return podsOf{memory: newPodMemory()}, nil
	}
	found, err := read(ctx, store.cache, w)
	if err != nil {
		return podsOf{}, podsUnseen(err)
	}
	found.memory = attended.memory
	found.readyFor = attended.memory.readyFor(found.pods, time.Now())
	return found, nil
}

func read(ctx context.Context, store client.Reader, w workload) (podsOf, error) {
	namespace := w.object.GetNamespace()
	if w.kind == pod {
		one := &corev1.Pod{}
		err := store.Get(ctx, client.ObjectKeyFromObject(w.object), one)
		if apierrors.IsNotFound(err) {
			return podsOf{}, nil
		}
		return podsOf{pods: []*corev1.Pod{one}}, err
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
	found.newest = newestOf(sets.Items, w.object)
	return found, nil
}

// annotationRevision is how a Deployment's controller counts its ReplicaSets.
const annotationRevision = "deployment.kubernetes.io/revision"

// newestSet is a Deployment's newest ReplicaSet, zero where that is not known: its pod-template-hash, name and UID.
type newestSet struct {
	hash, name string
	uid        types.UID
}

// newestOf finds a Deployment's newest ReplicaSet, once the Deployment names that one's revision: on the way back to an
// older ReplicaSet its controller raises that one's revision first and its own after.
func newestOf(sets []metav1.PartialObjectMetadata, deployment client.Object) (found newestSet) {
	newest := -1
	for _, set := range sets {
		revision, err := strconv.Atoi(set.Annotations[annotationRevision])
		if err == nil && revision > newest && metav1.IsControlledBy(&set, deployment) {
			newest, found = revision, newestSet{set.Labels["pod-template-hash"], set.Name, set.UID}
		}
	}
	if strconv.Itoa(newest) != deployment.GetAnnotations()[annotationRevision] {
		return newestSet{}
	}
	return found
}

var replicaSetKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"}

func replicaSet() client.Object {
	set := &metav1.PartialObjectMetadata{}
	set.SetGroupVersionKind(replicaSetKind)
	return set
}

// forJudging keeps of a pod what it is judged by, of an event what it tells, and of the rest the metadata.
func forJudging(event any) (any, error) {
	if object, ok := event.(client.Object); ok {
		object.SetManagedFields(nil)
	}
	switch object := event.(type) {
	case *corev1.Pod:
		object.Spec = corev1.PodSpec{NodeName: object.Spec.NodeName}
		object.Annotations = onlyOf(object.Annotations, manifests.AnnotationTemplate)
	case *corev1.Event:
		return eventForJudging(object), nil
	case *metav1.PartialObjectMetadata:
		object.Annotations = onlyOf(object.Annotations, annotationRevision)
	}
	return event, nil
}

func onlyOf(annotations map[string]string, key string) map[string]string {
	if value, ok := annotations[key]; ok {
		return map[string]string{key: value}
	}
	return nil
}

func fromMap(content map[string]any, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(content, into)
}
