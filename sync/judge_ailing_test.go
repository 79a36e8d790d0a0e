// FAULTS, Health: unhealthy before our change → noted, not blamed on the release.

package sync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// ailing is an agent that has kept v1, whose Deployment has failed since, and a v2 that does not change it.
func ailing(t testing.TB) *agent {
	t.Helper()
	a := kept(t)
	a.is[cart] = crashing
	a.pass()
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), config("old", "1"))
	return a
}

func TestWhatHadFailedBeforeIsNotBlamedOnARelease(t *testing.T) {
	a := ailing(t)
	a.poll()
	if healthy := meta.FindStatusCondition(a.status.Conditions, v1alpha1.Healthy); !strings.Contains(healthy.Message, "it had failed before this release, which does not change it") {
		t.Errorf("Healthy %+v", healthy)
	}
	a.restart() // which remembers nothing
	a.until("v2", manifests.Kept)
	if diff := cmp.Diff([]manifests.ID{cart}, a.records[1].Ailing); diff != "" {
		t.Error(diff)
	}
	a.pass()
	if healthy := meta.FindStatusCondition(a.status.Conditions, v1alpha1.Healthy); healthy.Reason != "CrashLoopBackOff" {
		t.Errorf("at rest nothing is glossed over: %+v", healthy)
	}
}

func TestWhatAReleaseHasBrokenIsBlamedOnIt(t *testing.T) {
	t.Run("what was healthy before", func(t *testing.T) {
		a := ailing(t)
		delete(a.is, cart)
		a.poll()
		a.is[cart] = crashing
		a.until("v2", manifests.RollbackFailed) // which brings nothing else of it back
	})
	t.Run("what became healthy in between", func(t *testing.T) {
		a := ailing(t)
		a.poll()
		delete(a.is, cart)
		a.pass()
		a.is[cart] = crashing
		a.pass()
		if !a.result().Refused() {
			t.Errorf("it is %s", a.result())
		}
	})
	t.Run("what it changes", func(t *testing.T) {
		a := ailing(t)
		a.tags["acme/cart:2"] = "sha256:two"
		a.push("v2", config("vars", "2"), web("cart", "acme/cart:2"), config("old", "1"))
		a.poll()
		a.is[cart] = crashing
		a.until("v2", manifests.RolledBack)
	})
	t.Run("what a release before it broke that nobody had judged yet", func(t *testing.T) {
		a := kept(t)
		a.tags["acme/cart:2"] = "sha256:slow"
		a.push("v2", config("vars", "1"), web("cart", "acme/cart:2"), config("old", "1"))
		a.poll()
		a.is[cart] = crashing
		a.push("v3", config("vars", "3"), web("cart", "acme/cart:2"), config("old", "1"))
		a.poll()
		delete(a.is, cart)
		a.until("v3", manifests.RolledBack)
	})
	t.Run("what the release broke that is watched on", func(t *testing.T) {
		a := watching(t)
		a.is[cart] = crashing
		a.push("v3", config("vars", "3"), web("cart", "acme/cart:2"), config("new", "2"))
		a.poll()
		if len(a.records[2].Ailing) > 0 {
			t.Errorf("forgiven: %v", a.records[2].Ailing)
		}
	})
}

func TestWhatHadFailedBeforeDoesNotFailTheRollbackEither(t *testing.T) {
	a := kept(t)
	a.push("v2", config("vars", "1"), web("cart", "acme/cart:1"), web("front", "acme/cart:1"), config("old", "1"))
	a.until("v2", manifests.Kept)
	a.is[cart] = crashing
	a.pass()
	a.tags["acme/front:3"] = "sha256:bad"
	a.push("v3", config("vars", "1"), web("cart", "acme/cart:1"), web("front", "acme/front:3"), config("old", "1"))
	a.until("v3", manifests.RolledBack)
	if got := a.records[2].Outcome.Message; !strings.Contains(got, "Deployment/shop/front") {
		t.Errorf("refused for %s", got)
	}
}

func TestNobodyLooksAtPodsBeforeAReleaseWhereAllIsWell(t *testing.T) {
	a := kept(t)
	a.pushGood()
	calls := a.poll()
	first := slices.IndexFunc(calls, func(call string) bool { return strings.HasPrefix(call, "Store") })
	if first < 0 || slices.Contains(calls[:first], "Health closely") {
		t.Errorf("%v", calls)
	}
}

func TestARollbackWaitsForPeopleOnlyAsLongAsForOthers(t *testing.T) {
	a := kept(t)
	a.pushBad()
	a.until("v2", manifests.RollingBack)
	a.is[cart] = suspended
	a.until("v2", manifests.RollbackFailed)
	if ready := a.ready(); !strings.Contains(ready.Message, "the rollback failed: not healthy") || !strings.Contains(ready.Message, "spec.paused is true") {
		t.Errorf("Ready %+v", ready)
	}
}

func TestAReleaseWaitsForPeopleWithoutADeadline(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.poll()
	a.is[cart] = suspended
	a.passes(24 * time.Hour)
	if ready := a.ready(); a.result() != manifests.Applying || ready.Reason != "Progressing" ||
		!strings.Contains(ready.Message, "waiting for people to go on with Deployment/shop/cart: spec.paused is true") {
		t.Errorf("%s, Ready %+v", a.result(), ready)
	}
	if healthy := meta.FindStatusCondition(a.status.Conditions, v1alpha1.Healthy); healthy.Reason != "Suspended" {
		t.Errorf("Healthy %+v", healthy)
	}
	a.is[cart] = notReady
	a.pass()
	a.passes(4 * time.Minute)
	delete(a.is, cart)
	a.until("v2", manifests.Kept)
}

func TestWhatARollbackByHandWritesIsJudgedThoughItAiledBeforeTheRelease(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"] = "sha256:two"
	a.push("v2", config("vars", "1"), web("cart", "acme/cart:2"))
	a.until("v2", manifests.Kept)
	a.settle()
	a.is[cart] = crashing
	a.push("v3", config("vars", "3"), web("cart", "acme/cart:2"))
	a.until("v3", manifests.Kept)
	a.settle()
	a.takeBack("now", `,"to":1`)
	a.after = func(call string) {
		if call == "Apply Deployment/shop/cart" {
			a.is[cart] = crashing
		}
	}
	a.until("v3", manifests.RollbackFailed)
}
