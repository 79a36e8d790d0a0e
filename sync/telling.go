package sync

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// tellAfter is how long a release has to be under way until people are told how far it is. What is written of one that is
// kept within that would be read by nobody, and each status and each event is a request: where a commit changes a hundred
// Syncs, each has the others to wait for.
const tellAfter = 5 * time.Second

// KeepBack is for how long a status may be kept back, and be replaced by a later one, once it differs from what was told
// before; 0 where it has to be told now. It may wait where it says nothing but how far a release under way is that nothing
// is wrong with. The answer to a request, a problem and all that is final are told at once: people wait for them.
func KeepBack(before, after v1alpha1.Status) time.Duration {
	ready := meta.FindStatusCondition(after.Conditions, v1alpha1.Ready)
	switch {
	case ready == nil || ready.Status != metav1.ConditionUnknown || !meta.IsStatusConditionTrue(after.Conditions, v1alpha1.Reconciling):
		return 0
	case after.Phase != v1alpha1.Pending && after.Phase != v1alpha1.Applying && after.Phase != v1alpha1.Watching:
		return 0
	case answersOf(before) != answersOf(after):
		return 0
	case meta.IsStatusConditionTrue(before.Conditions, v1alpha1.ImagesMissing) != meta.IsStatusConditionTrue(after.Conditions, v1alpha1.ImagesMissing):
		return 0
	}
	return tellAfter
}

// answersOf is the requests that a status says to be answered.
func answersOf(s v1alpha1.Status) [4]string {
	return [...]string{s.LastHandledReconcileAt, s.LastHandledRetryAt, s.LastHandledResolveAt, s.LastHandledRollbackAt}
}

// started is a release that has begun and that people have not been told of.
type started struct {
	release          int // 0 for none
	commit           manifests.Commit
	objects, toWrite int
	at               time.Time
}

// wrote is what there is to say of a release that is kept before people were told that it had begun; empty for another.
func (s started) wrote(release int) string {
	if s.release != release {
		return ""
	}
	return fmt.Sprintf(" (%d objects, %d of them written)", s.objects, s.toWrite)
}

// tell says that a release has begun, if that is to be told.
func (s started) tell() []Event {
	if s.release == 0 {
		return nil
	}
	return []Event{normal("ReleaseStarted", "release %d of commit %s: %d objects, %d of them to write",
		s.release, describe(s.commit), s.objects, s.toWrite)}
}

// tellStart tells that a release has begun once it has been under way for tellAfter, or when it comes to another end than
// being kept. Until then it sees to it that there is a pass in time.
func (s *Syncer) tellStart(out *Outcome) {
	begun := s.memory.started
	if begun.release == 0 {
		return
	}
	left := begun.at.Add(tellAfter).Sub(s.Clock())
	newest := out.State.Newest
	if left > 0 && !out.Suspended && newest != nil && newest.Number == begun.release && out.State.Open() {
		out.Next = min(out.Next, left)
		return
	}
	out.Events = append(begun.tell(), out.Events...)
	s.memory.started = started{}
}
