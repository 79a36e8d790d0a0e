package sync

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// hook is a Job that runs image; more are annotations: name, value, name, value.
func hook(name, stage, image string, more ...string) map[string]any {
	annotations := map[string]any{manifests.AnnotationHook: stage}
	for i := 0; i+1 < len(more); i += 2 {
		annotations[more[i]] = more[i+1]
	}
	return map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": name, "annotations": annotations},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": name, "image": image}}}}},
	}
}

// passingHook is a hook that takes itself away.
func passingHook(name, stage string, more ...string) map[string]any {
	h := hook(name, stage, "acme/job:1", more...)
	h["spec"].(map[string]any)["ttlSecondsAfterFinished"] = int64(0)
	return h
}

func jobID(name string) manifests.ID {
	return manifests.ID{Group: "batch", Kind: "Job", Namespace: "shop", Name: name}
}

func TestDueHooks(t *testing.T) {
	object := func(name, stage string, more ...string) manifests.Object {
		u := &unstructured.Unstructured{Object: hook(name, stage, "x", more...)}
		u.SetNamespace("shop")
		o, err := manifests.NewObject(u, "")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	hooks := []manifests.Object{
		object("late", "before", manifests.AnnotationWave, "2"),
		object("one", "before"), object("other", "before", manifests.AnnotationHookOnRollback, "enabled"),
		object("early", "before", manifests.AnnotationWave, "-1"), object("smoke", "after"),
	}
	for _, test := range []struct {
		name  string
		stage manifests.Hook
		done  []string
		back  bool
		want  []string
	}{
		{"the lowest wave comes first", manifests.HookBefore, nil, false, []string{"early"}},
		{"then the next, side by side", manifests.HookBefore, []string{"early"}, false, []string{"one", "other"}},
		{"what is left of a wave", manifests.HookBefore, []string{"early", "one"}, false, []string{"other"}},
		{"then the last", manifests.HookBefore, []string{"early", "one", "other"}, false, []string{"late"}},
		{"then none", manifests.HookBefore, []string{"early", "one", "other", "late"}, false, nil},
		{"each stage has its own", manifests.HookAfter, nil, false, []string{"smoke"}},
		{"on the way back those that ask for it", manifests.HookBefore, nil, true, []string{"other"}},
		{"and no others", manifests.HookAfter, nil, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var done []manifests.ID
			for _, name := range test.done {
				done = append(done, jobID(name))
			}
			var got []string
			for _, o := range due(hooks, test.stage, done, test.back) {
				got = append(got, o.ID().Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJudgeHooks(t *testing.T) {
	complete := manifests.Health{ID: jobID("a"), Condition: manifests.Healthy}
	running := manifests.Health{ID: jobID("b"), Condition: manifests.Progressing, Message: "it runs"}
	failed := manifests.Health{ID: jobID("c"), Condition: manifests.Unhealthy, Reason: "BackoffLimitExceeded", Message: "too often"}
	for _, test := range []struct {
		name    string
		reports []manifests.Health
		waited  time.Duration
		want    Verdict
	}{
		{"all complete", []manifests.Health{complete, complete}, time.Hour, Verdict{Decision: Good}},
		{"one runs", []manifests.Health{complete, running}, 20 * time.Second,
			Verdict{Open, "HookRunning", "waiting for the hook Job/shop/b: it runs", 40 * time.Second}},
		{"one runs for too long", []manifests.Health{running, complete}, time.Minute,
			Verdict{Bad, "HookFailed", "not complete within 1m0s: Job/shop/b: it runs", 0}},
		{"one has failed while another runs", []manifests.Health{running, failed}, 0,
			Verdict{Bad, "HookFailed", "Job/shop/c: BackoffLimitExceeded: too often", 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, judgeHooks(test.reports, test.waited, time.Minute)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// hooked is an agent that keeps release 1, of commit v1, with a hook before and one after.
func hooked(t testing.TB) *agent {
	t.Helper()
	w := newWorld()
	for _, image := range []string{"cart:1", "cart:2", "job:1", "job:2"} {
		w.tags["acme/"+image] = "sha256:" + strings.ReplaceAll(image, ":", "")
	}
	w.push("v1", web("cart", "acme/cart:1"), hook("migrate", "before", "acme/job:1"), hook("smoke", "after", "acme/job:1"))
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	return a
}

// writtenFrom is what was written after a call.
func (a *agent) writtenFrom(call string) []string {
	return only(a.calls[slices.Index(a.calls, call):], writes)
}

func TestHooksRunAroundAReleaseAndAnewForEach(t *testing.T) {
	a := hooked(t)
	want := []string{"Store 1", "RunHook Job/shop/migrate 1", "Mark 1 Applying", "Apply Deployment/shop/cart",
		"RunHook Job/shop/smoke 1", "Mark 1 Applying", "Mark 1 Kept, pruned"}
	if diff := cmp.Diff(want, a.writtenFrom("Store 1")); diff != "" {
		t.Error(diff)
	}
	if i := slices.Index(a.calls, "Differing"); i > slices.Index(a.calls, "Store 1") {
		t.Error("the release was not tried before its hooks ran")
	}
	t.Run("for the next release, too, also where its template is another", func(t *testing.T) {
		a.push("v2", web("cart", "acme/cart:2"), hook("migrate", "before", "acme/job:2"), hook("smoke", "after", "acme/job:1"))
		a.until("v2", manifests.Kept)
		want := []string{"Store 2", "RunHook Job/shop/migrate 2", "Mark 2 Applying", "Apply Deployment/shop/cart",
			"RunHook Job/shop/smoke 2", "Mark 2 Applying", "Mark 2 Kept, pruned"}
		if diff := cmp.Diff(want, a.writtenFrom("Store 2")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and for a git revert", func(t *testing.T) {
		a.tree["revert"], a.head = a.tree["v1"], "revert"
		a.poll()
		a.until("revert", manifests.Kept)
		if wrote := a.writtenFrom("Store 3"); !slices.Contains(wrote, "RunHook Job/shop/migrate 3") || !slices.Contains(wrote, "RunHook Job/shop/smoke 3") {
			t.Error(wrote)
		}
	})
	t.Run("but not at rest, after a restart, a look at the cluster, or when people delete or change them", func(t *testing.T) {
		from := len(a.calls)
		delete(a.live, jobID("migrate"))
		a.live[jobID("smoke")]["spec"] = "changed"
		a.drifted = true
		a.settle()
		a.restart()
		a.settle()
		if wrote := only(a.calls[from:], writes); len(wrote) > 0 {
			t.Error(wrote)
		}
	})
	t.Run("and are pruned when they have left Git", func(t *testing.T) {
		a.push("v4", web("cart", "acme/cart:1"))
		a.until("v4", manifests.Kept)
		a.settle()
		if a.live[jobID("smoke")] != nil {
			t.Error("it is there")
		}
	})
}

func TestAHookThatFailsBeforeARefusesWithNothingWritten(t *testing.T) {
	a := hooked(t)
	before := maps.Clone(a.live)
	a.tags["acme/job:2"] = "sha256:bad"
	a.push("v2", web("cart", "acme/cart:2"), config("new", "2"), hook("migrate", "before", "acme/job:2"), hook("smoke", "after", "acme/job:1"))
	a.until("v2", manifests.RolledBack)
	a.settle()
	if wrote := applied(a.writtenFrom("Store 2")); len(wrote) > 0 {
		t.Error(wrote)
	}
	delete(before, jobID("migrate"))
	delete(a.live, jobID("migrate"))
	if diff := cmp.Diff(before, a.live); diff != "" {
		t.Error(diff)
	}
	if held := a.status.Held; held.Reason != "HookFailed" || held.Message != "Job/shop/migrate: CrashLoopBackOff: it crashes" {
		t.Errorf("%+v", held)
	}
}

func TestAHookThatFailsAfterARelease(t *testing.T) {
	bad := func(a *agent) {
		a.tags["acme/job:2"] = "sha256:bad"
		a.push("v2", web("cart", "acme/cart:2"), hook("migrate", "before", "acme/job:1"), hook("smoke", "after", "acme/job:2"))
	}
	t.Run("takes it back", func(t *testing.T) {
		a := hooked(t)
		bad(a)
		a.until("v2", manifests.RolledBack)
		want := []string{"Store 2", "RunHook Job/shop/migrate 2", "Mark 2 Applying", "Apply Deployment/shop/cart", "RunHook Job/shop/smoke 2",
			"Mark 2 RollingBack", "Apply Deployment/shop/cart", "Mark 2 RollingBack, pruned", "Mark 2 RolledBack, pruned"}
		if diff := cmp.Diff(want, a.writtenFrom("Store 2")); diff != "" {
			t.Error(diff)
		}
		if a.status.Held.Reason != "HookFailed" {
			t.Errorf("%+v", a.status.Held)
		}
	})
	t.Run("refuses it for good where nothing is gone back to, and does not run again", func(t *testing.T) {
		a := hooked(t)
		a.spec.Rollback.Enabled = new(bool)
		bad(a)
		a.until("v2", manifests.Failed)
		from := len(a.calls)
		a.settle()
		a.restart()
		a.settle()
		if wrote := only(a.calls[from:], writes); len(wrote) > 0 || a.result() != manifests.Failed {
			t.Error(wrote, a.result())
		}
	})
}

func TestAReleaseWhoseHookFailedBeforeItIsNotHopedFor(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/job:1"] = "sha256:one", "sha256:bad"
	w.push("v1", web("cart", "acme/cart:1"), hook("migrate", "before", "acme/job:1"))
	a := newAgent(t, w)
	a.until("v1", manifests.Failed)
	a.settle()
	a.drifted = true
	a.restart()
	a.settle()
	if wrote := applied(a.calls); len(wrote) > 0 {
		t.Error(wrote)
	}
	if ready := a.ready(); ready.Reason != "HookFailed" {
		t.Errorf("%+v", ready)
	}
}

func TestAReleaseThatIsHealthyLateRunsItsHooksThen(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/job:1"] = "sha256:slow", "sha256:one"
	w.push("v1", web("cart", "acme/cart:1"), hook("migrate", "before", "acme/job:1"), hook("smoke", "after", "acme/job:1"))
	a := newAgent(t, w)
	a.until("v1", manifests.Failed)
	from := len(a.calls)
	a.well[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = true
	a.until("v1", manifests.Kept)
	if diff := cmp.Diff([]string{"RunHook Job/shop/smoke 1", "Mark 1 Failed", "Mark 1 Kept, pruned"}, only(a.calls[from:], writes)); diff != "" {
		t.Error(diff)
	}
}

func TestAHookThatDoesNotEndRefusesAtTheTimeout(t *testing.T) {
	a := hooked(t)
	a.tags["acme/job:2"] = "sha256:slow"
	a.push("v2", web("cart", "acme/cart:2"), hook("migrate", "before", "acme/job:2"))
	a.poll()
	if ready := a.ready(); a.status.Phase != v1alpha1.Applying || !strings.Contains(ready.Message, "waiting for the hook Job/shop/migrate") {
		t.Errorf("%s: %+v", a.status.Phase, ready)
	}
	a.passAfter(5*time.Minute - time.Second)
	if a.result() != manifests.Applying {
		t.Fatalf("%s before its time", a.result())
	}
	if wrote := only(a.passAfter(time.Second), writes); !slices.Contains(wrote, "StopHook Job/shop/migrate") {
		t.Error(wrote)
	}
	if held := a.status.Held; held.Reason != "HookFailed" || !strings.Contains(held.Message, "not complete within 5m0s") {
		t.Errorf("%+v", held)
	}
}

func TestTheTimeOfHooksIsNotThatOfTheRelease(t *testing.T) {
	a := hooked(t)
	a.tags["acme/job:2"], a.tags["acme/cart:2"] = "sha256:slow", "sha256:slow"
	a.push("v2", web("cart", "acme/cart:2"), hook("migrate", "before", "acme/job:2"))
	a.poll()
	a.passAfter(4 * time.Minute)
	a.well[jobID("migrate")] = true
	a.pass()
	a.passAfter(4 * time.Minute)
	if a.result() != manifests.Applying {
		t.Fatalf("%s: %+v", a.result(), a.status.Held)
	}
	a.passAfter(time.Minute)
	if a.result() != manifests.RollingBack || a.status.Held.Reason != "TimedOut" {
		t.Errorf("%s: %+v", a.result(), a.status.Held)
	}
}

func TestHooksOnRollback(t *testing.T) {
	on := []string{manifests.AnnotationHookOnRollback, "enabled"}
	start := func(t *testing.T) *agent {
		a := hooked(t)
		a.push("v2", web("cart", "acme/cart:1"), hook("back", "before", "acme/job:1", on...), hook("done", "after", "acme/job:1", on...), hook("smoke", "after", "acme/job:1"))
		a.until("v2", manifests.Kept)
		a.settle()
		a.tags["acme/cart:2"] = "sha256:bad"
		a.push("v3", web("cart", "acme/cart:2"), hook("back", "before", "acme/job:1", on...), hook("done", "after", "acme/job:1", on...), hook("smoke", "after", "acme/job:1"))
		return a
	}
	t.Run("run around it, those that ask for it", func(t *testing.T) {
		a := start(t)
		a.until("v3", manifests.RolledBack)
		wrote := a.writtenFrom("Mark 3 RollingBack")
		want := []string{"Mark 3 RollingBack", "RunHook Job/shop/back 3-rollback-to-2", "Mark 3 RollingBack", "Apply Deployment/shop/cart",
			"Mark 3 RollingBack, pruned", "RunHook Job/shop/done 3-rollback-to-2", "Mark 3 RollingBack, pruned", "Mark 3 RolledBack, pruned"}
		if diff := cmp.Diff(want, wrote); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("once, whenever the agent is restarted", func(t *testing.T) {
		a := start(t)
		a.after = func(string) { a.after = nil }
		for range 30 {
			a.restart()
			a.passAfter(11 * time.Second)
		}
		for _, name := range []string{"back", "done"} {
			runs := only(a.calls, func(call string) bool { return call == "RunHook Job/shop/"+name+" 3-rollback-to-2" })
			if len(runs) > 1 {
				t.Errorf("%s ran %d times", name, len(runs))
			}
		}
	})
	t.Run("fail it", func(t *testing.T) {
		a := start(t)
		a.after = func(call string) {
			if call == "RunHook Job/shop/back 3-rollback-to-2" {
				a.live[jobID("back")]["spec"] = "bad"
			}
		}
		a.until("v3", manifests.RollbackFailed)
	})
}

func TestANewerCommitInterruptsAHook(t *testing.T) {
	for name, next := range map[string][]map[string]any{
		"that it has, too":       {web("cart", "acme/cart:2"), hook("migrate", "before", "acme/job:1")},
		"that it has no more":    {web("cart", "acme/cart:2")},
		"that is no hook by now": {web("cart", "acme/cart:2"), noHook(hook("migrate", "before", "acme/job:1"))},
	} {
		t.Run(name, func(t *testing.T) {
			a := hooked(t)
			a.tags["acme/job:2"] = "sha256:slow"
			a.push("v2", web("cart", "acme/cart:1"), hook("migrate", "before", "acme/job:2"))
			a.poll()
			a.push("v3", next...)
			a.poll()
			a.until("v3", manifests.Kept)
			wrote := a.writtenFrom("Store 3")
			if len(wrote) < 2 || wrote[1] != "StopHook Job/shop/migrate" {
				t.Error(wrote)
			}
		})
	}
}

func TestASuspendedSyncLeavesItsHookAlone(t *testing.T) {
	a := hooked(t)
	a.tags["acme/job:2"] = "sha256:slow"
	a.push("v2", web("cart", "acme/cart:2"), hook("migrate", "before", "acme/job:2"))
	a.poll()
	a.spec.Suspend = true
	a.well[jobID("migrate")] = true
	if wrote := only(a.passAfter(time.Minute), writes); len(wrote) > 0 {
		t.Error(wrote)
	}
	a.spec.Suspend = false
	a.until("v2", manifests.Kept)
	if runs := only(a.calls, func(call string) bool { return call == "RunHook Job/shop/migrate 2" }); len(runs) != 1 {
		t.Errorf("it ran %d times", len(runs))
	}
}

func TestAHookThatTookItselfAwayIsNotRunAgain(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/job:1"] = "sha256:one", "sha256:job"
	w.push("v1", web("cart", "acme/cart:1"), passingHook("migrate", "before"), passingHook("smoke", "after"))
	a := newAgent(t, w)
	for range 20 {
		a.restart()
		a.passAfter(11 * time.Second)
	}
	a.until("v1", manifests.Kept)
	a.settle()
	for _, name := range []string{"migrate", "smoke"} {
		if runs := only(a.calls, func(call string) bool { return call == "RunHook Job/shop/"+name+" 1" }); len(runs) != 1 {
			t.Errorf("%s ran %d times", name, len(runs))
		}
	}
	a.push("v2", web("cart", "acme/cart:1"), config("x", "2"), passingHook("migrate", "before"), passingHook("smoke", "after"))
	a.until("v2", manifests.Kept)
	if wrote := a.writtenFrom("Store 2"); !slices.Contains(wrote, "RunHook Job/shop/migrate 2") {
		t.Error(wrote)
	}
}

// noHook is the same Job as an object like others.
func noHook(job map[string]any) map[string]any {
	delete(job["metadata"].(map[string]any), "annotations")
	return job
}
