package sync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Status is what a pass says to people, given what was said before. It is a pure function: the same outcome twice
// gives the same status, so that nothing is written at rest.
func (o Outcome) Status(before v1alpha1.Status, generation int64, now time.Time) v1alpha1.Status {
	status := *before.DeepCopy()
	status.ObservedGeneration = generation
	if !o.Suspended && !o.Unread {
		status.Wanted = o.wanted(before.Wanted, now)
		status.Held = o.held(before)
		status.Deployed = o.deployed(before.Deployed, now)
		status.Objects = o.objects(before.Objects)
		status.Images = o.images(before.Images)
		status.Unpinned = o.unpinned(before.Unpinned)
		status.History = o.history()
	}
	status.Phase = o.phase(status)
	o.conditions(&status, generation, now)
	o.imagesMissing(&status, generation, now)
	return status
}

// Deleting is what is said of a Sync whose objects cannot be taken away yet.
func (p Problem) Deleting(before v1alpha1.Status, generation int64, now time.Time) v1alpha1.Status {
	status := *before.DeepCopy()
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.Ready, Status: metav1.ConditionFalse, Reason: p.Reason, Message: shorten("deleting: " + p.Message),
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(),
	})
	return status
}

func (o Outcome) wanted(before *v1alpha1.Wanted, now time.Time) *v1alpha1.Wanted {
	if o.Wanted.Hash == "" {
		return before
	}
	wanted := &v1alpha1.Wanted{
		Commit:      o.Wanted.Hash,
		ShortCommit: short(o.Wanted.Hash),
		Author:      o.Wanted.Author,
		Subject:     o.Wanted.Subject,
		ObservedAt:  metav1.NewTime(now).Rfc3339Copy(),
	}
	if before != nil && before.Commit == wanted.Commit {
		wanted.ObservedAt = before.ObservedAt
	}
	return wanted
}

// held stands from the refusal until something else is wanted. After a restart, while the wanted commit is not
// built again, what was said before goes on.
func (o Outcome) held(before v1alpha1.Status) *v1alpha1.Held {
	newest := o.State.Newest
	if newest == nil || !newest.Outcome.Result.Refused() || o.Disposition == Rest {
		return nil
	}
	told := len(before.History) > 0 && before.History[0].Release == newest.Number && before.History[0].Result == string(manifests.RolledBack)
	if o.Disposition == "" && before.Held == nil && told && newest.Outcome.Result == manifests.RolledBack {
		return nil // the hold was told, and it is over
	}
	held := &v1alpha1.Held{
		Commit:  newest.Commit.Hash,
		Release: newest.Number,
		Reason:  newest.Outcome.Reason,
		Message: newest.Outcome.Message,
		At:      metav1.NewTime(newest.At.Add(newest.Outcome.Took)).Rfc3339Copy(),
	}
	if o.State.Kept != nil {
		held.RolledBackTo = o.State.Kept.Commit.Hash
	}
	return held
}

// deployed is the release that runs, under the newest commit that asks for it.
func (o Outcome) deployed(before *v1alpha1.Deployed, now time.Time) *v1alpha1.Deployed {
	if o.State.Open() {
		return before
	}
	running := o.State.Running()
	if running == nil {
		return nil
	}
	deployed := &v1alpha1.Deployed{
		Commit:  running.Commit.Hash,
		Release: running.Number,
		Since:   metav1.NewTime(now).Rfc3339Copy(),
	}
	if before != nil && before.Release == running.Number {
		deployed.Commit, deployed.Since = before.Commit, before.Since
	}
	if (o.Disposition == Rest || o.Disposition == Continue) && o.Wanted.Hash != "" {
		deployed.Commit = o.Wanted.Hash
	}
	deployed.ShortCommit = short(deployed.Commit)
	return deployed
}

func (o Outcome) objects(before *v1alpha1.ObjectCounts) *v1alpha1.ObjectCounts {
	if o.Reports == nil {
		return before
	}
	counts := &v1alpha1.ObjectCounts{Total: len(o.Reports), Images: len(o.Pins)}
	for _, report := range o.Reports {
		switch {
		case report.Good():
			counts.Healthy++
		case report.Bad():
			counts.Failed++
		default:
			counts.Progressing++
		}
	}
	return counts
}

func (o Outcome) history() []v1alpha1.HistoryEntry {
	const most = 10
	if len(o.Records) == 0 {
		return nil
	}
	history := make([]v1alpha1.HistoryEntry, 0, min(most, len(o.Records)))
	for _, record := range slices.Backward(o.Records) {
		if len(history) == most {
			break
		}
		entry := HistoryEntry(record)
		entry.Subject = firstRunes(entry.Subject, 72)
		history = append(history, entry)
	}
	return history
}

// HistoryEntry is a release as people are told of it.
func HistoryEntry(record manifests.Record) v1alpha1.HistoryEntry {
	return v1alpha1.HistoryEntry{
		Release:  record.Number,
		Commit:   record.Commit.Hash,
		Author:   record.Commit.Author,
		Subject:  record.Commit.Subject,
		Result:   string(record.Outcome.Result),
		Reason:   record.Outcome.Reason,
		Duration: metav1.Duration{Duration: record.Outcome.Took.Round(100 * time.Millisecond)},
		At:       metav1.NewTime(record.At).Rfc3339Copy(),
	}
}

func (o Outcome) phase(status v1alpha1.Status) v1alpha1.Phase {
	switch {
	case o.Suspended:
		return v1alpha1.Suspended
	case o.Unread:
		return status.Phase
	case o.State.Newest == nil:
		return v1alpha1.Pending
	}
	switch result := o.State.Newest.Outcome.Result; result {
	case manifests.Applying:
		if o.Written {
			return v1alpha1.Watching
		}
		return v1alpha1.Applying
	case manifests.RolledBack:
		if status.Held == nil {
			return v1alpha1.Kept
		}
		return v1alpha1.RolledBack
	default:
		return v1alpha1.Phase(result)
	}
}

