package cluster

import (
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// How long the API server may refuse a workload's pods before that fails the release, by this process's clock.
const (
	deniedFor = 2 * time.Second  // admission says no for good
	quotaFor  = 30 * time.Second // others may leave
)

// tellsLate is how long after a pod the event may come that tells of the refusal before it: its controller has them
// written in the background, and another watch tells of them.
const tellsLate = 3 * time.Second

// failedCreate is the controllers' word for pods that the API server does not let them make.
const failedCreate = "FailedCreate"

var (
	quotaExceeded = regexp.MustCompile(`exceeded quota|status unknown for quota`) // the latter until a new quota is counted
	notAdmitted   = regexp.MustCompile(`denied the request|violates PodSecurity|is forbidden|is invalid:`)
	noAccount     = regexp.MustCompile(`serviceaccounts? "[^"]*" not found`)
)

// refusal is what is known of pods that a workload's controller cannot make.
type refusal struct {
	message string
	since   time.Time // by this process's clock
	pods    int       // of the current revision, that are there
	awaited bool      // as of a sight
}

// finding judges a refusal. A webhook that does not answer is no refusal, and a quota that old pods use up is no
// failure: a rolling update frees it.
func (r refusal) finding(now time.Time) finding {
	found := waitsFor(failedCreate, "its pods cannot be made: "+r.message)
	limit := deniedFor
	switch {
	case quotaExceeded.MatchString(r.message):
		limit = quotaFor
		if r.pods > 0 {
			return found
		}
	case !notAdmitted.MatchString(r.message), r.awaited && noAccount.MatchString(r.message):
		return found
	}
	return sight{now: now}.after(limit, r.since, found)
}

// refused is why the pods of a workload's current revision cannot be made, as its controller says; empty where they
// can, or where the workload does not tell. A Deployment has the condition from an old ReplicaSet, too, so that it counts
// only while it has no pods of the new one.
func (w workload) refused(current int) string {
	switch w.kind {
	case bareReplicaSet, replicationController:
	case deployment:
		if current > 0 || w.number(0, "status", "updatedReplicas") > 0 {
			return ""
		}
	default:
		return ""
	}
	failure, _ := trueCondition(w.object, "ReplicaFailure")
	message, _ := failure["message"].(string)
	return message
}

// refusal is what the API server has against a workload's pods, if anything.
func (p podsOf) refusal(w workload, current []*corev1.Pod, now time.Time) (refusal, bool) {
	maker := w.object.GetUID()
	if w.kind == deployment {
		maker = p.newest.uid
	}
	message := w.refused(len(current))
	if told := p.memory.warning(maker, failedCreate); message == "" && told.live && !p.memory.sawSince(current, told.last.Add(-tellsLate)) {
		message = told.message
	}
	since, is := p.memory.lasts(maker, message != "", now)
	return refusal{message: message, since: since, pods: len(current)}, is
}
