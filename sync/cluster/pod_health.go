package cluster

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/belay-gitops/belay/manifests"
)

// hopeless are the reasons for which a container waits that no waiting mends: the release has to change.
// ErrImagePull is not among them: the kubelet tries again, and says ImagePullBackOff if that was in vain.
var hopeless = map[string]bool{
	"ImagePullBackOff":           true,
	"InvalidImageName":           true,
	"ErrImageNeverPull":          true,
	"CreateContainerConfigError": true,
	"CreateContainerError":       true,
	"RunContainerError":          true,
}

// podHealth says whether a pod runs, cannot run, or is on its way. One failed container is enough.
func podHealth(pod *corev1.Pod) manifests.Health {
	if pod.Status.Phase == corev1.PodSucceeded {
		return manifests.Health{Condition: manifests.Healthy}
	}
	waiting := progressing("", "")
	for _, c := range containerStatuses(pod) {
		if h := containerHealth(pod.Name, c); h.Condition == manifests.Unhealthy {
			return h
		} else if h.Condition == manifests.Progressing && waiting.Message == "" {
			waiting = h
		}
	}
	for _, condition := range pod.Status.Conditions {
		switch {
		case condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue:
			return manifests.Health{Condition: manifests.Healthy}
		case condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse:
			return progressing(condition.Reason, fmt.Sprintf("pod %s: %s", pod.Name, condition.Message))
		}
	}
	if waiting.Message == "" {
		waiting = progressing("", fmt.Sprintf("pod %s is not ready", pod.Name))
	}
	return waiting
}

func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return append(append([]corev1.ContainerStatus(nil), pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
}

func containerHealth(pod string, c corev1.ContainerStatus) manifests.Health {
	where := fmt.Sprintf("pod %s, container %s", pod, c.Name)
	if crashes(c) {
		return manifests.Health{Condition: manifests.Unhealthy, Reason: crashLoop, Message: where + ": " + lastExit(c)}
	}
	waiting := c.State.Waiting
	switch {
	case waiting == nil:
		return manifests.Health{Condition: manifests.Healthy}
	case hopeless[waiting.Reason]:
		return manifests.Health{Condition: manifests.Unhealthy, Reason: waiting.Reason,
			Message: fmt.Sprintf("%s: %s", where, waiting.Message)}
	case waiting.Reason == "ContainerCreating" || waiting.Reason == "PodInitializing":
		return progressing("", where+" is starting")
	}
	return progressing(waiting.Reason, fmt.Sprintf("%s: %s", where, waiting.Message))
}

// crashLoop is the kubelet's word for a container that keeps failing.
const crashLoop = "CrashLoopBackOff"

// crashes tells a container that keeps failing from one that exited once: it has failed twice in a row, or it waits
// to be restarted for the third time. The kubelet may take ten seconds from the second failure to say
// CrashLoopBackOff (seen with 1.36), so that its word is not waited for.
func crashes(c corev1.ContainerStatus) bool {
	failedBefore := failed(c.LastTerminationState)
	backingOff := c.State.Waiting != nil && c.State.Waiting.Reason == crashLoop
	return failed(c.State) && failedBefore || backingOff && (c.RestartCount >= 2 || failedBefore)
}

func failed(state corev1.ContainerState) bool {
	return state.Terminated != nil && state.Terminated.ExitCode != 0
}

func lastExit(c corev1.ContainerStatus) string {
	last := c.LastTerminationState.Terminated
	if last == nil {
		return fmt.Sprintf("restarts: %d", c.RestartCount)
	}
	text := fmt.Sprintf("exit code %d, restarts: %d", last.ExitCode, c.RestartCount)
	if last.Reason != "" && last.Reason != "Error" {
		text += " (" + last.Reason + ")"
	}
	return text
}