// conditions sets Ready, Healthy and RolledBack always, Reconciling and Stalled while they are true.
func (o Outcome) conditions(status *v1alpha1.Status, generation int64, now time.Time) {
	set := func(kind string, is metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: kind, Status: is, Reason: reason, Message: shorten(message),
			ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(),
		})
	}
	ready := o.ready(*status)
	set(v1alpha1.Ready, ready.is, ready.reason, ready.message)
	for kind, is := range map[string]bool{v1alpha1.Reconciling: ready.reconciling, v1alpha1.Stalled: ready.stalled} {
		if is {
			set(kind, metav1.ConditionTrue, ready.reason, ready.message)
		} else {
			meta.RemoveStatusCondition(&status.Conditions, kind)
		}
	}
	if o.Reports != nil {
		health := judge(o.Reports, moment{failing: standing(o.Reports)}, patience{timeout: time.Hour})
		if health.Decision == Good {
			set(v1alpha1.Healthy, metav1.ConditionTrue, "Healthy", allWell(o.Reports))
		} else {
			set(v1alpha1.Healthy, metav1.ConditionFalse, health.Reason, health.Message)
		}
	}
	switch {
	case o.Suspended || o.Unread: // as it was
	case status.Held != nil && status.Phase == v1alpha1.RolledBack:
		set(v1alpha1.WasUndone, metav1.ConditionTrue, status.Held.Reason, status.Held.Message)
	default:
		set(v1alpha1.WasUndone, metav1.ConditionFalse, "NotRolledBack", "")
	}
}

// standing takes every failure for one that stands.
func standing(reports []manifests.Health) map[manifests.ID]time.Duration {
	failing := map[manifests.ID]time.Duration{}
	for _, report := range reports {
		failing[report.ID] = failingStands
	}
	return failing
}

// allWell says that all objects are healthy, and how those are that do not count.
func allWell(reports []manifests.Health) string {
	const most = 3
	text := fmt.Sprintf("all %d objects are healthy", len(reports))
	var others []string
	for _, report := range reports {
		if report.Condition != manifests.Healthy && report.Bearing == manifests.None {
			others = append(others, told(report))
		}
	}
	if len(others) == 0 {
		return text
	}
	text += ", or do not count: " + strings.Join(others[:min(most, len(others))], "; ")
	if more := len(others) - most; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// readiness is the Ready condition, and which of the abnormal ones go with it.
type readiness struct {
	is                   metav1.ConditionStatus
	reason, message      string
	reconciling, stalled bool
}

func (o Outcome) ready(status v1alpha1.Status) readiness {
	switch {
	case o.Suspended:
		return readiness{is: metav1.ConditionUnknown, reason: "Suspended", message: "spec.suspend is true: nothing is looked at or written"}
	case o.Problem != nil:
		return readiness{is: metav1.ConditionFalse, reason: o.Problem.Reason, message: o.Problem.Message + o.meanwhile(status),
			reconciling: o.Problem.Temporary, stalled: !o.Problem.Temporary}
	case o.State.Newest == nil:
		return readiness{is: metav1.ConditionUnknown, reason: "Pending", message: "nothing deployed yet", reconciling: true}
	}
	newest := o.State.Newest
	switch status.Phase {
	case v1alpha1.Kept:
		ready := readiness{is: metav1.ConditionTrue, reason: "Kept", message: fmt.Sprintf("release %d (commit %s) is deployed",
			status.Deployed.Release, status.Deployed.ShortCommit)}
		if !o.WatchedUntil.IsZero() {
			ready.message += ", and watched on until " + o.WatchedUntil.UTC().Format(time.RFC3339)
		}
		return ready
	case v1alpha1.RollingBack:
		return readiness{is: metav1.ConditionFalse, reason: "RollingBack", reconciling: true,
			message: fmt.Sprintf("release %d failed, going back to release %d: %s", newest.Number, o.State.Kept.Number, newest.Outcome.Message)}
	case v1alpha1.RolledBack:
		ready := readiness{is: metav1.ConditionFalse, reason: "RolledBack", stalled: true,
			message: fmt.Sprintf("commit %s is held, release %d runs again: %s", short(newest.Commit.Hash), o.State.Kept.Number, newest.Outcome.Message)}
		if o.Frozen {
			ready.reason, ready.message = "Frozen", o.Thaw+"; "+ready.message
		}
		return ready
	case v1alpha1.RollbackFailed:
		ready := readiness{is: metav1.ConditionFalse, reason: "RollbackFailed", stalled: true, message: newest.Outcome.Message}
		if o.Frozen {
			ready.message = o.Thaw + "; " + ready.message
		}
		return ready
	case v1alpha1.Failed:
		return readiness{is: metav1.ConditionFalse, reason: newest.Outcome.Reason, stalled: true,
			message: fmt.Sprintf("release %d failed and stays as it is: %s", newest.Number, newest.Outcome.Message)}
	}
	return readiness{is: metav1.ConditionUnknown, reason: "Progressing", reconciling: true,
		message: fmt.Sprintf("release %d of commit %s: %s", newest.Number, short(newest.Commit.Hash), o.Verdict.Message)}
}

// meanwhile says what goes on running while there is a problem.
func (o Outcome) meanwhile(status v1alpha1.Status) string {
	if status.Deployed == nil {
		return ""
	}
	return fmt.Sprintf(" (release %d, commit %s, goes on running)", status.Deployed.Release, status.Deployed.ShortCommit)
}
