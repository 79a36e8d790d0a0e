package sync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAPassAtRestAsksNothing(t *testing.T) {
	a := kept(t)
	a.settle()
	before := a.status.DeepCopy()
	for range 5 {
		// Health is answered from watches.
		if diff := cmp.Diff([]string{"Health"}, a.passAfter(11*time.Second)); diff != "" {
			t.Error(diff)
		}
	}
	t.Run("and has nothing new to say", func(t *testing.T) {
		if diff := cmp.Diff(before, &a.status); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and is not due for minutes", func(t *testing.T) {
		if a.out.Next < 10*time.Minute || a.out.Next > 15*time.Minute {
			t.Errorf("the next pass is in %s", a.out.Next)
		}
	})
	t.Run("and when somebody asks", func(t *testing.T) {
		if diff := cmp.Diff([]string{"Head", "Health"}, a.poll()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestANewProcessLooksOnceWhetherTheClusterIsThere(t *testing.T) {
	a := kept(t)
	a.restart()
	want := []string{"Head", "Commit v1", "Tree v1", "Build deploy", "Place", "Load 1", "Load 1", "Differing", "Health"}
	if diff := cmp.Diff(want, a.pass()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Health"}, a.passAfter(time.Second)); diff != "" {
		t.Error(diff)
	}
}

func TestDriftIsPutRightOnce(t *testing.T) {
	id := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	for name, drift := range map[string]func(a *agent){
		"of a changed object": func(a *agent) {
			a.live[id]["spec"].(map[string]any)["replicas"] = 7
		},
		"of a deleted object": func(a *agent) { delete(a.live, id) },
	} {
		t.Run(name, func(t *testing.T) {
			a := kept(t)
			a.settle()
			drift(a)
			a.drifted = true
			want := []string{"Load 1", "Differing", "Apply Deployment/shop/cart", "Health"}
			if diff := cmp.Diff(want, a.pass()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Error(diff)
			}
			if e := a.out.Events; len(e) != 1 || e[0].Reason != "DriftCorrected" || !strings.Contains(e[0].Message, id.String()) {
				t.Errorf("the events are %+v", e)
			}
			if diff := cmp.Diff([]string{"Health"}, a.passAfter(time.Second)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAChangeThatIsNoDriftIsNotWrittenOver(t *testing.T) {
	a := kept(t)
	a.settle()
	a.drifted = true
	if diff := cmp.Diff([]string{"Load 1", "Differing", "Health"}, a.pass()); diff != "" {
		t.Error(diff)
	}
	if len(a.out.Events) > 0 {
		t.Errorf("the events are %+v", a.out.Events)
	}
}

func TestDriftIsPutRightWithGitAndTheRegistryDown(t *testing.T) {
	a := held(t)
	a.refuse["Head"], a.refuse["Pin"] = down, down
	a.passAfter(2 * time.Minute)
	delete(a.live, manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"})
	a.drifted = true
	a.pass()
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if a.status.Held == nil || a.out.Problem == nil {
		t.Errorf("held %+v, problem %+v", a.status.Held, a.out.Problem)
	}
}

func TestAKeptReleaseThatTurnsUnhealthyIsToldAndNotRolledBack(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.settle()
	a.live[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = map[string]any{"spec": "bad"}
	for range 5 {
		if wrote := only(a.passAfter(5*time.Minute), writes); len(wrote) > 0 {
			t.Errorf("wrote %v", wrote)
		}
	}
	if a.status.Phase != v1alpha1.Kept || a.status.Objects.Failed != 1 {
		t.Errorf("%s, %+v", a.status.Phase, a.status.Objects)
	}
}

func TestASuspendedSyncCallsNobody(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *agent{"that is kept": kept, "that is held": held} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			before := a.status.DeepCopy()
			a.spec.Suspend = true
			a.gen++
			a.pushGood()
			a.asked[v1alpha1.AnnotationRetryAt] = "now"
			for range 3 {
				if calls := a.passAfter(time.Hour); len(calls) > 0 {
					t.Errorf("called %v", calls)
				}
			}
			if a.out.Next != 0 {
				t.Errorf("and wants to be called again in %s", a.out.Next)
			}
			if a.status.Phase != v1alpha1.Suspended || a.status.Deployed.Commit != before.Deployed.Commit {
				t.Errorf("%s, deployed %+v", a.status.Phase, a.status.Deployed)
			}
			if diff := cmp.Diff(before.Held, a.status.Held); diff != "" {
				t.Error(diff)
			}
			t.Run("until it is resumed", func(t *testing.T) {
				a.spec.Suspend = false
				a.gen++
				a.settle()
				if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestASuspendedSyncIsJudgedFurtherWhenItIsResumed(t *testing.T) {
	a := kept(t)
	a.pushBad()
	a.tags["acme/cart:2"] = "sha256:slow"
	a.poll()
	a.spec.Suspend = true
	a.passAfter(time.Hour)
	a.spec.Suspend = false
	a.until("v2", manifests.RolledBack)
	a.settle()
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestRemoveDeletesTheLastTierFirst(t *testing.T) {
	remove := func(a *agent) ([]string, time.Duration, *Problem) {
		from := len(a.calls)
		wait, problem := a.syncer.Remove(a.t.Context(), Want{Spec: a.spec})
		return only(a.calls[from:], touches), wait, problem
	}
	t.Run("with all that ever was applied", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.poll() // and is not judged yet
		got, wait, problem := remove(a)
		want := []string{"Delete Deployment/shop/cart", "Delete ConfigMap/shop/new", "Delete ConfigMap/shop/old", "Delete ConfigMap/shop/vars"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if wait != 0 || problem != nil || len(a.live) > 0 {
			t.Errorf("wait %s, problem %+v, left %v", wait, problem, a.inLive())
		}
	})
	t.Run("in the middle of a rollback and by another process", func(t *testing.T) {
		a := kept(t)
		a.pushBad()
		a.poll()
		a.restart()
		a.refuse["Head"], a.refuse["Pin"] = down, down
		if _, wait, problem := remove(a); wait != 0 || problem != nil || len(a.live) > 0 {
			t.Errorf("wait %s, problem %+v, left %v", wait, problem, a.inLive())
		}
	})
	t.Run("again, when it is not gone yet", func(t *testing.T) {
		a := kept(t)
		vars := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"}
		a.stuck[vars] = true
		_, wait, problem := remove(a)
		if wait < time.Second || problem == nil || problem.Reason != "PruneUnfinished" || !strings.Contains(problem.Message, vars.String()) {
			t.Errorf("wait %s, problem %+v", wait, problem)
		}
		said := problem.Deleting(a.status, 2, a.now)
		if got := said.Conditions[0]; got.Type != v1alpha1.Ready || got.Reason != "PruneUnfinished" || !strings.HasPrefix(got.Message, "deleting: ") {
			t.Errorf("it says %+v", got)
		}
		delete(a.stuck, vars)
		if got, wait, problem := remove(a); wait != 0 || problem != nil {
			t.Errorf("deleted %v, wait %s, problem %+v", got, wait, problem)
		}
	})
	t.Run("and where pruning is disabled lets go of them instead", func(t *testing.T) {
		a := kept(t)
		no := false
		a.spec.Apply.Prune = &no
		got, wait, problem := remove(a)
		slices.Sort(got) // they are let go of in any order
		want := []string{"LetGo ConfigMap/shop/old", "LetGo ConfigMap/shop/vars", "LetGo Deployment/shop/cart"}
		if diff := cmp.Diff(want, got); diff != "" || wait != 0 || problem != nil {
			t.Errorf("%s wait %s, problem %+v", diff, wait, problem)
		}
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("nor where nothing was deployed", func(t *testing.T) {
		a := newAgent(t, newWorld())
		if got, wait, problem := remove(a); len(got) > 0 || wait != 0 || problem != nil {
			t.Errorf("deleted %v, wait %s, problem %+v", got, wait, problem)
		}
	})
}

// seed is a Job that takes itself away once it is done.
func seed() map[string]any {
	return map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "seed"}, "spec": map[string]any{"ttlSecondsAfterFinished": int64(60)}}
}

func TestAJobThatTookItselfAwayIsNotRunAgain(t *testing.T) {
	id := manifests.ID{Group: "batch", Kind: "Job", Namespace: "shop", Name: "seed"}
	w := newWorld()
	w.push("v1", config("vars", "1"), seed())
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	a.settle()
	delete(a.live, id)
	for name, happen := range map[string]func(){
		"when that is seen":  func() { a.drifted = true },
		"by another process": func() { a.restart() },
		"when others are drift": func() {
			delete(a.live, manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"})
			a.drifted = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			happen()
			a.settle()
			if diff := cmp.Diff([]string{"ConfigMap/shop/vars 1"}, a.inLive()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
