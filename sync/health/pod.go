package health

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// hopeless are the reasons for which a container waits that no waiting mends. ErrImagePull is not among them: the kubelet
// tries again, and says ImagePullBackOff if that was in vain.
var hopeless = map[string]bool{
	"ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true,
	"CreateContainerConfigError": true, "CreateContainerError": true, "RunContainerError": true,
}

// disturbances are the reasons for which a pod is Failed that are no fault of its own: it was evicted, or its node went.
// (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions)
var disturbances = map[string]bool{
	"Evicted": true, "Preempting": true, "NodeLost": true, "NodeAffinity": true, "NodeShutdown": true, "Shutdown": true, "Terminated": true,
}

// pod is the verdict on a Pod.
func pod(u *unstructured.Unstructured) manifests.Health {
	switch phase := textOf(u.Object, "status.phase"); phase {
	case "Succeeded":
		return healthy
	case "Failed":
		return failedPod(u)
	}
	if verdict, ok := stuckContainer(u); ok {
		return verdict
	}
	ready := conditionOf(u.Object, "Ready")
	scheduled := conditionOf(u.Object, "PodScheduled")
	switch {
	case ready["status"] == "True" && restartPolicy(u) == "Always":
		return healthy
	case ready["status"] == "True":
		// It is to end. How it does is seen while its release is watched, and not waited for: nobody says how long it takes.
		verdict := progressing("Running", "it runs, and is not done")
		verdict.Bearing = manifests.None
		return verdict
	case scheduled["status"] == "False":
		return progressing(reasonOf(scheduled), messageOf(scheduled))
	case ready["status"] == "False":
		return progressing(ready["reason"], messageOf(ready))
	}
	return progressing("", "it is not ready")
}

// failedPod is the verdict on a Pod that has ended in failure: bad, but where it was made to end.
func failedPod(u *unstructured.Unstructured) manifests.Health {
	reason := textOf(u.Object, "status.reason")
	message := textOf(u.Object, "status.message")
	if disrupted := conditionOf(u.Object, "DisruptionTarget"); disrupted["status"] == "True" && !disturbances[reason] {
		reason, message = reasonOf(disrupted), messageOf(disrupted)
		return progressing(reason, message)
	}
	switch {
	case disturbances[reason] && message == "":
		return progressing(reason, "it was made to end")
	case disturbances[reason]:
		return progressing(reason, message)
	case message == "":
		message = exitOf(u)
	}
	if reason == "" {
		reason = "PodFailed"
	}
	return failed(reason, message)
}

// stuckContainer is the verdict on the first container that will not start, or that has ended in failure for good.
func stuckContainer(u *unstructured.Unstructured) (manifests.Health, bool) {
	for _, c := range containers(u) {
		name, reason := textOf(c, "name"), textOf(c, "state.waiting.reason")
		code := numberOf(c, "state.terminated.exitCode")
		switch {
		case hopeless[reason]:
			return failed(reason, fmt.Sprintf("container %s: %s", name, waitsBecause(c))), true
		case crashes(c):
			message := fmt.Sprintf("container %s: exit code %d, restarts: %d", name,
				numberOf(c, "lastState.terminated.exitCode"), numberOf(c, "restartCount"))
			return failed(crashLoop, message), true
		case code != 0 && restartPolicy(u) == "Never":
			return failed("Error", fmt.Sprintf("container %s: exit code %d", name, code)), true
		}
	}
	return manifests.Health{}, false
}

// waitsBecause is why a container waits. What could not be run is not told: the command may have secrets filled in.
func waitsBecause(c map[string]any) string {
	if reason := textOf(c, "state.waiting.reason"); reason == "CreateContainerError" || reason == "RunContainerError" {
		return "it cannot be run"
	}
	return textOf(c, "state.waiting.message")
}

// crashLoop is the kubelet's word for a container that keeps failing.
const crashLoop = "CrashLoopBackOff"

// crashes tells a container that keeps failing from one that exited once: it has failed twice in a row, or it waits to be
// restarted after a failure.
func crashes(c map[string]any) bool {
	before := numberOf(c, "lastState.terminated.exitCode") != 0
	again := numberOf(c, "state.terminated.exitCode") != 0
	backingOff := textOf(c, "state.waiting.reason") == crashLoop
	restarts, counted := asNumber(c["restartCount"])
	return again && before || backingOff && (before || restarts >= 2 || !counted)
}

// exitOf tells how a Pod's containers have ended.
func exitOf(u *unstructured.Unstructured) string {
	for _, c := range containers(u) {
		if code := numberOf(c, "state.terminated.exitCode"); code != 0 {
			return fmt.Sprintf("container %s: exit code %d", textOf(c, "name"), code)
		}
	}
	return "it has failed"
}

func restartPolicy(u *unstructured.Unstructured) string {
	if policy := textOf(u.Object, "spec.restartPolicy"); policy != "" {
		return policy
	}
	return "Always"
}

// containers are the statuses of a Pod's containers, those that go first before the others.
func containers(u *unstructured.Unstructured) (all []map[string]any) {
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		list, _ := fieldOf(u.Object, "status."+field).([]any)
		for _, item := range list {
			if content, ok := item.(map[string]any); ok {
				all = append(all, content)
			}
		}
	}
	return all
}
