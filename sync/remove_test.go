package sync

// FAULTS "Agent": a Sync is deleted, and its objects go, whatever holds some of them up.

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

// deployed is an agent whose Sync has kept a custom resource, a Deployment and two ConfigMaps.
func deployed(t *testing.T) *agent {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	pin := map[string]any{"apiVersion": "example.com/v1", "kind": "Rope", "metadata": map[string]any{"name": "pin"}}
	w.push("v1", config("a", "1"), config("b", "1"), web("cart", "acme/cart:1"), pin)
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	return a
}

// remove makes one call, after a while, and answers what it deleted.
func (a *agent) remove(after time.Duration) (deleted []string, problem *Problem) {
	a.t.Helper()
	a.now = a.now.Add(after)
	from := len(a.calls)
	wait, problem := a.syncer.Remove(a.t.Context(), Want{Spec: a.spec})
	if (wait > 0) != (problem != nil) {
		a.t.Errorf("wait %s with the problem %+v", wait, problem)
	}
	return only(a.calls[from:], touches), problem
}

var (
	rope = manifests.ID{Group: "example.com", Kind: "Rope", Namespace: "shop", Name: "pin"}
	cart = manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
)

const (
	deleteRope = "Delete Rope/shop/pin"
	deleteCart = "Delete Deployment/shop/cart"
	deleteA    = "Delete ConfigMap/shop/a"
	deleteB    = "Delete ConfigMap/shop/b"
)

func TestEachTierGoesOnceTheOneBeforeIsGone(t *testing.T) {
	a := deployed(t)
	a.stuck[rope] = true
	for range 3 {
		if got, problem := a.remove(time.Minute); !cmp.Equal(got, []string{deleteRope}) || problem == nil {
			t.Errorf("deleted %v, problem %+v", got, problem)
		}
	}
	delete(a.stuck, rope)
	if got, problem := a.remove(time.Second); !cmp.Equal(got, []string{deleteRope, deleteCart, deleteA, deleteB}) || problem != nil {
		t.Errorf("deleted %v, problem %+v", got, problem)
	}
}

func TestATierThatStaysForTheTimeoutHoldsTheOthersUpNoLonger(t *testing.T) {
	for name, hold := range map[string]func(*agent){
		"by a finalizer": func(a *agent) { a.stuck[rope] = true },
		"by a policy":    func(a *agent) { a.refuse[deleteRope] = denied },
	} {
		t.Run(name, func(t *testing.T) {
			a := deployed(t)
			hold(a)
			a.remove(0)
			got, problem := a.remove(a.spec.Health.Timeout.Duration + time.Second)
			if !cmp.Equal(got, []string{deleteRope, deleteCart, deleteA, deleteB}) || problem == nil {
				t.Errorf("deleted %v, problem %+v", got, problem)
			}
			if got, problem := a.remove(time.Hour); !cmp.Equal(got, []string{deleteRope}) || problem == nil {
				t.Errorf("afterwards deleted %v, problem %+v", got, problem)
			}
		})
	}
}

func TestProgressGivesTheNextTierItsTime(t *testing.T) {
	a := deployed(t)
	a.stuck[rope], a.stuck[cart] = true, true
	a.remove(0)
	delete(a.stuck, rope)
	almost := a.spec.Health.Timeout.Duration - time.Second
	a.remove(almost)
	if got, _ := a.remove(almost); !cmp.Equal(got, []string{deleteCart}) {
		t.Errorf("deleted %v", got)
	}
	if got, _ := a.remove(time.Second); !cmp.Equal(got, []string{deleteCart, deleteA, deleteB}) {
		t.Errorf("after the time deleted %v", got)
	}
}

func TestWithoutReleasesWhatBearsTheLabelsGoes(t *testing.T) {
	a := deployed(t)
	a.records, a.releases = nil, nil
	a.restart()
	if _, problem := a.remove(0); problem != nil || len(a.live) > 0 {
		t.Errorf("problem %+v, left %v", problem, a.inLive())
	}
}

func TestWhatIsFreedIsTriedAgain(t *testing.T) {
	a := newAgent(t, newWorld())
	a.push("v1", config("a", "1"))
	a.refuse["Differing"] = fault{reason: "OwnedByAnother"}
	a.poll()
	if a.out.Problem == nil || a.out.Problem.Reason != "OwnedByAnother" {
		t.Fatalf("the problem is %+v", a.out.Problem)
	}
	delete(a.refuse, "Differing")
	if wrote := only(a.pass(), writes); len(wrote) > 0 {
		t.Errorf("wrote %v before it was freed", wrote)
	}
	a.syncer.Sync(t.Context(), Want{Spec: a.spec, Freed: true})
	if diff := cmp.Diff([]string{"ConfigMap/shop/a 1"}, a.inLive()); diff != "" {
		t.Error(diff)
	}
}
