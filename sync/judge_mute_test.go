package sync

import (
	"testing"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// A custom resource without a status is waited for, and not for ever: nobody may look after it. The time runs while no
// workload, which may be its controller, is on its way.
func TestWhatNobodyGivesAStatusIsNotWaitedForForEver(t *testing.T) {
	type look struct {
		at       int    // seconds
		workload string // "good" or "going"
		status   bool   // the custom resource has one by now, and is on its way
		waits    bool   // the release does
		again    int    // seconds
	}
	for name, looks := range map[string][]look{
		"it has its time":                 {{0, "good", false, true, 30}, {10, "good", false, true, 20}, {30, "good", false, false, 0}, {40, "good", false, false, 0}},
		"from when workloads are ready":   {{0, "going", false, true, 0}, {100, "good", false, true, 30}, {130, "good", false, false, 0}},
		"a workload begins anew":          {{0, "good", false, true, 30}, {20, "going", false, true, 0}, {40, "good", false, true, 30}, {70, "good", false, false, 0}},
		"it is not asked a second time":   {{0, "good", false, true, 30}, {30, "good", false, false, 0}, {40, "going", false, false, 0}, {50, "good", false, false, 0}},
		"a status comes, and is believed": {{0, "good", false, true, 30}, {30, "good", false, false, 0}, {40, "good", true, true, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			s := &Syncer{Clock: func() time.Time { return begun }}
			s.begin(1, nil)
			for _, l := range looks {
				reports := []manifests.Health{
					step{health: l.workload}.of("operator", begun),
					{ID: manifests.ID{Group: "example.org", Kind: "Db", Namespace: "shop", Name: "db"}, Condition: manifests.Progressing, Reason: manifests.ReasonNoStatus},
				}
				if l.status {
					reports[1].Reason = ""
				}
				got := s.memory.course.answered(reports, reports, begun.Add(time.Duration(l.at)*time.Second))[1]
				if waits := !got.Good(); waits != l.waits || got.Again != time.Duration(l.again)*time.Second {
					t.Errorf("after %d s: waits %t, again after %s; want %t and %d s", l.at, waits, got.Again, l.waits, l.again)
				}
			}
		})
	}
}
