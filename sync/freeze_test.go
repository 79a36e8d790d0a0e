// FAULTS, Rollback: 3 rollbacks within an hour.
// 3 rollbacks within an hour → frozen, until somebody says so.

package sync

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestFrozenCountsRollbacksByThemselvesWithinAnHour(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	back := manifests.Outcome{Result: manifests.RolledBack}
	byPeople := manifests.Outcome{Result: manifests.RolledBack, Request: "now"}
	thawed := manifests.Outcome{Result: manifests.RolledBack, Thawed: true}
	kept := manifests.Outcome{Result: manifests.Kept}
	failed := manifests.Outcome{Result: manifests.Failed}
	for name, test := range map[string]struct {
		every    time.Duration
		outcomes []manifests.Outcome
		want     bool
	}{
		"nothing yet":                   {time.Minute, nil, false},
		"two":                           {time.Minute, []manifests.Outcome{kept, back, back}, false},
		"three":                         {time.Minute, []manifests.Outcome{kept, back, back, back}, true},
		"three with a good one between": {time.Minute, []manifests.Outcome{back, back, kept, back}, true},
		"a good one last":               {time.Minute, []manifests.Outcome{back, back, back, kept}, false},
		"three in two hours":            {time.Hour, []manifests.Outcome{kept, back, back, back}, false},
		"three in just an hour":         {30 * time.Minute, []manifests.Outcome{kept, back, back, back}, false},
		"by people":                     {time.Minute, []manifests.Outcome{byPeople, byPeople, byPeople}, false},
		"one of them by people":         {time.Minute, []manifests.Outcome{back, byPeople, back}, false},
		"with nothing to go back to":    {time.Minute, []manifests.Outcome{failed, failed, failed}, false},
		"somebody has said so":          {time.Minute, []manifests.Outcome{back, back, thawed}, false},
		"and it went wrong again":       {time.Minute, []manifests.Outcome{back, back, thawed, back}, false},
		"three times":                   {time.Minute, []manifests.Outcome{back, back, thawed, back, back, back}, true},
		"the clock was a day ahead":     {-24 * time.Hour, []manifests.Outcome{back, back, back}, false},
		"one of them fails both ways":   {time.Minute, []manifests.Outcome{back, back, {Result: manifests.RollbackFailed}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var records []manifests.Record
			for i, outcome := range test.outcomes {
				records = append(records, manifests.Record{Number: i + 1, At: start.Add(time.Duration(i) * test.every), Outcome: outcome})
			}
			if got := frozen(records); got != test.want {
				t.Errorf("frozen is %t", got)
			}
		})
	}
}

// breakThrice has three commits rolled back, one after the other.
func breakThrice(a *agent) {
	a.t.Helper()
	for i := range 3 {
		commit := fmt.Sprintf("b%d", i)
		a.tags["acme/cart:"+commit] = "sha256:bad" + commit
		a.push(commit, web("cart", "acme/cart:"+commit))
		a.poll()
		a.until(commit, manifests.RolledBack)
	}
}

func TestThreeRollbacksInAnHourFreezeTheSync(t *testing.T) {
	a := kept(t)
	breakThrice(a)
	if !slices.Contains(a.events, "Frozen") {
		t.Errorf("the events are %v", a.events)
	}
	a.pushGood()
	a.settle()
	a.restart()
	a.settle()
	if len(a.records) != 4 || !a.out.Frozen {
		t.Errorf("%d releases, frozen %t", len(a.records), a.out.Frozen)
	}
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	ready := a.ready()
	if ready.Reason != "Frozen" || a.status.Wanted.Commit != "v2" {
		t.Errorf("ready is %+v, wanted %+v", ready, a.status.Wanted)
	}

	t.Run("until somebody says so", func(t *testing.T) {
		a.asked[v1alpha1.AnnotationRetryAt] = "now"
		a.settle()
		if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
			t.Error(diff)
		}
		if a.out.Frozen || a.status.Phase != v1alpha1.Kept {
			t.Errorf("frozen %t, %s", a.out.Frozen, a.status.Phase)
		}
	})
}

func TestAFrozenSyncLetsARevertThrough(t *testing.T) {
	a := kept(t)
	breakThrice(a)
	a.head = "v1"
	a.settle()
	if a.status.Phase != v1alpha1.Kept || a.status.Deployed.Commit != "v1" || len(a.records) != 4 {
		t.Errorf("%s, deployed %+v, %d releases", a.status.Phase, a.status.Deployed, len(a.records))
	}
}

func TestWhatCountsForAFreezeIsNotDropped(t *testing.T) {
	a := kept(t)
	a.spec.Rollback.Keep = 2
	breakThrice(a)
	if !frozen(a.records) {
		t.Errorf("not frozen, with %d records left", len(a.records))
	}
}

func TestARollbackByHandDoesNotEndAFreeze(t *testing.T) {
	a := twice(t)
	breakThrice(a)
	a.takeBack("now", "")
	a.pass()
	a.until("b2", manifests.RolledBack)
	a.push("v4", config("vars", "4"), web("cart", "acme/cart:1"))
	a.settle()
	if !a.out.Frozen {
		t.Error("it is not frozen any more")
	}
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestAFrozenSyncWhoseRollbackFailedTellsHowToGoOn(t *testing.T) {
	a := kept(t)
	for i := range 2 {
		commit := fmt.Sprintf("b%d", i)
		a.tags["acme/cart:"+commit] = "sha256:bad" + commit
		a.push(commit, web("cart", "acme/cart:"+commit))
		a.poll()
		a.until(commit, manifests.RolledBack)
	}
	a.tags["acme/cart:2"] = "sha256:bad2"
	a.push("v2", web("cart", "acme/cart:2"))
	a.refuse["Apply ConfigMap/shop/vars"] = denied
	delete(a.live, manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"})
	a.poll()
	a.until("v2", manifests.RollbackFailed)
	if ready := a.ready(); ready.Reason != "RollbackFailed" || !strings.Contains(ready.Message, "belay sync shop -n shop --retry") {
		t.Errorf("%s: %s", ready.Reason, ready.Message)
	}
	if !slices.Contains(a.events, "Frozen") {
		t.Errorf("the events are %v", a.events)
	}
}
