package sync

import (
	"fmt"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// Verdict is what is to become of a release.
type Verdict struct {
	Decision Decision
	Reason   string // a CamelCase word; empty when good
	Message  string // the object that decided it, and how it is
	// Wait is how long the verdict holds if nothing else happens; 0 once decided.
	Wait time.Duration
}

// Decision is open until a release is good or bad.
type Decision string

// The decisions.
const (
	Open Decision = "Open"
	Good Decision = "Good"
	Bad  Decision = "Bad"
)

// patience is what a release is judged by.
type patience struct {
	timeout   time.Duration // how long it may take to become healthy
	stableFor time.Duration // how long it must stay so
}

// judge says what makes a release good: every object healthy, without a break for stableFor. One failed object
// makes it bad at once, for waiting does not mend it; so does the timeout while anything is still on its way.
// Time spent being stable does not count against the timeout.
//
// waited is the time since the objects were written, stable since all of them have been healthy (0 if they are
// not).
func judge(reports []manifests.Health, waited, stable time.Duration, p patience) Verdict {
	var pending *manifests.Health
	ready := 0
	for _, report := range reports {
		switch {
		case report.Bad():
			return Verdict{Decision: Bad, Reason: report.Reason, Message: told(report)}
		case report.Good():
			ready++
		case pending == nil || pending.Reason == "":
			pending = &report
		}
	}
	switch {
	case pending != nil && waited >= p.timeout:
		return Verdict{Decision: Bad, Reason: "TimedOut",
			Message: fmt.Sprintf("not healthy within %s: %s", p.timeout, told(*pending))}
	case pending != nil:
		return Verdict{Decision: Open, Reason: "Progressing", Wait: p.timeout - waited,
			Message: fmt.Sprintf("%d of %d objects healthy, waiting for %s", ready, len(reports), told(*pending))}
	case stable < p.stableFor:
		return Verdict{Decision: Open, Reason: "Stabilizing", Wait: p.stableFor - stable,
			Message: fmt.Sprintf("%d of %d objects healthy, to stay so for %s", ready, len(reports), p.stableFor)}
	}
	return Verdict{Decision: Good}
}

// allHealthy tells whether nothing is awaited.
func allHealthy(reports []manifests.Health) bool {
	for _, report := range reports {
		if !report.Good() {
			return false
		}
	}
	return true
}

func told(h manifests.Health) string {
	switch {
	case h.Message == "":
		return fmt.Sprintf("%s: %s", h.ID, h.Reason)
	case h.Reason == "":
		return fmt.Sprintf("%s: %s", h.ID, h.Message)
	}
	return fmt.Sprintf("%s: %s: %s", h.ID, h.Reason, h.Message)
}
