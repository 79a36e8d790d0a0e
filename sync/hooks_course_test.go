// Where the time and the ends of hooks meet the course of their release.

package sync

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// smoking is an agent with release 2 under way: all of it is healthy, and its hook after it runs.
func smoking(t testing.TB) *agent {
	t.Helper()
	a := hooked(t)
	a.tags["acme/job:2"] = "sha256:slow"
	a.push("v2", web("cart", "acme/cart:2"), hook("smoke", "after", "acme/job:2"))
	a.poll()
	a.passAfter(10 * time.Second)
	if a.out.Verdict.Reason != "HookRunning" {
		t.Fatalf("%+v", a.out.Verdict)
	}
	return a
}

func TestAReleaseThatIsNotHealthyWhileAHookRunsAfterItHasADeadlineStill(t *testing.T) {
	a := smoking(t)
	a.passAfter(time.Minute)
	a.is[cart] = notReady
	began := a.now
	a.until("v2", manifests.RollingBack)
	if took := a.now.Sub(began); took < 5*time.Minute-time.Second || took > 5*time.Minute+time.Second || a.status.Held.Reason != "TimedOut" {
		t.Errorf("after %s: %+v", took, a.status.Held)
	}
}

func TestTheTimeInWhichAReleaseIsDisturbedIsNotThatOfItsHook(t *testing.T) {
	a := smoking(t)
	a.passAfter(3 * time.Minute)
	a.is[cart] = notReady
	a.pass()
	a.passAfter(3 * time.Minute)
	a.is[cart] = manifests.Health{Condition: manifests.Healthy}
	a.pass()
	a.passAfter(10 * time.Second)
	if a.result() != manifests.Applying {
		t.Fatalf("%s: %+v", a.result(), a.status.Held)
	}
	began := a.now
	a.until("v2", manifests.RollingBack)
	if took := a.now.Sub(began); took > 2*time.Minute+time.Second || a.status.Held.Reason != hookFailed {
		t.Errorf("after %s: %+v", took, a.status.Held)
	}
}

func TestAHookIsJudgedAgainWhenItWouldBeJudgedOtherwiseByItself(t *testing.T) {
	pending := manifests.Health{ID: jobID("a"), Condition: manifests.Progressing, Reason: "Unschedulable", Again: 30 * time.Second}
	if verdict := judgeHooks([]manifests.Health{pending}, 0, 5*time.Minute); verdict.Wait != 30*time.Second {
		t.Errorf("%+v", verdict)
	}
}

func TestHooksOfAReleaseThatHasFailedEndBeforeTheNextIsWritten(t *testing.T) {
	isFirst := func(t *testing.T, wrote []string, stopped string) {
		t.Helper()
		stop := slices.Index(wrote, "StopHook "+stopped)
		if apply := slices.Index(wrote, "Apply Deployment/shop/cart"); stop < 0 || apply >= 0 && apply < stop {
			t.Error(wrote)
		}
	}
	t.Run("after a release that failed for something else", func(t *testing.T) {
		a := smoking(t)
		a.spec.Rollback.Enabled = new(bool)
		a.is[cart] = crashing
		a.until("v2", manifests.Failed)
		a.push("v3", web("cart", "acme/cart:1"))
		a.poll()
		isFirst(t, a.writtenFrom("Store 3"), "Job/shop/smoke")
	})
	t.Run("after a rollback that failed", func(t *testing.T) {
		a := hooked(t)
		a.push("v2", web("cart", "acme/cart:1"), hook("back", "before", "acme/job:1", manifests.AnnotationHookOnRollback, "enabled"))
		a.until("v2", manifests.Kept)
		a.tags["acme/cart:2"] = "sha256:bad"
		a.push("v3", web("cart", "acme/cart:2"))
		a.after = func(call string) {
			if call == "RunHook Job/shop/back 3-rollback-to-2" {
				a.live[jobID("back")]["spec"] = "slow"
			}
		}
		a.until("v3", manifests.RollbackFailed)
		a.push("v4", web("cart", "acme/cart:1"))
		a.poll()
		isFirst(t, a.writtenFrom("Store 4"), "Job/shop/back")
	})
}

