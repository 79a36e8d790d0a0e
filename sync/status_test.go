package sync

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// outcome is that of a pass which found these results in the journal: release n is of commit "commitN…".
func outcome(results ...manifests.Result) Outcome {
	var o Outcome
	for i, result := range results {
		record := manifests.Record{
			Number: i + 1, Commit: manifests.Commit{Hash: fmt.Sprintf("commit%d-0123456789", i+1)},
			At: noon.Add(time.Duration(i-10) * time.Hour), Outcome: manifests.Outcome{Result: result, Took: 3*time.Second + 40*time.Millisecond},
		}
		if result.Refused() {
			record.Outcome.Reason, record.Outcome.Message = "CrashLoopBackOff", "Pod/cart: it crashes"
		}
		o.Records = append(o.Records, record)
		o.Wanted = record.Commit
	}
	o.State = StateOf(o.Records)
	return o
}

// conditionsIn is "Type=Status Reason" for each condition.
func conditionsIn(s v1alpha1.Status) map[string]string {
	all := map[string]string{}
	for _, c := range s.Conditions {
		all[c.Type] = string(c.Status) + " " + c.Reason
	}
	return all
}

func TestEachPhaseHasItsConditions(t *testing.T) {
	with := func(o Outcome, change func(*Outcome)) Outcome { change(&o); return o }
	healthy := []manifests.Health{{Condition: manifests.Healthy}}
	const good, rolledBack = manifests.Kept, manifests.RolledBack
	for _, test := range []struct {
		name    string
		outcome Outcome
		phase   v1alpha1.Phase
		want    map[string]string
	}{
		{"nothing yet", Outcome{}, v1alpha1.Pending,
			map[string]string{"Ready": "Unknown Pending", "Reconciling": "True Pending", "RolledBack": "False NotRolledBack"}},
		{"being written", outcome(manifests.Applying), v1alpha1.Applying,
			map[string]string{"Ready": "Unknown Progressing", "Reconciling": "True Progressing", "RolledBack": "False NotRolledBack"}},
		{"being judged", with(outcome(manifests.Applying), func(o *Outcome) {
			o.Written, o.Reports = true, []manifests.Health{{Condition: manifests.Progressing, Message: "x"}}
		}), v1alpha1.Watching,
			map[string]string{"Ready": "Unknown Progressing", "Reconciling": "True Progressing", "Healthy": "False Progressing", "RolledBack": "False NotRolledBack"}},
		{"kept", with(outcome(good), func(o *Outcome) { o.Reports = healthy }), v1alpha1.Kept,
			map[string]string{"Ready": "True Kept", "Healthy": "True Healthy", "RolledBack": "False NotRolledBack"}},
		{"kept and turned unhealthy", with(outcome(good), func(o *Outcome) {
			o.Reports = []manifests.Health{{Condition: manifests.Unhealthy, Reason: "CrashLoopBackOff"}}
		}), v1alpha1.Kept,
			map[string]string{"Ready": "True Kept", "Healthy": "False CrashLoopBackOff", "RolledBack": "False NotRolledBack"}},
		{"rolling back", outcome(good, manifests.RollingBack), v1alpha1.RollingBack,
			map[string]string{"Ready": "False RollingBack", "Reconciling": "True RollingBack", "RolledBack": "False NotRolledBack"}},
		{"rolled back", with(outcome(good, rolledBack), func(o *Outcome) { o.Disposition, o.Reports = Hold, healthy }), v1alpha1.RolledBack,
			map[string]string{"Ready": "False RolledBack", "Stalled": "True RolledBack", "Healthy": "True Healthy", "RolledBack": "True CrashLoopBackOff"}},
		{"rolled back and then reverted in Git", with(outcome(good, rolledBack), func(o *Outcome) { o.Disposition, o.Reports = Rest, healthy }), v1alpha1.Kept,
			map[string]string{"Ready": "True Kept", "Healthy": "True Healthy", "RolledBack": "False NotRolledBack"}},
		{"rolled back in vain", outcome(good, manifests.RollbackFailed), v1alpha1.RollbackFailed,
			map[string]string{"Ready": "False RollbackFailed", "Stalled": "True RollbackFailed", "RolledBack": "False NotRolledBack"}},
		{"failed", outcome(manifests.Failed), v1alpha1.Failed,
			map[string]string{"Ready": "False CrashLoopBackOff", "Stalled": "True CrashLoopBackOff", "RolledBack": "False NotRolledBack"}},
		{"suspended", Outcome{Suspended: true}, v1alpha1.Suspended,
			map[string]string{"Ready": "Unknown Suspended"}},
		{"kept, with a problem that may pass", with(outcome(good), func(o *Outcome) { o.Problem = &Problem{Reason: "Unreachable", Temporary: true} }), v1alpha1.Kept,
			map[string]string{"Ready": "False Unreachable", "Reconciling": "True Unreachable", "RolledBack": "False NotRolledBack"}},
		{"kept, with a problem that does not pass", with(outcome(good), func(o *Outcome) { o.Problem = &Problem{Reason: "InvalidYAML"} }), v1alpha1.Kept,
			map[string]string{"Ready": "False InvalidYAML", "Stalled": "True InvalidYAML", "RolledBack": "False NotRolledBack"}},
		{"rolled back, with a problem", with(outcome(good, rolledBack), func(o *Outcome) {
			o.Disposition, o.Problem = Hold, &Problem{Reason: "Unreachable", Temporary: true}
		}), v1alpha1.RolledBack,
			map[string]string{"Ready": "False Unreachable", "Reconciling": "True Unreachable", "RolledBack": "True CrashLoopBackOff"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			// What was true of the phase before must not stay.
			before := v1alpha1.Status{Conditions: []metav1.Condition{
				{Type: v1alpha1.Reconciling, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)},
				{Type: v1alpha1.Stalled, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)},
			}}
			got := test.outcome.Status(before, 7, noon)
			if got.Phase != test.phase || got.ObservedGeneration != 7 {
				t.Errorf("%s, generation %d", got.Phase, got.ObservedGeneration)
			}
			if diff := cmp.Diff(test.want, conditionsIn(got)); diff != "" {
				t.Error(diff)
			}
			for _, c := range got.Conditions {
				if c.ObservedGeneration != 7 || c.Reason == "" || c.LastTransitionTime.IsZero() {
					t.Errorf("the condition is %+v", c)
				}
			}
			t.Run("and the same a second time and later", func(t *testing.T) {
				if diff := cmp.Diff(got, test.outcome.Status(got, 7, noon.Add(time.Hour))); diff != "" {
					t.Error(diff)
				}
			})
			t.Run("and leaves what was before alone", func(t *testing.T) {
				if len(before.Conditions) != 2 || before.Conditions[0].Type != v1alpha1.Reconciling || before.Phase != "" {
					t.Errorf("it is %+v", before)
				}
			})
		})
	}
}

