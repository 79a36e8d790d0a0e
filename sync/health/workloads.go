package health

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// count is of how many pods something is true, and of how many it is to be.
type count struct {
	have, want int64
	what       string // completes "2 of 3 pods are …"
}

// awaited is the verdict on the first count that is short.
func awaited(counts ...count) (manifests.Health, bool) {
	for _, c := range counts {
		if c.have < c.want {
			return progressing("", fmt.Sprintf("%d of %d pods are %s", c.have, c.want, c.what)), true
		}
	}
	return manifests.Health{}, false
}

// wantedPods is spec.replicas, which is 1 where it is not said.
func wantedPods(u *unstructured.Unstructured) int64 {
	if n, ok := asNumber(fieldOf(u.Object, "spec.replicas")); ok {
		return n
	}
	return 1
}

// isUnseen tells a workload that its controller has not seen, or not seen as it is now.
func isUnseen(u *unstructured.Unstructured) bool {
	observed, ok := asNumber(fieldOf(u.Object, "status.observedGeneration"))
	return observed < u.GetGeneration() || !ok && u.GetGeneration() == 0 && fieldOf(u.Object, "status") == nil
}

// refusedPods is what a workload says of pods that may not be made: a quota, or admission, does not let them in. Its
// controller tries again.
func refusedPods(u *unstructured.Unstructured) (manifests.Health, bool) {
	refused := conditionOf(u.Object, "ReplicaFailure")
	return progressing(reasonOf(refused), messageOf(refused)), refused["status"] == "True"
}

// deployment is the verdict on a Deployment. kstatus knows when one is rolled out.
// (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status)
func deployment(u *unstructured.Unstructured) manifests.Health {
	if behind(u) {
		return unseen
	}
	if progress := conditionOf(u.Object, "Progressing"); progress["reason"] == "ProgressDeadlineExceeded" && !isComplete(u) {
		return failed(progress["reason"], messageOf(progress))
	}
	if paused, _ := asTruth(fieldOf(u.Object, "spec.paused")); paused {
		return pausedDeployment(u)
	}
	if isComplete(u) && conditionOf(u.Object, "Progressing")["status"] == "False" {
		return progressing("", "its pods are there, and its controller has not said that it is done")
	}
	verdict := byKstatus(u)
	if refused, ok := refusedPods(u); ok && verdict.Condition == manifests.Progressing {
		return refused
	}
	return verdict
}

// isComplete tells a Deployment whose pods are all of the newest template and available. One that is so, and past its
// deadline, went back to the template before: the controller notes first that it has seen the change, and then the rest.
func isComplete(u *unstructured.Unstructured) bool {
	want := wantedPods(u)
	for _, field := range []string{"replicas", "updatedReplicas", "availableReplicas"} {
		if numberOf(u.Object, "status."+field) != want {
			return false
		}
	}
	return true
}

// pausedDeployment is the verdict on a Deployment that is paused: with all its pods of the newest template there is nothing
// to wait for; else it is not rolled out before somebody resumes it.
func pausedDeployment(u *unstructured.Unstructured) manifests.Health {
	want := wantedPods(u)
	if updated := numberOf(u.Object, "status.updatedReplicas"); updated < want {
		verdict := suspended(fmt.Sprintf("it is paused with %d of %d pods of the newest template: set spec.paused to false", updated, want))
		verdict.Reason, verdict.Bearing = "Paused", manifests.Patient
		return verdict
	}
	if short, ok := awaited(count{numberOf(u.Object, "status.availableReplicas"), want, "available"}); ok {
		return short
	}
	verdict := suspended("it is paused")
	verdict.Reason = "Paused"
	return verdict
}

// statefulSet is the verdict on a StatefulSet. With OnDelete its pods are replaced by whoever deletes them, and with a
// partition those below it are left as they are; both are as asked for.
// (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies)
func statefulSet(u *unstructured.Unstructured) manifests.Health {
	if isUnseen(u) {
		return unseen
	}
	want := wantedPods(u)
	there, ready := numberOf(u.Object, "status.replicas"), numberOf(u.Object, "status.readyReplicas")
	available, ok := asNumber(fieldOf(u.Object, "status.availableReplicas"))
	if !ok {
		available = ready // before Kubernetes 1.22
	}
	short, ok := awaited(count{there, want, "there"}, count{ready, want, "ready"}, count{available, want, "available"})
	switch {
	case ok:
		return short
	case there > want:
		return progressing("", fmt.Sprintf("%d pods are there, and %d are wanted", there, want))
	case textOf(u.Object, "spec.updateStrategy.type") == "OnDelete":
		return healthy
	}
	partition := numberOf(u.Object, "spec.updateStrategy.rollingUpdate.partition")
	updated := numberOf(u.Object, "status.updatedReplicas")
	current, update := textOf(u.Object, "status.currentRevision"), textOf(u.Object, "status.updateRevision")
	if current == update {
		updated = max(updated, numberOf(u.Object, "status.currentReplicas"))
	}
	if short, ok := awaited(count{updated, want - partition, "of the newest template"}); ok {
		return short
	}
	if partition == 0 && current != update {
		return progressing("", "its pods are of the newest template, and its controller has not said that it is done")
	}
	return healthy
}

// daemonSet is the verdict on a DaemonSet. (https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/)
func daemonSet(u *unstructured.Unstructured) manifests.Health {
	if isUnseen(u) {
		return unseen
	}
	want, ok := asNumber(fieldOf(u.Object, "status.desiredNumberScheduled"))
	if !ok {
		return progressing("", "its controller has not said how many pods are to be")
	}
	counts := []count{{numberOf(u.Object, "status.currentNumberScheduled"), want, "there"}}
	if textOf(u.Object, "spec.updateStrategy.type") != "OnDelete" {
		counts = append(counts, count{numberOf(u.Object, "status.updatedNumberScheduled"), want, "of the newest template"})
	}
	counts = append(counts, count{numberOf(u.Object, "status.numberReady"), want, "ready"},
		count{numberOf(u.Object, "status.numberAvailable"), want, "available"})
	if short, ok := awaited(counts...); ok {
		return short
	}
	return healthy
}

// replicas is the verdict on a ReplicaSet, and on a ReplicationController, for which kstatus has no rule.
func replicas(u *unstructured.Unstructured) manifests.Health {
	if isUnseen(u) {
		return unseen
	}
	if refused, ok := refusedPods(u); ok {
		return refused
	}
	want, there := wantedPods(u), numberOf(u.Object, "status.replicas")
	available := numberOf(u.Object, "status.availableReplicas")
	ready, ok := asNumber(fieldOf(u.Object, "status.readyReplicas"))
	if !ok {
		ready = available // what is available is ready
	}
	if short, ok := awaited(count{there, want, "there"}, count{ready, want, "ready"}, count{available, want, "available"}); ok {
		return short
	}
	if there > want {
		return progressing("", fmt.Sprintf("%d pods are there, and %d are wanted", there, want))
	}
	return healthy
}
