// FAULTS, Registry: digest gone from the registry after the release.

package sync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// checked is an agent that keeps v2, could go back to v1, and looks for lost images each half day.
func checked(t testing.TB) *agent {
	t.Helper()
	a := kept(t)
	a.check = 12 * time.Hour
	a.restart()
	a.pushGood()
	a.settle()
	a.events = nil
	return a
}

// missing is the condition, if it is there.
func (a *agent) missing() *metav1.Condition {
	return meta.FindStatusCondition(a.status.Conditions, v1alpha1.ImagesMissing)
}

func looksForLost(call string) bool { return strings.HasPrefix(call, "Missing") }

func TestDigestsOfStoredReleasesAreLookedForNowAndThen(t *testing.T) {
	a := checked(t)
	from := len(a.calls)
	a.forAWhile(60 * time.Hour)
	looks := only(a.calls[from:], looksForLost)
	if len(looks) < 4 || len(looks) > 6 {
		t.Errorf("looked %d times in 60 hours", len(looks))
	}
	if want := "Missing acme/cart@sha256:one acme/cart@sha256:two"; slices.ContainsFunc(looks, func(l string) bool { return l != want }) {
		t.Errorf("looked for %v", looks)
	}
	if a.missing() != nil || len(a.events) > 0 {
		t.Errorf("%+v, %v", a.missing(), a.events)
	}
	if a.missingFor != 6*time.Hour {
		t.Errorf("what other Syncs were answered counts for %v", a.missingFor)
	}
	t.Run("and not where nobody wants it", func(t *testing.T) {
		a := checked(t)
		a.check = 0
		a.restart()
		from := len(a.calls)
		a.forAWhile(60 * time.Hour)
		if looks := only(a.calls[from:], looksForLost); len(looks) > 0 {
			t.Errorf("looked %d times", len(looks))
		}
	})
	t.Run("nor for what was not pinned", func(t *testing.T) {
		w := newWorld()
		w.push("v1", web("cart", "acme/cart:1"), web("side", "acme/side@sha256:01"))
		a := newAgent(t, w)
		a.check = time.Hour
		a.restart()
		a.spec.Images.Resolve = v1alpha1.ResolveNever
		a.forAWhile(60 * time.Hour)
		if looks := only(a.calls, looksForLost); len(looks) > 0 {
			t.Errorf("looked: %v", looks)
		}
	})
}

func TestARestartOfAThousandSyncsLooksForNothingAtOnce(t *testing.T) {
	first := map[time.Duration]int{}
	for range 200 {
		a := kept(t)
		a.check = 12 * time.Hour
		a.restart()
		a.pass()
		first[a.syncer.memory.checking.due.Sub(a.now).Truncate(time.Hour)]++
		if looks := only(a.calls, looksForLost); len(looks) > 0 {
			t.Fatalf("looked at once: %v", looks)
		}
	}
	if len(first) != 12 {
		t.Errorf("the first looks are within the hours %v", first)
	}
}

