// FAULTS, Agent: clock off by a day.
// The clock is off by a day → no effect on deadlines or order.

package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

// Within a process time.Now goes by the monotonic clock. What survives a restart is when releases were stored, by
// whatever the clock said.
func TestAClockThatIsOffByADayHasNoEffect(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 24 * time.Hour, "behind": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			a := kept(t)
			a.now = a.now.Add(off)
			a.restart()
			a.settle()
			if len(a.records) != 1 || a.status.Deployed.Release != 1 {
				t.Errorf("%d releases, deployed %+v", len(a.records), a.status.Deployed)
			}
			a.pushBad()
			a.poll()
			a.now = a.now.Add(-off)
			a.restart() // in the middle of it
			began := a.now
			a.until("v2", manifests.RolledBack)
			if took := a.now.Sub(began); took > time.Minute {
				t.Errorf("rolled back after %s", took)
			}
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Error(diff)
			}
			a.mend()
			a.push("v3", config("vars", "2"), web("cart", "acme/cart:2"), config("new", "2"))
			a.settle()
			if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
				t.Error(diff)
			}
			if newest := a.records[len(a.records)-1]; newest.Number != 3 || newest.Outcome.Result != manifests.Kept {
				t.Errorf("the newest is %+v", newest)
			}
		})
	}
}