// watchedFirst is an agent whose first release is kept, watched on, and refused then, with nothing to go back to.
func watchedFirst(t testing.TB, restart bool, objects ...map[string]any) *agent {
	t.Helper()
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/job:1"] = "sha256:cart", "sha256:job"
	w.push("v1", objects...)
	a := newAgent(t, w)
	a.spec.Health.WatchFor = metav1.Duration{Duration: 10 * time.Minute}
	a.until("v1", manifests.Kept)
	if restart {
		a.restart()
	}
	a.is[cart] = crashing
	a.until("v1", manifests.Failed)
	return a
}

func TestARefusedReleaseThatWasWatchedOnIsHopedForWithItsHooksDone(t *testing.T) {
	for _, restart := range []bool{false, true} {
		a := watchedFirst(t, restart, web("cart", "acme/cart:1"), hook("migrate", "before", "acme/job:1"), hook("smoke", "after", "acme/job:1"))
		a.restart()
		delete(a.is, cart)
		from := len(a.calls)
		a.until("v1", manifests.Kept)
		if a.status.Phase != v1alpha1.Kept {
			t.Errorf("restarted in the watch: %t: %s: %+v", restart, a.status.Phase, a.ready())
		}
		for _, call := range only(a.calls[from:], writes) {
			if call != "Mark 1 Kept, pruned" {
				t.Errorf("restarted in the watch: %t: %s", restart, call)
			}
		}
	}
}

func TestARefusedReleaseThatWasWatchedOnDoesNotRunJobsAgainThatTookThemselvesAway(t *testing.T) {
	a := watchedFirst(t, false, web("cart", "acme/cart:1"), noHook(passingHook("seed", "before")))
	delete(a.live, jobID("seed"))
	a.restart()
	delete(a.is, cart)
	a.until("v1", manifests.Kept)
	if a.live[jobID("seed")] != nil || a.status.Phase != v1alpha1.Kept {
		t.Errorf("%s: %+v, the Job is there: %t", a.status.Phase, a.ready(), a.live[jobID("seed")] != nil)
	}
}

func TestARollbackByHandToWhereOneWentBeforeRunsItsHooksAnew(t *testing.T) {
	back := func(more ...string) map[string]any { return hook("back", "before", "acme/job:1", more...) }
	on := []string{manifests.AnnotationHookOnRollback, "enabled"}
	a := hooked(t)
	a.push("v2", web("cart", "acme/cart:1"), back())
	a.until("v2", manifests.Kept)
	a.push("v3", web("cart", "acme/cart:1"), config("third", "3"), back(on...))
	a.until("v3", manifests.Kept)
	a.push("v4", web("cart", "acme/cart:2"), back())
	a.until("v4", manifests.Kept)
	var runs []string
	for _, to := range []string{"3", "2", "3"} {
		from := len(a.calls)
		a.takeBack("at "+fmt.Sprint(from), `,"to":`+to)
		a.pass()
		a.until("v4", manifests.RolledBack)
		a.settle()
		runs = append(runs, fmt.Sprint(len(only(a.calls[from:], func(call string) bool { return strings.HasPrefix(call, "RunHook") }))))
	}
	if diff := cmp.Diff([]string{"1", "0", "1"}, runs); diff != "" {
		t.Errorf("hooks that ran for each: %s", diff)
	}
}

func TestARollbackIsNotGivenUpForAHookThatCannotBeStopped(t *testing.T) {
	for name, why := range map[string]fault{"does not go": {reason: "Terminating", temporary: true}, "must not be deleted": {reason: "Forbidden"}} {
		t.Run(name, func(t *testing.T) {
			a := smoking(t)
			a.refuse["StopHook Job/shop/smoke"] = why
			a.is[cart] = crashing
			a.until("v2", manifests.RolledBack)
		})
	}
}
