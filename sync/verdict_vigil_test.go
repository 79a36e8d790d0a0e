// spec.health.watchFor: a kept release is watched on, and gone back from as if it had never been kept.

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

var (
	crashing  = manifests.Health{Condition: manifests.Unhealthy, Reason: "CrashLoopBackOff", Message: "it crashes after a while"}
	notReady  = manifests.Health{Condition: manifests.Progressing, Message: "0 of 1 pods are ready"}
	suspended = manifests.Health{Condition: manifests.Suspended, Bearing: manifests.Patient, Message: "spec.paused is true"}
)

// watching is an agent that has kept v1, and then v2, which it watches on for ten minutes.
func watching(t testing.TB) *agent {
	t.Helper()
	a := kept(t)
	a.spec.Health.WatchFor = metav1.Duration{Duration: 10 * time.Minute}
	a.settle()
	a.pushGood()
	a.until("v2", manifests.Kept)
	a.events = nil
	return a
}

// leftV1 is what v2 has left behind, while it is watched on.
var leftV1 = slices.Sorted(slices.Values(append([]string{"ConfigMap/shop/old 1"}, liveV2...)))

// passes lets time go by, with passes as late as the ones before allow.
func (a *agent) passes(d time.Duration) {
	a.t.Helper()
	for end := a.now.Add(d); a.now.Before(end); {
		a.now = a.now.Add(min(a.out.Next, end.Sub(a.now)))
		a.pass()
	}
}

func TestAKeptReleaseIsWatchedOnAndPrunesAfterwards(t *testing.T) {
	a := watching(t)
	until := a.now.Add(10 * time.Minute)
	for range 3 {
		if ready := a.ready(); ready.Status != metav1.ConditionTrue || a.status.Phase != v1alpha1.Kept ||
			!strings.HasSuffix(ready.Message, "is deployed, and watched on until "+until.Format(time.RFC3339)) {
			t.Errorf("%s, Ready %+v", a.status.Phase, ready)
		}
		if diff := cmp.Diff(leftV1, a.inLive()); diff != "" {
			t.Errorf("before the end: %s", diff)
		}
		a.passes(3 * time.Minute)
	}
	if calls := a.pass(); !slices.Contains(calls, "Health closely") || len(only(calls, writes)) > 0 {
		t.Errorf("a pass while it is watched: %v", calls)
	}
	a.passes(time.Minute)
	if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
		t.Errorf("after the end: %s", diff)
	}
	if ready := a.ready(); ready.Status != metav1.ConditionTrue || strings.Contains(ready.Message, "watched") {
		t.Errorf("Ready %+v", ready)
	}
	if calls := a.pass(); !slices.Contains(calls, "Health") || slices.Contains(calls, "Health closely") {
		t.Errorf("a pass after it: %v", calls)
	}
	a.is[cart] = crashing
	a.passes(time.Hour)
	if a.result() != manifests.Kept {
		t.Errorf("what crashes after the end made it %s", a.result())
	}
}

func TestAReleaseThatTurnsBadWhileItIsWatchedIsGoneBackFrom(t *testing.T) {
	for name, test := range map[string]struct {
		is       manifests.Health
		reason   string
		min, max time.Duration
	}{
		"failed":                      {crashing, "CrashLoopBackOff", 0, 0},
		"not healthy for the timeout": {notReady, "TimedOut", 5 * time.Minute, 5*time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			a := watching(t)
			a.passes(2 * time.Minute)
			a.is[cart] = test.is
			began := a.now
			for range 100 {
				if a.pass(); a.result() != manifests.Kept {
					break
				}
				a.now = a.now.Add(a.out.Next)
			}
			if took := a.now.Sub(began); took < test.min || took > test.max {
				t.Errorf("refused after %s", took)
			}
			delete(a.is, cart)
			a.until("v2", manifests.RolledBack)
			a.settle()
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Error(diff)
			}
			if a.status.Held == nil || a.status.Held.Reason != test.reason || a.status.Held.RolledBackTo != "v1" {
				t.Errorf("held: %+v", a.status.Held)
			}
			if got := a.status.History[0]; got.Result != "RolledBack" || got.Reason != test.reason {
				t.Errorf("history: %+v", got)
			}
			if diff := cmp.Diff([]string{test.reason, "RolledBack"}, a.events); diff != "" {
				t.Errorf("events: %s", diff)
			}
			if _, err := Target(a.records, 2); err == nil {
				t.Error("it may be gone back to by hand, as if it had been healthy")
			}
			a.passes(time.Hour)
			if len(a.records) != 2 || a.status.Phase != v1alpha1.RolledBack {
				t.Errorf("it is not held: %s, %d releases", a.status.Phase, len(a.records))
			}
		})
	}
}

