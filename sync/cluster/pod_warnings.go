package cluster

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The reasons of Warning events that say what no status does.
const (
	failedMount        = "FailedMount"        // of a pod: the kubelet cannot give it a volume
	unhealthy          = "Unhealthy"          // of a pod: a probe fails
	provisioningFailed = "ProvisioningFailed" // of a claim
)

var telling = map[string]bool{failedCreate: true, failedMount: true, unhealthy: true, provisioningFailed: true}

// warning is a Warning event about one object.
type warning struct {
	message     string
	container   string    // where it is about one
	first, last time.Time // when it was seen, by this process's clock
	live        bool      // it came while somebody attended, and is not of a time before
}

// longestWarning is how much of an event's message is kept, in bytes.
const longestWarning = 1024

// warned takes in an event.
func (m *podMemory) warned(event *corev1.Event, live bool, now time.Time) {
	if !telling[event.Reason] {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	about := event.InvolvedObject.UID
	if m.warnings[about] == nil {
		m.warnings[about] = map[string]warning{}
	}
	w, before := m.warnings[about][event.Reason]
	if !before {
		w.first = now
	}
	w.message, w.container, w.last, w.live = event.Message, containerIn(event.InvolvedObject.FieldPath), now, w.live || live
	m.warnings[about][event.Reason] = w
}

// warning is the last of an object's with a reason; empty where there is none.
func (m *podMemory) warning(about types.UID, reason string) warning {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.warnings[about][reason]
}

// containerIn reads the name out of a field path such as spec.containers{web}.
func containerIn(path string) string {
	_, rest, ok := strings.Cut(path, "{")
	name, _, closed := strings.Cut(rest, "}")
	if !ok || !closed {
		return ""
	}
	return name
}

// eventForJudging keeps of an event what it tells, and nothing of one that tells nothing. What a probe answers, or a
// runtime says, may hold anything.
func eventForJudging(event *corev1.Event) *corev1.Event {
	kept := &corev1.Event{ObjectMeta: metav1.ObjectMeta{
		Name: event.Name, Namespace: event.Namespace, UID: event.UID, ResourceVersion: event.ResourceVersion,
	}}
	if !telling[event.Reason] {
		return kept
	}
	kept.Reason, kept.Message = event.Reason, strings.ToValidUTF8(event.Message[:min(len(event.Message), longestWarning)], "")
	if event.Reason == unhealthy {
		kept.Message = scrub(kept.Message, nil) // a probe's answer, or a command's output
	}
	kept.InvolvedObject = corev1.ObjectReference{
		Kind: event.InvolvedObject.Kind, APIVersion: event.InvolvedObject.APIVersion, Namespace: event.InvolvedObject.Namespace,
		Name: event.InvolvedObject.Name, UID: event.InvolvedObject.UID, FieldPath: event.InvolvedObject.FieldPath,
	}
	return kept
}
