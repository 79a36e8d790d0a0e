package cluster

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/belay-gitops/belay/manifests"
)

// The kubelet's words for containers.
const (
	crashLoop    = "CrashLoopBackOff" // it keeps failing
	oomKilled    = "OOMKilled"        // it took more memory than it may
	invalidImage = "InvalidImageName"
	configError  = "CreateContainerConfigError" // what it is to be given is not there, or not right
)

// hopeless are the reasons for which a container waits that waiting seldom mends: the release has to change.
// ErrImagePull is not among them: the kubelet tries again, and says ImagePullBackOff if that was in vain.
var hopeless = map[string]bool{
	"ImagePullBackOff":     true,
	invalidImage:           true,
	"ErrImageNeverPull":    true,
	configError:            true,
	"CreateContainerError": true,
	"RunContainerError":    true,
}

// passing is how the kubelet, container runtimes and registries word what passes by itself: a node or a registry that
// is too busy, a cache that is not filled yet, a disk that takes longer than its driver waits.
var passing = regexp.MustCompile(`(?i)timed out waiting for the condition|context deadline exceeded|failed to reserve container name|` +
	`no space left on device|toomanyrequests|too many requests|i/o timeout|tls handshake timeout|connection reset by peer|unexpected EOF|` +
	`\b50[0234]\b.{0,3}(internal server error|bad gateway|service unavailable|gateway time-?out)`)

// container judges one container of a pod.
func (s sight) container(c corev1.ContainerStatus) finding {
	where := s.where(c.Name)
	if crashes(c) {
		found := fails(crashLoop, where+": "+lastExit(c))
		if killed(c) == oomKilled {
			found.Reason = oomKilled
		}
		if code := lastEnd(c); s.probe.message != "" && code != nil && (code.ExitCode == 137 || code.ExitCode == 143) {
			found.Message += "; " + s.probe.message // the kubelet ends containers that do not answer
		}
		found.container, found.crashed = c.Name, true
		return found
	}
	waiting := c.State.Waiting
	switch {
	case waiting == nil:
		return finding{Health: manifests.Health{Condition: manifests.Healthy}}
	case hopeless[waiting.Reason] && !s.mayPass(c.Name, waiting):
		found := fails(waiting.Reason, fmt.Sprintf("%s: %s", where, waiting.Message))
		found.container = c.Name
		return found
	case waiting.Reason == "PodInitializing" && s.initializing() != "":
		return waitsFor("", s.where(s.initializing())+" has not ended")
	case waiting.Reason == "ContainerCreating" || waiting.Reason == "PodInitializing":
		return waitsFor("", where+" is starting")
	}
	message := waiting.Message
	if runs[waiting.Reason] {
		message = passing.FindString(message) // the rest may quote the command
	}
	return waitsFor(waiting.Reason, strings.TrimSuffix(fmt.Sprintf("%s: %s", where, message), ": "))
}

// initializing names the init container that the others wait for; empty where none runs. A sidecar that runs is ready.
func (s sight) initializing() string {
	for _, c := range s.pod.Status.InitContainerStatuses {
		if c.State.Running != nil && !c.Ready {
			return c.Name
		}
	}
	return ""
}

// mayPass tells a trouble of a node, a registry or of the moment from one of the release. Where the same container of
// the same revision has been started before, the release can be run.
func (s sight) mayPass(container string, waiting *corev1.ContainerStateWaiting) bool {
	switch {
	case waiting.Reason == invalidImage:
		return false
	case passing.MatchString(waiting.Message), s.revision.started[container]:
		return true
	}
	return waiting.Reason == configError && s.awaited && absent.MatchString(waiting.Message)
}

// crashes tells a container that keeps failing from one that exited once: it has failed twice in a row, or it waits
// to be restarted for the third time. The kubelet may take ten seconds from the second failure to say
// CrashLoopBackOff (seen with 1.36), so that its word is not waited for. One that ran for longer than the kubelet
// remembers has failed once.
func crashes(c corev1.ContainerStatus) bool {
	failedBefore := failed(c.LastTerminationState)
	backingOff := c.State.Waiting != nil && c.State.Waiting.Reason == crashLoop
	return failed(c.State) && failedBefore && ranFor(c.State.Terminated) < forgiven || backingOff && (c.RestartCount >= 2 || c.RestartCount >= 1 && failedBefore)
}

// forgiven is how long a container has to run for the kubelet to restart it without delay again
// (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
const forgiven = 10 * time.Minute

func ranFor(end *corev1.ContainerStateTerminated) time.Duration {
	return end.FinishedAt.Sub(end.StartedAt.Time)
}

// failed tells a failure of the container's from one of the node's: after a restart of a node the kubelet does not know
// how its containers ended.
func failed(state corev1.ContainerState) bool {
	return state.Terminated != nil && state.Terminated.ExitCode != 0 && state.Terminated.Reason != "ContainerStatusUnknown"
}

// started tells whether a container's process ever ran.
func started(c corev1.ContainerStatus) bool {
	ran := func(end *corev1.ContainerStateTerminated) bool {
		return end != nil && end.Reason != "StartError" && end.Reason != "ContainerCannotRun" && end.Reason != "ContainerStatusUnknown"
	}
	return c.State.Running != nil || ran(c.State.Terminated) || ran(c.LastTerminationState.Terminated)
}

// lastEnd is how a container ended last; nil where that is not known.
func lastEnd(c corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastTerminationState.Terminated
}

func killed(c corev1.ContainerStatus) string {
	if end := lastEnd(c); end != nil {
		return end.Reason
	}
	return ""
}

func lastExit(c corev1.ContainerStatus) string {
	last := lastEnd(c)
	if last == nil {
		return fmt.Sprintf("restarts: %d", c.RestartCount)
	}
	text := fmt.Sprintf("exit code %d, restarts: %d", last.ExitCode, c.RestartCount)
	if last.Reason != "" && last.Reason != "Error" {
		text += " (" + last.Reason + ")"
	}
	return text
}
