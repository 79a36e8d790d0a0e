package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// held is an agent that has refused v2 and runs v1 again.
func held(t testing.TB) *agent {
	t.Helper()
	a := kept(t)
	a.pushBad()
	a.until("v2", manifests.RolledBack)
	a.settle()
	if a.status.Held == nil || a.status.Phase != v1alpha1.RolledBack {
		t.Fatalf("%s, held %+v", a.status.Phase, a.status.Held)
	}
	return a
}

// mend has the tag that v2 names point to an image that works.
func (a *agent) mend() { a.tags["acme/cart:2"] = "sha256:two" }

func TestAHeldReleaseIsNotTriedAgain(t *testing.T) {
	for name, change := range map[string]func(a *agent){
		"by itself":            func(*agent) {},
		"when somebody polls":  func(a *agent) { a.asked[v1alpha1.AnnotationSyncAt] = "now" },
		"by another process":   func(a *agent) { a.restart() },
		"under another commit": func(a *agent) { a.tree["v2b"], a.head = a.tree["v2"], "v2b" },
		"after a force-push to the kept commit and back": func(a *agent) {
			a.head = "v1"
			a.settle()
			a.head = "v2"
		},
		"for another interval": func(a *agent) { a.spec.Source.Interval.Duration = time.Hour; a.gen++ },
		"after a suspension": func(a *agent) {
			a.spec.Suspend = true
			a.gen++
			a.pass()
			a.spec.Suspend = false
			a.gen++
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := held(t)
			change(a)
			from := len(a.calls)
			a.settle()
			for range 10 {
				a.passAfter(time.Minute)
			}
			if wrote := only(a.calls[from:], writes); len(wrote) > 0 {
				t.Errorf("wrote %v", wrote)
			}
			if len(a.records) != 2 || a.status.Held == nil || a.status.Held.Commit != "v2" || a.status.Phase != v1alpha1.RolledBack {
				t.Errorf("%d releases, %s, held %+v", len(a.records), a.status.Phase, a.status.Held)
			}
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAHoldEndsWithWhateverIsNew(t *testing.T) {
	for name, change := range map[string]func(a *agent){
		"a retry":                 func(a *agent) { a.asked[v1alpha1.AnnotationRetryAt] = "now" },
		"a changed timeout":       func(a *agent) { a.spec.Health.Timeout.Duration = time.Hour; a.gen++ },
		"another service account": func(a *agent) { a.spec.Apply.ServiceAccountName = "deployer"; a.gen++ },
		"another commit": func(a *agent) {
			a.push("v3", config("more", "3"), web("cart", "acme/cart:2"))
		},
		"other pins after a restart": func(a *agent) { a.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			a := held(t)
			a.mend()
			change(a)
			a.settle()
			if len(a.records) != 3 || a.result() != manifests.Kept || a.status.Held != nil || a.status.Phase != v1alpha1.Kept {
				t.Errorf("%d releases, %s, %s, held %+v", len(a.records), a.result(), a.status.Phase, a.status.Held)
			}
			if a.status.Deployed.Commit != a.head || a.status.Deployed.Release != 3 {
				t.Errorf("deployed is %+v", a.status.Deployed)
			}
		})
	}
}

func TestARetryIsGoodForOneTry(t *testing.T) {
	a := held(t)
	a.asked[v1alpha1.AnnotationRetryAt] = "now"
	a.settle()
	if len(a.records) != 3 || a.result() != manifests.RolledBack {
		t.Errorf("%d releases, %s", len(a.records), a.result())
	}
	a.restart()
	a.settle()
	if len(a.records) != 3 {
		t.Errorf("%d releases", len(a.records))
	}
}

func TestGitRevertBringsBackTheBytes(t *testing.T) {
	t.Run("with no write at all after a rollback", func(t *testing.T) {
		a := held(t)
		a.tags["acme/cart:1"] = "sha256:moved"
		a.tree["revert"], a.head = a.tree["v1"], "revert"
		if calls := only(a.poll(), func(call string) bool { return writes(call) || call == "Pin" }); len(calls) > 0 {
			t.Errorf("called %v", calls)
		}
		if a.status.Held != nil || a.status.Phase != v1alpha1.Kept {
			t.Errorf("%s, held %+v", a.status.Phase, a.status.Held)
		}
		if d := a.status.Deployed; d.Commit != "revert" || d.Release != 1 {
			t.Errorf("deployed is %+v", d)
		}
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("with the pins of then from a later release that was kept", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.until("v2", manifests.Kept)
		a.settle()
		a.tags["acme/cart:1"] = "sha256:moved"
		a.refuse["Pin"] = down
		a.tree["revert"], a.head = a.tree["v1"], "revert"
		a.settle()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
		if len(a.records) != 3 || a.records[2].Objects != a.records[0].Objects {
			t.Errorf("the records are %+v", a.records)
		}
	})
	t.Run("at once while the bad release is judged", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.tags["acme/cart:2"], a.tags["acme/cart:1"] = "sha256:slow", "sha256:moved"
		a.poll()
		a.tree["revert"], a.head = a.tree["v1"], "revert"
		a.settle()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
		if a.status.Phase != v1alpha1.Kept {
			t.Errorf("%s", a.status.Phase)
		}
	})
}

func TestPinsOfAReleaseThatWasNeverHealthyAreNotTakenAgain(t *testing.T) {
	a := held(t)
	a.mend()
	a.asked[v1alpha1.AnnotationRetryAt] = "now"
	a.settle()
	if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
		t.Error(diff)
	}
}
