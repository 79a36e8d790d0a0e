package cluster

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// completion is with how many pods a workload was complete.
type completion struct {
	revision string
	replicas int64
}

// completed notes that a workload is complete. The smallest number counts: an autoscaler goes up and down.
func (m *podMemory) completed(workload types.UID, now completion) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, ok := m.complete[workload]; ok && before.revision == now.revision {
		now.replicas = min(now.replicas, before.replicas)
	}
	m.complete[workload] = now
}

func (m *podMemory) completion(workload types.UID) completion {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.complete[workload]
}

// scalable are the kinds whose pods are counted in spec.replicas.
var scalable = map[kind]bool{deployment: true, statefulSet: true, bareReplicaSet: true, replicationController: true}

// revision is the workload's newest template, by a name that its controller gave it.
func (w workload) revision(pods podsOf) string {
	switch w.kind {
	case deployment:
		return pods.newest.hash
	case statefulSet:
		revision, _, _ := unstructured.NestedString(w.object.Object, "status", "updateRevision")
		return revision
	}
	mark, _, _ := unstructured.NestedString(w.object.Object, "spec", "template", "metadata", "annotations", manifests.AnnotationTemplate)
	return "template " + mark
}

// scaledUp tells a workload that was complete in this release and that somebody else wants more pods of since: that
// they do not come is no fault of the release, as long as those that there were are available.
func (w workload) scaledUp(before completion, revision string) (manifests.Health, bool) {
	wanted, available := w.number(1, "spec", "replicas"), w.number(0, "status", "availableReplicas")
	switch {
	case !scalable[w.kind], revision == "", before.revision != revision:
	case wanted <= before.replicas, available < before.replicas, available >= wanted:
	case ownFields(w.object.GetManagedFields()).Has(replicasField): // the number is Git's
	default:
		return manifests.Health{Condition: manifests.Healthy,
			Message: fmt.Sprintf("%d of %d pods are available; it was complete with %d, and was scaled up since", available, wanted, before.replicas)}, true
	}
	return manifests.Health{}, false
}
