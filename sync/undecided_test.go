package sync

// FAULTS "Apply": an object that moved from one Sync to another is handed over: a Sync that has yet to see what its newest
// commit holds is not taken for one that has.

import (
	"testing"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

func TestAPruneThatWaitsIsNoDecisionOnTheNewestCommit(t *testing.T) {
	a := deployed(t)
	pending := fault{reason: "HandOverPending", temporary: true}
	a.push("v2", config("a", "1"))
	a.refuse["Delete"] = pending
	a.poll()
	a.passAfter(time.Minute)
	a.passAfter(time.Minute)
	if got := a.syncer.memory.disposition; !a.out.Decided || a.out.Undecided != nil || a.result() != manifests.Kept {
		t.Fatalf("v2 is %s, decided %t: %+v", got, a.out.Decided, a.out.Undecided)
	}
	a.push("v3", config("a", "1"), config("moved", "1"))
	a.refuse["Tree v3"] = fault{reason: "GitUnavailable", temporary: true}
	a.poll()
	if a.out.Problem == nil || a.out.Problem.Reason != pending.reason {
		t.Fatalf("the prune does not wait: %+v", a.out.Problem)
	}
	if a.out.Decided || a.out.Undecided == nil || a.out.Undecided.Reason != "GitUnavailable" {
		t.Errorf("v3 is decided (%t) or undecided for another reason: %+v", a.out.Decided, a.out.Undecided)
	}
	a.refuse = map[string]error{"Differing": pending}
	a.poll()
	if a.out.Undecided == nil || a.out.Undecided.Reason != pending.reason {
		t.Errorf("what waits for another to let go is undecided for another reason: %+v", a.out.Undecided)
	}
}
