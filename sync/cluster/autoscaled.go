package cluster

import (
	"bytes"
	"context"
	"slices"
	gosync "sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/belay-gitops/belay/manifests"
)

var horizontalPodAutoscaler = kind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}

// autoscalers finds out whether a HorizontalPodAutoscaler has a workload in its care. Those of other people are listed
// only where a workload bears the traces of one, and once per namespace.
type autoscalers struct {
	set     map[manifests.ID]bool               // targets of those that come in the same set
	brought map[manifests.ID]bool               // the set itself
	mine    func(labels map[string]string) bool // whose labels are this Sync's
	list    func(ctx context.Context, namespace string) ([]unstructured.Unstructured, error)

	mu    gosync.Mutex
	known map[string]map[manifests.ID]bool // targets by namespace; nil where they cannot be listed
}

// autoscaled tells whether the replicas of a live object are an autoscaler's. When it cannot be found out, they are:
// better a number that is not Git's than a workload scaled down in the middle of the day.
func (a *autoscalers) autoscaled(ctx context.Context, id manifests.ID, live *unstructured.Unstructured) bool {
	if a.set[id] {
		return true
	}
	if !scaled(live.GetManagedFields()) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	targets, asked := a.known[id.Namespace]
	if !asked {
		if found, err := a.list(ctx, id.Namespace); err == nil {
			targets = a.targets(found)
		}
		a.known[id.Namespace] = targets
	}
	return targets == nil || targets[id]
}

// targets are what autoscalers scale. An autoscaler of this Sync's that has left the set is about to go.
func (a *autoscalers) targets(found []unstructured.Unstructured) map[manifests.ID]bool {
	targets := map[manifests.ID]bool{}
	for i := range found {
		if leaving := a.mine(found[i].GetLabels()) && !a.brought[idOf(&found[i])]; !leaving {
			targets[targetOf(&found[i])] = true
		}
	}
	return targets
}

// autoscalers lists the autoscalers of a namespace, with the agent's own rights.
func (c *Cluster) autoscalers(ctx context.Context, namespace string) ([]unstructured.Unstructured, error) {
	mapping, err := c.mapper.RESTMapping(horizontalPodAutoscaler)
	if err != nil {
		return nil, err
	}
	list, err := c.own.Resource(mapping.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// targetsIn are what the autoscalers of a set scale.
func targetsIn(objects manifests.Set) map[manifests.ID]bool {
	targets := map[manifests.ID]bool{}
	for _, object := range objects.Objects() {
		if object.ID().GroupKind() == horizontalPodAutoscaler {
			targets[targetOf(object.Unstructured())] = true
		}
	}
	return targets
}

func targetOf(autoscaler *unstructured.Unstructured) manifests.ID {
	ref, _, _ := unstructured.NestedMap(autoscaler.Object, "spec", "scaleTargetRef")
	version, _ := ref["apiVersion"].(string)
	kind, _ := ref["kind"].(string)
	name, _ := ref["name"].(string)
	group, _ := schema.ParseGroupVersion(version) // what cannot be read names no object
	return manifests.ID{Group: group.Group, Kind: kind, Namespace: autoscaler.GetNamespace(), Name: name}
}

var replicasField = fieldpath.MakePathOrDie("spec", "replicas")

// scaled tells whether somebody holds spec.replicas who has it from the scale subresource, as autoscalers have.
func scaled(entries []metav1.ManagedFieldsEntry) bool {
	return slices.ContainsFunc(entries, func(entry metav1.ManagedFieldsEntry) bool { return isScaler(entry) && holdsReplicas(entry) })
}

// isScaler tells an entry of managedFields that may be an autoscaler's.
func isScaler(entry metav1.ManagedFieldsEntry) bool {
	return entry.Subresource == "scale" || entry.Manager == "kube-controller-manager" && entry.Subresource == ""
}

func holdsReplicas(entry metav1.ManagedFieldsEntry) bool {
	return entry.FieldsV1 != nil && bytes.Contains(entry.FieldsV1.GetRawBytes(), []byte(`"f:replicas"`)) && fieldsOf(entry).Has(replicasField)
}