func TestMessagesNameTheReleaseAndTheCommit(t *testing.T) {
	for name, test := range map[string]struct {
		outcome Outcome
		want    string
	}{
		"kept":         {outcome(manifests.Kept), "release 1 (commit commit1) is deployed"},
		"rolling back": {outcome(manifests.Kept, manifests.RollingBack), "release 2 failed, going back to release 1: Pod/cart: it crashes"},
		"rolled back": {func() Outcome { o := outcome(manifests.Kept, manifests.RolledBack); o.Disposition = Hold; return o }(),
			"commit commit2 is held, release 1 runs again: Pod/cart: it crashes"},
		"failed": {outcome(manifests.Failed), "release 1 failed and stays as it is: Pod/cart: it crashes"},
		"a problem": {func() Outcome {
			o := outcome(manifests.Kept)
			o.Problem = &Problem{Reason: "X", Message: "no"}
			return o
		}(),
			"no (release 1, commit commit1, goes on running)"},
		"a problem at first": {Outcome{Problem: &Problem{Reason: "X", Message: "no"}}, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.outcome.Status(v1alpha1.Status{}, 1, noon)
			if ready := meta.FindStatusCondition(got.Conditions, v1alpha1.Ready); ready.Message != test.want {
				t.Errorf("got  %s\nwant %s", ready.Message, test.want)
			}
		})
	}
}

