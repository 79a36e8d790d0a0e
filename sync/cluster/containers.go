package cluster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// Container is a container of a pod that is there for an object of a release, or an image volume of it.
type Container struct {
	Object    manifests.ID // the release's, such as the Deployment
	Namespace string
	Pod       string
	Node      string // empty before the pod is scheduled
	Name      string // as in [manifests.Image]: the container's name, or "volume NAME"
	Image     string // as the pod's spec has it
	// ImageID is the node's name for what runs, in the runtime's own words. It may be the digest that was asked for, or
	// that of one platform. It is empty before the image is there, and of image volumes.
	ImageID string
	Started bool // it runs, or ran
}

var podResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// Containers lists the containers of all pods that are there for objects of a release: the pods among the objects, and
// those whose owners, or owners' owners, are. Pods that are done or on their way out are left out. What it answers counts
// also with an error, which is about what could not be read.
func (c *Cluster) Containers(ctx context.Context, objects manifests.Set) ([]Container, error) {
	namespaces := map[string]bool{}
	for _, id := range objects.IDs() {
		if id.Namespace != "" {
			namespaces[id.Namespace] = true
		}
	}
	names := slices.Sorted(maps.Keys(namespaces))
	lists, errs := make([][]corev1.Pod, len(names)), make([]error, len(names))
	each(len(names), func(i int) { lists[i], errs[i] = c.livePods(ctx, names[i]) })
	pods := slices.Concat(lists...)
	family := lineage{cluster: c, own: objects.Index(), owners: map[manifests.ID][]manifests.ID{}}
	errs = append(errs, family.read(ctx, pods))
	var containers []Container
	for _, pod := range pods {
		if object, ok := family.rootOf(&pod); ok {
			containers = append(containers, containersOf(&pod, object)...)
		}
	}
	return containers, all(errs)
}

// livePods lists the pods of a namespace that run, or are going to.
func (c *Cluster) livePods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	options := metav1.ListOptions{Limit: 500}
	var pods []corev1.Pod
	for {
		list, err := c.own.Resource(podResource).Namespace(namespace).List(ctx, options)
		what := "listing the pods of namespace " + namespace
		if apierrors.IsForbidden(err) { // for a person, who needs no more than to look
			return pods, &Error{Reason: "Forbidden", Object: what, Temporary: true, After: time.Minute, Detail: fmt.Sprintf(
				`they may not be read; add to a Role of %s: {apiGroups: [""], resources: [pods], verbs: [list]}`, namespace)}
		}
		if err != nil {
			return pods, describe(what, "Pod", err)
		}
		for i := range list.Items {
			var pod corev1.Pod
			if err := fromMap(list.Items[i].Object, &pod); err != nil {
				return pods, err
			}
			done := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
			if !done && pod.DeletionTimestamp == nil {
				pods = append(pods, pod)
			}
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return pods, nil
		}
	}
}

// containersOf is what of a pod has an image.
func containersOf(pod *corev1.Pod, object manifests.ID) []Container {
	status := map[string]corev1.ContainerStatus{}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses) {
		status[s.Name] = s
	}
	var containers []Container
	add := func(name, image string) {
		s := status[name]
		containers = append(containers, Container{
			Object: object, Namespace: pod.Namespace, Pod: pod.Name, Node: pod.Spec.NodeName,
			Name: name, Image: image, ImageID: s.ImageID,
			Started: s.State.Running != nil || cmp.Or(s.State.Terminated, s.LastTerminationState.Terminated) != nil,
		})
	}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		add(container.Name, container.Image)
	}
	for _, container := range pod.Spec.EphemeralContainers {
		add(container.Name, container.Image)
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Image != nil {
			containers = append(containers, Container{
				Object: object, Namespace: pod.Namespace, Pod: pod.Name, Node: pod.Spec.NodeName,
				Name: "volume " + volume.Name, Image: volume.Image.Reference, Started: pod.Status.Phase == corev1.PodRunning,
			})
		}
	}
	return containers
}