func TestADisturbanceOfAWatchedReleaseIsNoFailure(t *testing.T) {
	a := watching(t)
	for _, is := range []manifests.Health{notReady, {Condition: manifests.Healthy}, notReady, {Condition: manifests.Healthy}} {
		a.is[cart] = is
		a.pass()
		a.passes(3 * time.Minute)
	}
	a.passes(time.Minute)
	if diff := cmp.Diff(liveV2, a.inLive()); diff != "" || a.result() != manifests.Kept {
		t.Errorf("%s: %s", a.result(), diff)
	}
	t.Run("and what people have suspended is waited for by nobody", func(t *testing.T) {
		a := watching(t)
		a.is[cart] = suspended
		a.passes(15 * time.Minute)
		if diff := cmp.Diff(liveV2, a.inLive()); diff != "" || a.result() != manifests.Kept {
			t.Errorf("%s: %s", a.result(), diff)
		}
	})
	t.Run("one that is disturbed as the time ends has the rest of its own", func(t *testing.T) {
		a := watching(t)
		a.passes(9 * time.Minute)
		a.is[cart] = notReady
		a.pass()
		a.passes(4 * time.Minute)
		if diff := cmp.Diff(leftV1, a.inLive()); diff != "" {
			t.Errorf("pruned while it was not healthy: %s", diff)
		}
		a.passes(3 * time.Minute)
		delete(a.is, cart)
		a.settle()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARestartWatchesAnewWhateverTheClockSays(t *testing.T) {
	for name, off := range map[string]time.Duration{"right": 0, "a day ahead": 24 * time.Hour, "a day behind": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			a := watching(t)
			a.passes(9 * time.Minute)
			a.now = a.now.Add(off)
			a.restart()
			a.pass()
			a.passes(9 * time.Minute)
			if diff := cmp.Diff(leftV1, a.inLive()); diff != "" {
				t.Errorf("pruned within the time: %s", diff)
			}
			a.is[cart] = crashing
			a.pass()
			delete(a.is, cart)
			a.settle()
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestANewerCommitEndsTheVigil(t *testing.T) {
	for name, test := range map[string]struct {
		image string
		want  []string
	}{
		"and is kept": {"sha256:three", []string{"ConfigMap/shop/new 3", "Deployment/shop/cart acme/cart@sha256:three"}},
		"and fails":   {"sha256:bad", liveV2},
	} {
		t.Run(name, func(t *testing.T) {
			a := watching(t)
			a.spec.Health.WatchFor = metav1.Duration{}
			a.tags["acme/cart:3"] = test.image
			a.push("v3", web("cart", "acme/cart:3"), config("new", "3"))
			a.settle()
			if diff := cmp.Diff(test.want, a.inLive()); diff != "" {
				t.Error(diff)
			}
			if len(a.records) != 3 {
				t.Errorf("%d releases", len(a.records))
			}
		})
	}
}

func TestPeopleMayGoBackWhileAReleaseIsWatched(t *testing.T) {
	a := watching(t)
	a.takeBack("now", "")
	a.settle()
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if a.status.Held == nil || a.status.Held.Reason != "RolledBackByHand" {
		t.Errorf("held: %+v", a.status.Held)
	}
	if _, err := Target(a.records, 2); err != nil {
		t.Errorf("it was healthy: %v", err)
	}
}

func TestTheFirstReleaseThatTurnsBadWhileItIsWatchedStays(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	w.push("v1", config("vars", "1"), web("cart", "acme/cart:1"), config("old", "1"))
	a := newAgent(t, w)
	a.spec.Health.WatchFor = metav1.Duration{Duration: 10 * time.Minute}
	a.until("v1", manifests.Kept)
	a.is[cart] = crashing
	a.pass()
	if ready := a.ready(); a.result() != manifests.Failed || ready.Reason != "CrashLoopBackOff" {
		t.Errorf("%s, Ready %+v", a.result(), ready)
	}
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	delete(a.is, cart)
	a.until("v1", manifests.Kept)
}

func TestAKilledVigilIsGoneOnWith(t *testing.T) {
	for name, health := range map[string]manifests.Health{"it stays healthy": {Condition: manifests.Healthy}, "it fails": crashing} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []bool{false, true} {
				for n := 1; ; n++ {
					a := watching(t)
					a.is[cart] = health
					a.killEnd, a.killIn = after, n
					survived := survives(func() { a.passes(11 * time.Minute) })
					a.killIn = 0
					if !survived {
						a.restart()
						a.pass()
					}
					want := liveV2
					if health.Condition != manifests.Healthy {
						delete(a.is, cart)
						want = liveV1
						if a.result() == manifests.Kept { // killed before the word was there
							a.is[cart] = health
							a.pass()
							delete(a.is, cart)
						}
					}
					a.passes(11 * time.Minute)
					if diff := cmp.Diff(want, a.inLive()); diff != "" {
						t.Fatalf("killed at call %d (after it: %t): %s", n, after, diff)
					}
					if survived {
						break
					}
				}
			}
		})
	}
}

func TestWithoutWatchForNothingIsWatched(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.until("v2", manifests.Kept)
	if a.records[1].Outcome.Watching || !a.records[1].Outcome.Pruned {
		t.Errorf("%+v", a.records[1].Outcome)
	}
}