func TestALostDigestIsToldUntilItIsThereAgain(t *testing.T) {
	a := checked(t)
	a.gone["acme/cart@sha256:one"] = true // of the release that would be gone back to
	a.forAWhile(14 * time.Hour)
	a.forAWhile(14 * time.Hour)
	told := a.missing()
	if told == nil || told.Status != metav1.ConditionTrue || told.Reason != "DigestGone" {
		t.Fatalf("the condition is %+v", told)
	}
	for _, want := range []string{"acme/cart:1 (sha256:one, which release 1 needs)", "Push them again"} {
		if !strings.Contains(told.Message, want) {
			t.Errorf("%q is not in %s", want, told.Message)
		}
	}
	if diff := cmp.Diff([]string{"DigestGone"}, a.events); diff != "" {
		t.Error("events:", diff)
	}
	if a.status.Images[0].Missing || a.ready().Status != metav1.ConditionTrue || a.out.Problem != nil {
		t.Errorf("%+v, %+v, problem %+v", a.status.Images, a.ready(), a.out.Problem)
	}
	t.Run("also of what runs", func(t *testing.T) {
		a.gone["acme/cart@sha256:two"] = true
		a.forAWhile(14 * time.Hour)
		if got := a.status.Images; len(got) != 1 || !got[0].Missing || !strings.Contains(a.missing().Message, "acme/cart:2 (sha256:two, which release 2 needs)") {
			t.Errorf("%+v, %s", got, a.missing().Message)
		}
	})
	before := a.status.DeepCopy()
	t.Run("and by another process", func(t *testing.T) {
		a.restart()
		a.forAWhile(10 * time.Minute)
		if diff := cmp.Diff(before, &a.status); diff != "" {
			t.Error(diff)
		}
		a.forAWhile(14 * time.Hour)
		if diff := cmp.Diff(before, &a.status); diff != "" {
			t.Error("after the next look:", diff)
		}
	})
	t.Run("while the registry does not say", func(t *testing.T) {
		a.away["acme/cart@sha256:one"], a.away["acme/cart@sha256:two"] = unreachable, unreachable
		a.forAWhile(14 * time.Hour)
		if diff := cmp.Diff(before, &a.status); diff != "" || a.out.Problem != nil {
			t.Error(diff, a.out.Problem)
		}
		a.refuse["Missing"] = down
		a.forAWhile(14 * time.Hour)
		if diff := cmp.Diff(before, &a.status); diff != "" || a.out.Problem != nil {
			t.Error(diff, a.out.Problem)
		}
		clear(a.away)
		clear(a.refuse)
	})
	t.Run("with one event", func(t *testing.T) {
		if diff := cmp.Diff([]string{"DigestGone"}, a.events); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and not once somebody has mended it and says so", func(t *testing.T) {
		clear(a.gone)
		if a.missingFor != 6*time.Hour {
			t.Errorf("before, what other Syncs were answered counts for %v", a.missingFor)
		}
		a.poll()
		if a.missingFor != 0 {
			t.Errorf("what was answered %v ago counts", a.missingFor)
		}
		if a.missing() != nil || a.status.Images[0].Missing {
			t.Errorf("%+v, %+v", a.missing(), a.status.Images)
		}
		if looks := only(a.poll(), looksForLost); len(looks) > 0 {
			t.Errorf("and looked again: %v", looks)
		}
	})
	t.Run("nor once other releases are needed", func(t *testing.T) {
		a := checked(t)
		a.gone["acme/cart@sha256:one"] = true
		a.forAWhile(14 * time.Hour)
		if a.missing() == nil {
			t.Fatal("it is not told")
		}
		a.tags["acme/cart:3"] = "sha256:three"
		a.push("v3", web("cart", "acme/cart:3"))
		a.passAfter(2 * time.Minute)
		a.until("v3", manifests.Kept)
		if a.missing() != nil || a.missingFor != 0 {
			t.Errorf("%+v, and what was answered %v ago counts", a.missing(), a.missingFor)
		}
	})
	t.Run("nor more than once for a request that waits for a rollback", func(t *testing.T) {
		a := checked(t)
		a.gone["acme/cart@sha256:one"] = true
		a.forAWhile(14 * time.Hour)
		a.push("v3", web("cart", "acme/cart:1"), config("vars", "3"))
		a.passAfter(2 * time.Minute)
		a.live[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}]["spec"] = "bad"
		a.refuse["Apply Deployment/shop/cart"] = down
		a.pass()
		if a.result() != manifests.RollingBack {
			t.Fatalf("it is %s", a.result())
		}
		a.asked[v1alpha1.AnnotationSyncAt] = "now"
		from := len(a.calls)
		delete(a.refuse, "Apply Deployment/shop/cart")
		for n, text := range a.releases {
			a.releases[n] = strings.ReplaceAll(text, "sha256:two", "sha256:slow-two")
		}
		for range 10 {
			a.passAfter(time.Second)
		}
		if looks := only(a.calls[from:], looksForLost); len(looks) > 1 || a.result() != manifests.RollingBack {
			t.Errorf("%s, looked %d times", a.result(), len(looks))
		}
	})
	t.Run("nor once nobody looks any more", func(t *testing.T) {
		a := checked(t)
		a.gone["acme/cart@sha256:one"] = true
		a.forAWhile(14 * time.Hour)
		a.check = 0
		a.restart()
		a.pass()
		if a.missing() != nil {
			t.Errorf("%+v", a.missing())
		}
	})
}

func TestALookForLostDigestsThatHalfFailsTellsTheOtherHalf(t *testing.T) {
	a := checked(t)
	a.away["acme/cart@sha256:two"] = unreachable
	a.gone["acme/cart@sha256:one"] = true
	a.forAWhile(14 * time.Hour)
	if a.missing() == nil || !strings.Contains(a.missing().Message, "sha256:one") || a.out.Problem != nil {
		t.Errorf("%+v, problem %+v", a.missing(), a.out.Problem)
	}
	t.Run("and forgets nothing of the first", func(t *testing.T) {
		delete(a.away, "acme/cart@sha256:two")
		a.gone["acme/cart@sha256:two"] = true
		a.forAWhile(14 * time.Hour)
		delete(a.gone, "acme/cart@sha256:one")
		a.away["acme/cart@sha256:two"] = unreachable
		a.forAWhile(14 * time.Hour)
		if got := a.missing(); got == nil || !strings.Contains(got.Message, "sha256:two") || strings.Contains(got.Message, "sha256:one") {
			t.Errorf("%+v", got)
		}
	})
}

func TestLostImagesAreNamedOnce(t *testing.T) {
	releases := []manifests.Release{
		{Number: 4, Pins: manifests.Pins{"b:1": "b@sha256:02", "a:1": "a@sha256:01", "a:latest": "a@sha256:01"}},
		{Number: 3, Pins: manifests.Pins{"a:1": "a@sha256:01", "b:1": "b@sha256:00"}},
	}
	want := []Lost{{"a:1", "sha256:01", 4}, {"a:latest", "sha256:01", 4}, {"b:1", "sha256:00", 3}}
	if diff := cmp.Diff(want, lostOf(releases, []string{"a@sha256:01", "b@sha256:00", "c@sha256:09"})); diff != "" {
		t.Error(diff)
	}
}

func TestNeededAreWhatRunsAndWhatWouldBeGoneBackTo(t *testing.T) {
	const good, rolledBack, failed, applying = manifests.Kept, manifests.RolledBack, manifests.Failed, manifests.Applying
	for _, test := range []struct {
		name    string
		results []manifests.Result
		want    []int
	}{
		{"nothing", nil, nil},
		{"the only one", []manifests.Result{good}, []int{1}},
		{"the two newest that were healthy", []manifests.Result{good, good, good}, []int{3, 2}},
		{"the one that is judged and the one before", []manifests.Result{good, good, applying}, []int{3, 2}},
		{"a failed one that stays", []manifests.Result{failed}, []int{1}},
		{"the one that was gone back to and the one before", []manifests.Result{good, good, rolledBack}, []int{2, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			records := history(test.results...)
			if n := len(records); n > 0 && records[n-1].Outcome.Result == rolledBack {
				records[n-1].Outcome.To = n - 1
			}
			var got []int
			for _, r := range needed(records) {
				got = append(got, r.Number)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
