package cluster

import (
	"maps"
	gosync "sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// podMemory is what is remembered of the pods of one attended namespace, by this process's clock. It is dropped when
// nobody attends any more; what it knows of a pod, with the pod.
type podMemory struct {
	mu        gosync.Mutex
	pods      map[types.UID]*podNote
	revisions map[template]*revisionNote
	warnings  map[types.UID]map[string]warning // by what they are about and by their reason
	refused   map[types.UID]time.Time          // since when, by whoever is to make the pods
	complete  map[types.UID]completion
}

func newPodMemory() *podMemory {
	return &podMemory{
		pods: map[types.UID]*podNote{}, revisions: map[template]*revisionNote{},
		warnings: map[types.UID]map[string]warning{}, refused: map[types.UID]time.Time{}, complete: map[types.UID]completion{},
	}
}

// podNote is what is remembered of one pod.
type podNote struct {
	version       string // the newest resourceVersion that was seen
	seen          time.Time
	unschedulable time.Time // since when no node takes it
	ready         bool
	readySince    time.Time // without a restart
	restarts      int32
	broke         time.Time           // when it was last seen to restart, or not to be ready any more
	lines         map[ending]lastLine // what its containers said last
	room          bool                // an autoscaler makes a node for it
}

// template is what pods are made of, as far as they can tell: whose they are, and which of that one's templates.
type template struct {
	maker types.UID
	mark  string
}

func templateOf(pod *corev1.Pod) template {
	maker := pod.UID
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		maker = owner.UID
	}
	return template{maker, pod.Labels["controller-revision-hash"] + pod.Annotations[manifests.AnnotationTemplate]}
}

// revisionNote is what any pod of a revision has come to.
type revisionNote struct {
	scheduled bool
	ran       bool            // a container was started
	started   map[string]bool // which
}

// note takes in how a pod is, and tells whether it has just become ready, or has restarted and is ready again.
func (m *podMemory) note(pod *corev1.Pod, now time.Time) (became bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.pods[pod.UID]
	first := n == nil
	switch {
	case first:
		n = &podNote{seen: now}
		m.pods[pod.UID] = n
	case older(pod.ResourceVersion, n.version):
		return false // two watches see the same for a moment
	}
	n.version = pod.ResourceVersion
	m.noteRevision(pod)
	switch unschedulable := isUnschedulable(pod); {
	case !unschedulable:
		n.unschedulable = time.Time{}
	case n.unschedulable.IsZero():
		n.unschedulable = now
	}
	is, count := ready(pod), restarts(pod)
	restarted := !first && count > n.restarts
	became = is && (!n.ready || restarted)
	if restarted || n.ready && !is {
		n.broke = now
	}
	if became {
		n.readySince = now
	}
	n.ready, n.restarts = is, count
	return became
}

func (m *podMemory) noteRevision(pod *corev1.Pod) {
	key := templateOf(pod)
	r := m.revisions[key]
	if r == nil {
		r = &revisionNote{started: map[string]bool{}}
		m.revisions[key] = r
	}
	r.scheduled = r.scheduled || pod.Spec.NodeName != ""
	for _, c := range containerStatuses(pod) {
		if started(c) {
			r.ran, r.started[c.Name] = true, true
		}
	}
}

func isUnschedulable(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled {
			return condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable
		}
	}
	return false
}

// forget drops what is known of something that is gone.
func (m *podMemory) forget(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pods, uid)
	delete(m.warnings, uid)
}

// sight is what is known of a pod.
func (m *podMemory) sight(pod *corev1.Pod, now time.Time) sight {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := sight{pod: pod, now: now, mount: m.warnings[pod.UID][failedMount], probe: m.warnings[pod.UID][unhealthy]}
	if n := m.pods[pod.UID]; n != nil {
		s.unschedulable = n.unschedulable
		s.revision.scheduled = n.room
	}
	if r := m.revisions[templateOf(pod)]; r != nil {
		s.revision = revisionNote{scheduled: r.scheduled || s.revision.scheduled, ran: r.ran, started: maps.Clone(r.started)}
	}
	return s
}

// readyFor tells how long each pod has been ready without a restart.
func (m *podMemory) readyFor(pods []*corev1.Pod, now time.Time) map[types.UID]time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	ready := make(map[types.UID]time.Duration, len(pods))
	for _, pod := range pods {
		if n := m.pods[pod.UID]; n != nil && n.ready {
			ready[pod.UID] = now.Sub(n.readySince)
		}
	}
	return ready
}

// lastBreak is when one of the pods was last seen to restart, or not to be ready any more; zero for never.
func (m *podMemory) lastBreak(pods []*corev1.Pod) (last time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, pod := range pods {
		if n := m.pods[pod.UID]; n != nil && n.broke.After(last) {
			last = n.broke
		}
	}
	return last
}

// sawSince tells whether one of the pods was first seen after a moment.
func (m *podMemory) sawSince(pods []*corev1.Pod, moment time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, pod := range pods {
		if n := m.pods[pod.UID]; n != nil && n.seen.After(moment) {
			return true
		}
	}
	return false
}

// lasts keeps since when whoever makes pods has been refused them, and forgets it when that is over.
func (m *podMemory) lasts(maker types.UID, is bool, now time.Time) (since time.Time, still bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !is {
		delete(m.refused, maker)
		return time.Time{}, false
	}
	if _, known := m.refused[maker]; !known {
		m.refused[maker] = now
	}
	return m.refused[maker], true
}
