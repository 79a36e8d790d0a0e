package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

var eventsResource = schema.GroupVersionResource{Version: "v1", Resource: "events"}

// withRoom asks whether a node is being made for a pod that no node takes: the cluster autoscaler says so by
// TriggeredScaleUp (https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md), Karpenter by
// Nominated. It is waited for then.
func (c *Cluster) withRoom(ctx context.Context, found finding, memory *podMemory) finding {
	said, err := c.eventsOf(ctx, found.pod)
	if err != nil || !said["TriggeredScaleUp"] && !said["Nominated"] {
		return found
	}
	memory.makesRoom(found.pod)
	found.Condition = manifests.Progressing
	found.Message += "; a node is being made for it"
	return found
}

// eventsOf reads the reasons of an object's events, also of those that are no warnings, which are not watched.
func (c *Cluster) eventsOf(ctx context.Context, object metav1.Object) (map[string]bool, error) {
	about := fieldselector.Set{"involvedObject.uid": string(object.GetUID())}.AsSelector().String()
	list, err := c.own.Resource(eventsResource).Namespace(object.GetNamespace()).List(ctx, metav1.ListOptions{FieldSelector: about})
	if err != nil {
		return nil, err
	}
	reasons := map[string]bool{}
	for i := range list.Items {
		reason, _, _ := unstructured.NestedString(list.Items[i].Object, "reason")
		reasons[reason] = true
	}
	return reasons, nil
}

func (m *podMemory) makesRoom(pod *corev1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.pods[pod.UID]; n != nil {
		n.room = true
	}
}
