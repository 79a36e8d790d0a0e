package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// claimUnbound is the reason of a pod that no node takes for the claims of its volumes.
const claimUnbound = "ClaimUnbound"

var (
	claimsResource = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	classResource  = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
)

// claimState is what is known of a PersistentVolumeClaim that a pod waits for.
type claimState struct {
	name         string
	missing      bool   // it does not exist
	phase        string // Bound is well
	class        string // empty where it has none
	classMissing bool   // no such class exists
	provisioner  string // of the class
	answered     bool   // the provisioner has taken it up
	warning      string // what the provisioner says
}

// trouble says what is wrong with a claim, and whether waiting is in vain; empty where nothing is known to be.
func (c claimState) trouble() (trouble string, lasting bool) {
	switch {
	case c.missing:
		return "it does not exist", true
	case c.phase == string(corev1.ClaimBound):
		return "", false
	case c.phase == string(corev1.ClaimLost):
		return "its volume is lost", true
	case c.classMissing:
		return fmt.Sprintf("there is no StorageClass %s", c.class), true
	case c.class == "":
		return "it names no StorageClass, there is no default one, and no volume fits", true
	case c.warning != "" && !passing.MatchString(c.warning):
		return fmt.Sprintf("StorageClass %s: %s", c.class, c.warning), true
	case c.provisioner == "kubernetes.io/no-provisioner":
		return fmt.Sprintf("StorageClass %s makes no volumes, and none that is there fits", c.class), true
	case !c.answered:
		return fmt.Sprintf("StorageClass %s: its provisioner %s has not answered", c.class, c.provisioner), true
	}
	return fmt.Sprintf("StorageClass %s: its provisioner %s is at work", c.class, c.provisioner), false
}

// unboundHealth judges the claims for which no node has taken a pod for unschedulableFor. Without a message nothing
// is wrong with them any more. A cloud's disk may take a minute: what is being made is waited for.
func unboundHealth(pod string, claims []claimState) manifests.Health {
	slow := progressing(claimUnbound, "")
	for _, claim := range claims {
		trouble, lasting := claim.trouble()
		message := fmt.Sprintf("pod %s, PersistentVolumeClaim %s: %s", pod, claim.name, trouble)
		switch {
		case lasting:
			return manifests.Health{Condition: manifests.Unhealthy, Reason: claimUnbound, Message: message}
		case trouble != "" && slow.Message == "":
			slow.Message = message
		}
	}
	return slow
}

// claimStates reads the claims of a pod and their classes, with the agent's own rights. It is asked for when such a pod
// is about to fail a release.
func (c *Cluster) claimStates(ctx context.Context, pod *corev1.Pod, memory *podMemory) ([]claimState, error) {
	whole, err := c.wholePod(ctx, pod)
	if err != nil {
		return nil, err
	}
	var states []claimState
	for _, volume := range whole.Spec.Volumes {
		name := ""
		switch {
		case volume.PersistentVolumeClaim != nil:
			name = volume.PersistentVolumeClaim.ClaimName
		case volume.Ephemeral != nil:
			name = pod.Name + "-" + volume.Name
		default:
			continue
		}
		state, err := c.claimState(ctx, pod.Namespace, name, memory)
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}

func (c *Cluster) claimState(ctx context.Context, namespace, name string, memory *podMemory) (claimState, error) {
	state := claimState{name: name}
	claim, err := c.own.Resource(claimsResource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		state.missing = true
		return state, nil
	}
	if err != nil {
		return state, err
	}
	state.phase, _, _ = unstructured.NestedString(claim.Object, "status", "phase")
	state.class = classOf(claim)
	state.warning = memory.warning(claim.GetUID(), provisioningFailed).message
	if state.class == "" || state.phase == string(corev1.ClaimBound) {
		return state, nil
	}
	class, err := c.own.Resource(classResource).Get(ctx, state.class, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		state.classMissing = true
		return state, nil
	}
	if err != nil {
		return state, err
	}
	state.provisioner, _, _ = unstructured.NestedString(class.Object, "provisioner")
	said, err := c.eventsOf(ctx, claim)
	state.answered = said["Provisioning"] || said["ProvisioningSucceeded"]
	return state, err
}

// classOf is the StorageClass that a claim names. The annotation, which old manifests have, goes before the field, as it
// does for Kubernetes.
func classOf(claim *unstructured.Unstructured) string {
	if class, ok := claim.GetAnnotations()[corev1.BetaStorageClassAnnotation]; ok {
		return class
	}
	class, _, _ := unstructured.NestedString(claim.Object, "spec", "storageClassName")
	return class
}

// wholePod reads a pod with its spec, of which the watches keep nothing.
func (c *Cluster) wholePod(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	u, err := c.own.Resource(podResource).Namespace(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if u.GetUID() != pod.UID {
		return nil, apierrors.NewNotFound(podResource.GroupResource(), pod.Name)
	}
	whole := &corev1.Pod{}
	return whole, fromMap(u.Object, whole)
}
