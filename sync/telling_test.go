package sync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestOnlyProgressIsKeptBack(t *testing.T) {
	type change func(*v1alpha1.Status)
	ready := func(is metav1.ConditionStatus) change {
		return func(s *v1alpha1.Status) { s.Conditions[0].Status = is }
	}
	for _, test := range []struct {
		name   string
		before v1alpha1.Status
		change change // of a release under way
		wait   bool
	}{
		{name: "a release under way", wait: true},
		{name: "one that is written still", change: func(s *v1alpha1.Status) { s.Phase = v1alpha1.Applying }, wait: true},
		{name: "nothing yet", change: func(s *v1alpha1.Status) { s.Phase = v1alpha1.Pending }, wait: true},
		{name: "one after a hold", before: v1alpha1.Status{Phase: v1alpha1.RolledBack, Held: &v1alpha1.Held{Commit: "bad"}}, wait: true},
		{name: "one that is kept", change: func(s *v1alpha1.Status) { s.Phase = v1alpha1.Kept; ready(metav1.ConditionTrue)(s) }},
		{name: "one with a problem", change: ready(metav1.ConditionFalse)},
		{name: "a rollback", change: func(s *v1alpha1.Status) { s.Phase = v1alpha1.RollingBack; ready(metav1.ConditionFalse)(s) }},
		{name: "a suspension", change: func(s *v1alpha1.Status) { s.Phase = v1alpha1.Suspended; s.Conditions = s.Conditions[:1] }},
		{name: "what is under way no more", change: func(s *v1alpha1.Status) { s.Conditions = s.Conditions[:1] }},
		{name: "no condition at all", change: func(s *v1alpha1.Status) { s.Conditions = nil }},
		{name: "an answer to belay sync", change: func(s *v1alpha1.Status) { s.LastHandledReconcileAt = "now" }},
		{name: "an answer to a retry", change: func(s *v1alpha1.Status) { s.LastHandledRetryAt = "now" }},
		{name: "an answer to a request to resolve", change: func(s *v1alpha1.Status) { s.LastHandledResolveAt = "now" }},
		{name: "an answer to a request to go back", change: func(s *v1alpha1.Status) { s.LastHandledRollbackAt = "now" }},
		{name: "an image that is gone", change: func(s *v1alpha1.Status) {
			s.Conditions = append(s.Conditions, metav1.Condition{Type: v1alpha1.ImagesMissing, Status: metav1.ConditionTrue})
		}},
	} {
		after := v1alpha1.Status{Phase: v1alpha1.Watching, Conditions: []metav1.Condition{
			{Type: v1alpha1.Ready, Status: metav1.ConditionUnknown}, {Type: v1alpha1.Reconciling, Status: metav1.ConditionTrue},
		}}
		if test.change != nil {
			test.change(&after)
		}
		want := time.Duration(0)
		if test.wait {
			want = tellAfter
		}
		if got := KeepBack(test.before, after); got != want {
			t.Errorf("%s is kept back for %s, want %s", test.name, got, want)
		}
	}
}

// told is the last event.
func (a *agent) lastTold() Event { return a.out.Events[len(a.out.Events)-1] }

func TestAReleaseThatIsKeptAtOnceIsToldOnce(t *testing.T) {
	w := newWorld()
	w.push("v1", config("vars", "1"), config("more", "1"))
	a := newAgent(t, w)
	a.spec.Health.StableFor = metav1.Duration{}
	a.pass()
	if diff := cmp.Diff([]string{"Kept"}, a.events); diff != "" {
		t.Error(diff)
	}
	if text := a.lastTold().Message; !strings.Contains(text, "is healthy (2 objects, 2 of them written)") {
		t.Errorf("told: %s", text)
	}
	a.passAfter(time.Minute)
	if diff := cmp.Diff([]string{"Kept"}, a.events); diff != "" {
		t.Errorf("later: %s", diff)
	}
}

