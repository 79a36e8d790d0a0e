package cluster

import (
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/belay-gitops/belay/manifests"
)

// How long a trouble may last that often passes by itself, by this process's clock since it was first seen.
const (
	unschedulableFor = 30 * time.Second
	unmountableFor   = 30 * time.Second
)

// sight is what is known of a pod when it is judged. But for the pod all of it may be missing.
type sight struct {
	pod *corev1.Pod
	now time.Time
	// unschedulable is since when no node takes it, by this process's clock.
	unschedulable time.Time
	mount, probe  warning
	revision      revisionNote
	// awaited tells that the release has custom resources, whose controllers may make the Secrets and ConfigMaps
	// that are missing yet.
	awaited bool
}

// finding is what is found behind a workload.
type finding struct {
	manifests.Health
	pod       *corev1.Pod
	container string // whose last log line may say more; empty where none ran
	crashed   bool
	unbound   bool // for its volumes' claims no node takes the pod
}

func waitsFor(reason, message string) finding { return finding{Health: progressing(reason, message)} }

func fails(reason, message string) finding {
	return finding{Health: manifests.Health{Condition: manifests.Unhealthy, Reason: reason, Message: message}}
}

// podHealth says whether a pod runs, cannot run, or is on its way. One failed container is enough.
func podHealth(s sight) finding {
	found := s.health()
	found.pod = s.pod
	return found
}

func (s sight) health() finding {
	switch {
	case s.pod.Status.Phase == corev1.PodSucceeded:
		return finding{Health: manifests.Health{Condition: manifests.Healthy}}
	case isDisturbed(s.pod):
		return waitsFor("", fmt.Sprintf("pod %s has ended (%s), and is not ready", s.pod.Name, endOf(s.pod)))
	}
	waiting := waitsFor("", "")
	for _, c := range containerStatuses(s.pod) {
		if found := s.container(c); found.Condition == manifests.Unhealthy {
			return found
		} else if found.Condition == manifests.Progressing && waiting.Message == "" {
			waiting = found
		}
	}
	for _, condition := range s.pod.Status.Conditions {
		switch {
		case condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue:
			return finding{Health: manifests.Health{Condition: manifests.Healthy}}
		case condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse:
			return s.unscheduled(condition)
		}
	}
	switch {
	case s.mount.message != "" && !everRan(s.pod) && !hasVolumes(s.pod):
		return s.unmounted()
	case s.probe.message != "" && waiting.Reason == "":
		return waitsFor("Unhealthy", s.where(s.probe.container)+": "+s.probe.message)
	case waiting.Message == "":
		return waitsFor("", fmt.Sprintf("pod %s is not ready", s.pod.Name))
	}
	return waiting
}

// isDisturbed tells a pod that its node or the cluster has ended, or is about to: an eviction, a preemption, a drain, a
// node that is lost, shuts down or has no place for it after all. Another one is made, or the Job says what it means.
func isDisturbed(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return pod.Status.Phase == corev1.PodFailed
}

func endOf(pod *corev1.Pod) string {
	if pod.Status.Reason != "" {
		return pod.Status.Reason
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Reason != "" {
			return condition.Reason
		}
	}
	return string(corev1.PodFailed)
}

// ofClaims is how the scheduler says that a pod waits for its volumes.
var ofClaims = regexp.MustCompile(`(?i)persistentvolumeclaim`)

// unscheduled judges a pod that no node takes. After a drain, or when there are to be more pods than there were, the
// others run: then a place is waited for, and no release is to blame.
func (s sight) unscheduled(condition corev1.PodCondition) finding {
	found := waitsFor(condition.Reason, fmt.Sprintf("pod %s: %s", s.pod.Name, condition.Message))
	room := s.revision.scheduled || s.pod.Status.NominatedNodeName != "" // it is being made
	if condition.Reason != corev1.PodReasonUnschedulable || room || s.unschedulable.IsZero() {
		return found
	}
	found.unbound = ofClaims.MatchString(condition.Message)
	return s.after(unschedulableFor, s.unschedulable, found)
}

// after makes a failure of what is waited for, once that has lasted long enough.
func (s sight) after(limit time.Duration, since time.Time, found finding) finding {
	if left := limit - s.now.Sub(since); left > 0 {
		found.Again = left
		return found
	}
	found.Condition = manifests.Unhealthy
	return found
}

// absent is how the kubelet says that a pod refers to something that does not exist
// (https://github.com/kubernetes/kubernetes/tree/master/pkg/volume, configmap, secret and projected).
var absent = regexp.MustCompile(`(?i)(configmap|secret|persistentvolumeclaim)s? "[^"]*" not found|references non-existent (config|secret) key|couldn't find key`)

// unmounted judges a pod that has no volumes yet.
func (s sight) unmounted() finding {
	found := waitsFor("FailedMount", fmt.Sprintf("pod %s: %s", s.pod.Name, s.mount.message))
	if !absent.MatchString(s.mount.message) || s.revision.ran || s.awaited {
		return found
	}
	return s.after(unmountableFor, s.mount.first, found)
}

// hasVolumes tells a pod whose volumes are mounted, as its sandbox is made after that: its images may still be pulled.
// (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-has-network)
func hasVolumes(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReadyToStartContainers && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return pod.Status.PodIP != ""
}

func (s sight) where(container string) string {
	kind := "container"
	for _, c := range s.pod.Status.InitContainerStatuses {
		if c.Name == container {
			kind = "init container"
		}
	}
	if container == "" {
		return "pod " + s.pod.Name
	}
	return fmt.Sprintf("pod %s, %s %s", s.pod.Name, kind, container)
}

// everRan tells whether any container of a pod was ever started.
func everRan(pod *corev1.Pod) bool {
	for _, c := range containerStatuses(pod) {
		if started(c) {
			return true
		}
	}
	return false
}

func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return append(append([]corev1.ContainerStatus(nil), pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
}