func TestHeldComesAndGoes(t *testing.T) {
	const good, rolledBack = manifests.Kept, manifests.RolledBack
	said := &v1alpha1.Held{Commit: "said before"}
	want := &v1alpha1.Held{
		Commit: "commit2-0123456789", Release: 2, Reason: "CrashLoopBackOff", Message: "Pod/cart: it crashes",
		RolledBackTo: "commit1-0123456789", At: metav1.NewTime(noon.Add(-9*time.Hour + 3*time.Second)),
	}
	alone := &v1alpha1.Held{
		Commit: "commit1-0123456789", Release: 1, Reason: "CrashLoopBackOff", Message: "Pod/cart: it crashes",
		At: metav1.NewTime(noon.Add(-10*time.Hour + 3*time.Second)),
	}
	for _, test := range []struct {
		name        string
		results     []manifests.Result
		disposition Disposition
		before      *v1alpha1.Held
		want        *v1alpha1.Held
		told        manifests.Result // what was said of the newest release before
	}{
		{"not while all is well", []manifests.Result{good}, Rest, nil, nil, good},
		{"with the refusal", []manifests.Result{good, manifests.RollingBack}, Hold, nil, want, manifests.Applying},
		{"and stays after the rollback", []manifests.Result{good, rolledBack}, Hold, want, want, manifests.RollingBack},
		{"and when the rollback failed", []manifests.Result{good, manifests.RollbackFailed}, Hold, want, want, manifests.RollingBack},
		{"with nothing to go back to", []manifests.Result{manifests.Failed}, Hold, nil, alone, manifests.Applying},
		{"goes with a revert", []manifests.Result{good, rolledBack}, Rest, want, nil, rolledBack},
		{"does not come back after a restart", []manifests.Result{good, rolledBack}, "", nil, nil, rolledBack},
		{"but comes if the agent was killed before it could tell", []manifests.Result{good, rolledBack}, "", nil, want, manifests.Applying},
		{"nor go", []manifests.Result{good, rolledBack}, "", want, want, rolledBack},
		{"goes with the next release", []manifests.Result{good, rolledBack, manifests.Applying}, Start, said, nil, manifests.Applying},
		{"or once that is kept", []manifests.Result{good, rolledBack, good}, Rest, said, nil, manifests.Applying},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := outcome(test.results...)
			o.Disposition = test.disposition
			before := v1alpha1.Status{Held: test.before, History: []v1alpha1.HistoryEntry{{Release: len(test.results), Result: string(test.told)}}}
			got := o.Status(before, 1, noon).Held
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDeployedIsTheRunningReleaseUnderTheCommitThatAsksForIt(t *testing.T) {
	const good = manifests.Kept
	at := metav1.NewTime(noon)
	earlier := metav1.NewTime(noon.Add(-time.Hour))
	first := &v1alpha1.Deployed{Commit: "commit1-0123456789", ShortCommit: "commit1", Release: 1, Since: earlier}
	reverted := &v1alpha1.Deployed{Commit: "revert-0123456789", ShortCommit: "revert-", Release: 1, Since: earlier}
	for _, test := range []struct {
		name        string
		results     []manifests.Result
		disposition Disposition
		wanted      string
		before      *v1alpha1.Deployed
		want        *v1alpha1.Deployed
	}{
		{"nothing at first", nil, "", "", nil, nil},
		{"nothing while the first is judged", []manifests.Result{manifests.Applying}, Start, "", nil, nil},
		{"the kept one", []manifests.Result{good}, Start, "", nil, &v1alpha1.Deployed{Commit: "commit1-0123456789", ShortCommit: "commit1", Release: 1, Since: at}},
		{"since it was kept", []manifests.Result{good}, Start, "", first, first},
		{"that one while another is judged", []manifests.Result{good, manifests.Applying}, Start, "", first, first},
		{"and after a rollback", []manifests.Result{good, manifests.RolledBack}, Hold, "", first, first},
		{"under a revert's commit", []manifests.Result{good, manifests.RolledBack}, Rest, "revert-0123456789", first, reverted},
		{"still so after a restart", []manifests.Result{good, manifests.RolledBack}, "", "", reverted, reverted},
		{"the next one once it is kept", []manifests.Result{good, good}, Start, "", reverted,
			&v1alpha1.Deployed{Commit: "commit2-0123456789", ShortCommit: "commit2", Release: 2, Since: at}},
		{"a failed one that stays", []manifests.Result{manifests.Failed}, Hold, "", nil,
			&v1alpha1.Deployed{Commit: "commit1-0123456789", ShortCommit: "commit1", Release: 1, Since: at}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := outcome(test.results...)
			o.Disposition = test.disposition
			if test.wanted != "" {
				o.Wanted.Hash = test.wanted
			}
			got := o.Status(v1alpha1.Status{Deployed: test.before}, 1, noon).Deployed
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWantedIsToldSinceItWasSeen(t *testing.T) {
	o := Outcome{Wanted: manifests.Commit{Hash: "0123456789", Author: "ana", Subject: "Bump cart"}}
	first := o.Status(v1alpha1.Status{}, 1, noon)
	want := &v1alpha1.Wanted{Commit: "0123456789", ShortCommit: "0123456", Author: "ana", Subject: "Bump cart", ObservedAt: metav1.NewTime(noon)}
	if diff := cmp.Diff(want, first.Wanted); diff != "" {
		t.Error(diff)
	}
	later := noon.Add(time.Hour)
	if diff := cmp.Diff(want, o.Status(first, 1, later).Wanted); diff != "" {
		t.Error("later:", diff)
	}
	if diff := cmp.Diff(want, (Outcome{}).Status(first, 1, later).Wanted); diff != "" {
		t.Error("with the remote silent:", diff)
	}
	o.Wanted.Hash = "9876543210"
	if got := o.Status(first, 1, later).Wanted; got.Commit != "9876543210" || !got.ObservedAt.Time.Equal(later) {
		t.Errorf("another: %+v", got)
	}
}

func TestHistoryIsTheLatestTenNewestFirst(t *testing.T) {
	var results []manifests.Result
	for range 14 {
		results = append(results, manifests.Kept)
	}
	got := outcome(append(results, manifests.RolledBack)...).Status(v1alpha1.Status{}, 1, noon).History
	if len(got) != 10 || got[0].Release != 15 || got[9].Release != 6 {
		t.Errorf("got %+v", got)
	}
	want := v1alpha1.HistoryEntry{
		Release: 15, Commit: "commit15-0123456789", Result: "RolledBack", Reason: "CrashLoopBackOff",
		Duration: metav1.Duration{Duration: 3 * time.Second}, At: metav1.NewTime(noon.Add(4 * time.Hour)),
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
}

func TestObjectsAndImagesAreCounted(t *testing.T) {
	o := outcome(manifests.Kept)
	o.Reports = []manifests.Health{{Condition: manifests.Healthy}, {Condition: manifests.Healthy}, {Condition: manifests.Unhealthy, Reason: "X"}, {Condition: manifests.Progressing}}
	o.Pins = manifests.Pins{"b:1": "b@sha256:02", "a:1": "a@sha256:01"}
	got := o.Status(v1alpha1.Status{}, 1, noon)
	if diff := cmp.Diff(&v1alpha1.ObjectCounts{Total: 4, Healthy: 2, Progressing: 1, Failed: 1, Images: 2}, got.Objects); diff != "" {
		t.Error(diff)
	}
	at := metav1.NewTime(noon.Add(-10 * time.Hour))
	want := []v1alpha1.PinnedImage{{Image: "a:1", Digest: "sha256:01", ResolvedAt: at}, {Image: "b:1", Digest: "sha256:02", ResolvedAt: at}}
	if diff := cmp.Diff(want, got.Images); diff != "" {
		t.Error(diff)
	}
	t.Run("and stay told while nobody looks", func(t *testing.T) {
		after := outcome(manifests.Kept).Status(got, 1, noon)
		if diff := cmp.Diff(got.Objects, after.Objects); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a hundred images at most", func(t *testing.T) {
		for i := range 150 {
			o.Pins[fmt.Sprintf("c%d:1", i)] = "c@sha256:03"
		}
		got := o.Status(v1alpha1.Status{}, 1, noon)
		if len(got.Images) != 100 || got.Objects.Images != 152 {
			t.Errorf("%d images, %d counted", len(got.Images), got.Objects.Images)
		}
	})
}

func TestASuspensionLeavesEverythingElseToldAsItWas(t *testing.T) {
	o := outcome(manifests.Kept, manifests.RolledBack)
	o.Disposition = Hold
	o.Reports = []manifests.Health{{Condition: manifests.Healthy}}
	before := o.Status(v1alpha1.Status{LastHandledReconcileAt: "x"}, 1, noon)
	suspended := Outcome{Suspended: true, Records: o.Records, State: o.State}
	got := suspended.Status(before, 2, noon.Add(time.Hour))
	if got.Phase != v1alpha1.Suspended || got.ObservedGeneration != 2 {
		t.Errorf("%s, generation %d", got.Phase, got.ObservedGeneration)
	}
	got.Phase, got.ObservedGeneration, got.Conditions = before.Phase, before.ObservedGeneration, before.Conditions
	if diff := cmp.Diff(before, got); diff != "" {
		t.Error(diff)
	}
}
