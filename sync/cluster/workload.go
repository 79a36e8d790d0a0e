package cluster

import (
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/belay-gitops/belay/manifests"
)

var (
	pod                   = kind{Kind: "Pod"}
	job                   = kind{Group: "batch", Kind: "Job"}
	deployment            = kind{Group: "apps", Kind: "Deployment"}
	statefulSet           = kind{Group: "apps", Kind: "StatefulSet"}
	daemonSet             = kind{Group: "apps", Kind: "DaemonSet"}
	bareReplicaSet        = kind{Group: "apps", Kind: "ReplicaSet"}
	replicationController = kind{Kind: "ReplicationController"}
)

// workload is an object with pods behind it.
type workload struct {
	object   *unstructured.Unstructured
	kind     kind
	selector labels.Selector
}

func workloadOf(u *unstructured.Unstructured) (workload, bool) {
	w := workload{object: u, kind: u.GroupVersionKind().GroupKind(), selector: labels.Nothing()}
	if !manifests.IsWorkload(w.kind) {
		return workload{}, false
	}
	if w.kind == replicationController {
		selector, _, _ := unstructured.NestedStringMap(u.Object, "spec", "selector")
		w.selector = labels.SelectorFromSet(selector)
		return w, len(selector) > 0
	}
	content, ok, _ := unstructured.NestedMap(u.Object, "spec", "selector")
	if !ok {
		return w, true
	}
	var selector metav1.LabelSelector
	if err := fromMap(content, &selector); err != nil {
		return w, true
	}
	if parsed, err := metav1.LabelSelectorAsSelector(&selector); err == nil {
		w.selector = parsed
	}
	return w, true
}

// isObserved tells whether the workload's controller has seen its newest generation. Pods, and kinds that do not say,
// have no such delay.
func (w workload) isObserved() bool {
	observed, ok, err := unstructured.NestedInt64(w.object.Object, "status", "observedGeneration")
	return !ok || err != nil || observed >= w.object.GetGeneration() || w.kind == pod
}

// late is how a Deployment's controller says which ReplicaSet came too late.
var late = regexp.MustCompile(`ReplicaSet "([^"]+)" has timed out`)

// isLateFor tells a Deployment whose deadline another ReplicaSet has missed than its newest: its controller notes first
// that it has seen a change, and what became of it after.
func (w workload) isLateFor(newest newestSet) bool {
	if w.kind != deployment {
		return false
	}
	conditions, _, _ := unstructured.NestedSlice(w.object.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		message, _ := condition["message"].(string)
		if named := late.FindStringSubmatch(message); named != nil && condition["reason"] == "ProgressDeadlineExceeded" {
			return named[1] != newest.name
		}
	}
	return false
}

func (w workload) number(otherwise int64, path ...string) int64 {
	if n, ok, err := unstructured.NestedInt64(w.object.Object, path...); ok && err == nil {
		return n
	}
	return otherwise
}

// current picks the pods of the workload's newest revision, the only ones that a release is judged by.
func (w workload) current(pods podsOf) []*corev1.Pod {
	var current []*corev1.Pod
	for _, pod := range pods.pods {
		if pod.DeletionTimestamp == nil && w.isCurrent(pod, pods) {
			current = append(current, pod)
		}
	}
	return current
}

func (w workload) isCurrent(pod *corev1.Pod, pods podsOf) bool {
	switch w.kind {
	case deployment:
		return pod.Labels["pod-template-hash"] == pods.newest.hash && pods.newest.hash != ""
	case statefulSet:
		revision, _, _ := unstructured.NestedString(w.object.Object, "status", "updateRevision")
		return pod.Labels["controller-revision-hash"] == revision
	case daemonSet:
		return pod.Labels["pod-template-generation"] == w.object.GetAnnotations()["deprecated.daemonset.template.generation"]
	case replicationController, bareReplicaSet:
		return !w.isStale(pod)
	}
	return true
}

// isStale tells a pod of an older template, where the template bears [manifests.AnnotationTemplate].
func (w workload) isStale(pod *corev1.Pod) bool {
	if !manifests.ReplacesNoPods(w.kind) {
		return false
	}
	mark, _, _ := unstructured.NestedString(w.object.Object, "spec", "template", "metadata", "annotations", manifests.AnnotationTemplate)
	return mark != "" && pod.Annotations[manifests.AnnotationTemplate] != mark
}

func (w workload) countStale(pods podsOf) (count int) {
	for _, pod := range pods.pods {
		if w.isStale(pod) {
			count++
		}
	}
	return count
}