func TestThatAReleaseHasBegunIsTold(t *testing.T) {
	slow := func(t *testing.T) *agent {
		a := kept(t)
		a.pushGood()
		a.tags["acme/cart:2"] = "sha256:slow"
		a.poll()
		if len(a.events) > 0 || a.out.Next != tellAfter {
			t.Errorf("told at once: %v, next in %s", a.events, a.out.Next)
		}
		return a
	}
	t.Run("once it is under way for a while", func(t *testing.T) {
		a := slow(t)
		a.passAfter(tellAfter)
		if diff := cmp.Diff([]string{"ReleaseStarted"}, a.events); diff != "" {
			t.Error(diff)
		}
		a.tags["acme/cart:2"] = "sha256:two"
		a.live[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = map[string]any{"spec": "well"}
		a.until("v2", manifests.Kept)
		if text := a.lastTold().Message; strings.Contains(text, "written") {
			t.Errorf("told twice: %s", text)
		}
	})
	t.Run("before it is refused", func(t *testing.T) {
		a := slow(t)
		a.live[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = map[string]any{"spec": "bad"}
		a.pass()
		if !slices.Equal(a.events, []string{"ReleaseStarted", "CrashLoopBackOff", "RolledBack"}) &&
			!slices.Equal(a.events, []string{"ReleaseStarted", "CrashLoopBackOff"}) {
			t.Errorf("told: %v", a.events)
		}
	})
	t.Run("before another one takes its place", func(t *testing.T) {
		a := slow(t)
		a.push("v3", config("vars", "3"))
		a.spec.Health.StableFor = metav1.Duration{}
		a.poll()
		if diff := cmp.Diff([]string{"ReleaseStarted", "Kept"}, a.events); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("before the Sync is suspended", func(t *testing.T) {
		a := slow(t)
		a.spec.Suspend = true
		a.pass()
		if diff := cmp.Diff([]string{"ReleaseStarted"}, a.events); diff != "" {
			t.Error(diff)
		}
	})
}

// TestWhatAReleaseAsksOfTheJournal counts the calls that are requests.
func TestWhatAReleaseAsksOfTheJournal(t *testing.T) {
	inJournal := func(call string) bool {
		verb, _, _ := strings.Cut(call, " ")
		return slices.Contains([]string{"Load", "Store", "Mark", "Drop"}, verb)
	}
	w := newWorld()
	w.push("v1", config("vars", "1"), config("more", "1"))
	a := newAgent(t, w)
	a.spec.Health.StableFor, a.spec.Rollback.Keep = metav1.Duration{}, 2
	asks := func(what string, want ...string) {
		t.Helper()
		var calls []string
		for range 3 {
			calls = append(calls, only(a.poll(), inJournal)...)
		}
		if diff := cmp.Diff(want, calls); diff != "" {
			t.Errorf("%s asks:\n%s", what, diff)
		}
	}
	asks("the first release", "Store 1", "Mark 1 Kept, pruned")
	a.push("v2", config("vars", "2"), config("more", "1"))
	asks("a changed object", "Store 2", "Mark 2 Kept, pruned")
	a.push("v3", config("vars", "3"), config("more", "1"))
	asks("one release too many", "Store 3", "Drop 1", "Mark 3 Kept, pruned")
	a.tree["revert"], a.head = a.tree["v2"], "revert"
	asks("a revert", "Store 4", "Drop 2", "Mark 4 Kept, pruned")
	a.push("v5", config("vars", "5"))
	asks("an object less", "Store 5", "Drop 3", "Mark 5 Kept", "Mark 5 Kept, pruned")
	a.push("v6", config("vars", "6"), web("cart", "acme/cart:bad"))
	a.tags["acme/cart:bad"] = "sha256:bad"
	asks("a rollback", "Store 6", "Drop 4", "Mark 6 RollingBack", "Load 5", "Mark 6 RollingBack, pruned", "Mark 6 RolledBack, pruned")
}
