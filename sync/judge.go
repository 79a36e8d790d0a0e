package sync

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// Verdict is what is to become of a release.
type Verdict struct {
	Decision Decision
	Reason   string // a CamelCase word; empty when good
	Message  string // the object that decided it, and how it is
	// Wait is how long the verdict holds if nothing else happens; 0 once decided, and while people are waited for.
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

// failingStands is how long an object that is no workload has to have failed before that counts. Most of them have
// controllers that try again, and fail while what they refer to in the same commit, a Secret or a Service, is on its way.
const failingStands = 10 * time.Second

// flapsTooOften is how often an object may stop being healthy again and still be taken for disturbed from outside.
const flapsTooOften = 3

// moment is what time has made of a release.
type moment struct {
	// waited is the time since its objects were written, without that in which people alone were waited for.
	waited time.Duration
	// calm is what waited was when all of it was healthy the last time, or people alone were waited for; 0 for never.
	calm time.Duration
	// stable is since when all of it is healthy, without a break; 0 if it is not.
	stable time.Duration
	// flaps is how often each object has been healthy, and then not.
	flaps map[manifests.ID]int
	// failing is for how long each object has failed without a break.
	failing map[manifests.ID]time.Duration
}

// deadline is when patience with what is not healthy ends. A release that was all healthy and is disturbed then, as by
// a node that is drained, has the timeout anew from its last healthy moment, up to twice the timeout in all. What flaps
// is disturbed by nobody: it has the timeout once.
func (m moment) deadline(timeout time.Duration, flapping bool) time.Duration {
	if flapping || m.calm == 0 {
		return timeout
	}
	return min(m.calm+timeout, 2*timeout)
}

// judge says what makes a release good: every object healthy, without a break for stableFor. One failed object
// makes it bad, for waiting does not mend it: a workload at once, another once it stands and no workload that it may
// wait for is on its way ([tallyOf]). So does the end of the patience with one that is on its way ([moment.deadline]).
// Time spent being stable does not count against the timeout. What only people can bring on has no deadline.
func judge(reports []manifests.Health, m moment, p patience) Verdict {
	t := tallyOf(reports, m.failing)
	switch {
	case len(t.failed) > 0:
		first := telling(t.failed)
		return Verdict{Decision: Bad, Reason: cmp.Or(first.Reason, string(first.Condition)), Message: told(first)}
	case len(t.pending) > 0:
		return judgePending(t, m, p)
	case len(t.people) > 0:
		return t.open("Suspended", "waiting for people to go on with "+told(telling(t.people)), 0)
	case m.stable < p.stableFor:
		return judgeUnstable(t, m, p)
	}
	return Verdict{Decision: Good}
}

// judgePending judges a release with objects on their way.
func judgePending(t tally, m moment, p patience) Verdict {
	flapping := flappers(t.pending, m.flaps)
	end := m.deadline(p.timeout, len(flapping) > 0)
	first := telling(t.pending)
	switch {
	case m.waited < end:
		return t.open("Progressing", "waiting for "+told(first), end-m.waited)
	case len(flapping) > 0:
		return flapped(telling(flapping), m, p)
	case end > p.timeout:
		return Verdict{Decision: Bad, Reason: "TimedOut", Message: fmt.Sprintf("not healthy again within %s: %s", end-m.calm, told(first))}
	}
	return Verdict{Decision: Bad, Reason: "TimedOut", Message: fmt.Sprintf("not healthy within %s: %s", p.timeout, told(first))}
}

// judgeUnstable judges a release that is all healthy, and not for long enough yet. It may become stable after the end
// of its time if it became healthy before.
func judgeUnstable(t tally, m moment, p patience) Verdict {
	flapping := flappers(t.reports, m.flaps)
	became := m.waited - m.stable
	switch {
	case len(flapping) > 0 && became > p.timeout:
		return flapped(telling(flapping), m, p)
	case len(m.flaps) > 0 && became > 2*p.timeout:
		return flapped(restless(t.reports, m.flaps), m, p)
	}
	return t.open("Stabilizing", fmt.Sprintf("to stay so for %s", p.stableFor), p.stableFor-m.stable)
}

// flapped refuses a release for an object that does not stay healthy.
func flapped(h manifests.Health, m moment, p patience) Verdict {
	return Verdict{Decision: Bad, Reason: "Flapping", Message: fmt.Sprintf("%s was healthy and then not, %d times within %s, and did not stay so for %s%s",
		h.ID, m.flaps[h.ID], m.waited.Round(time.Second), p.stableFor, last(h))}
}

// last is how a flapping object was seen at last.
func last(h manifests.Health) string {
	if h.Good() || h.Reason+h.Message == "" {
		return ""
	}
	return "; the last time: " + strings.TrimPrefix(told(h), h.ID.String()+": ")
}

// flappers are those of the objects that were healthy and then not, too often for a disturbance.
func flappers(reports []manifests.Health, flaps map[manifests.ID]int) []manifests.Health {
	return slices.DeleteFunc(slices.Clone(reports), func(h manifests.Health) bool { return flaps[h.ID] < flapsTooOften })
}

// restless is the object that has flapped most.
func restless(reports []manifests.Health, flaps map[manifests.ID]int) manifests.Health {
	return slices.MaxFunc(reports, func(a, b manifests.Health) int { return flaps[a.ID] - flaps[b.ID] })
}

// tally is reports by what they mean for the release.
type tally struct {
	reports                 []manifests.Health
	failed, pending, people []manifests.Health
	again                   time.Duration // when the first of them would be judged otherwise by itself; 0 for never
}

// tallyOf sorts reports. What has failed and is no workload is pending until it has failed for failingStands, and
// until no workload is on its way.
func tallyOf(reports []manifests.Health, failing map[manifests.ID]time.Duration) tally {
	t := tally{reports: reports}
	var others []manifests.Health // failed, and no workloads
	awaited := false
	for _, report := range reports {
		t.turns(report.Again)
		isWorkload := manifests.IsWorkload(report.ID.GroupKind())
		awaited = awaited || isWorkload && !report.Good() && !report.Bad()
		switch {
		case report.Bad() && isWorkload:
			t.failed = append(t.failed, report)
		case report.Bad():
			others = append(others, report)
		case report.Good():
		case report.Bearing == manifests.Patient:
			t.people = append(t.people, report)
		default:
			t.pending = append(t.pending, report)
		}
	}
	for _, report := range others {
		left := failingStands - failing[report.ID]
		if left <= 0 && !awaited {
			t.failed = append(t.failed, report)
			continue
		}
		t.pending = append(t.pending, report)
		t.turns(left)
	}
	return t
}

// turns notes that something would be judged otherwise after so long.
func (t *tally) turns(after time.Duration) {
	if after > 0 && (t.again == 0 || after < t.again) {
		t.again = after
	}
}

// open leaves the question open for as long as wait, 0 for no end, or until an object is judged otherwise by itself.
func (t tally) open(reason, message string, wait time.Duration) Verdict {
	if t.again > 0 && (wait == 0 || t.again < wait) {
		wait = t.again
	}
	ready := len(t.reports) - len(t.failed) - len(t.pending) - len(t.people)
	return Verdict{Decision: Open, Reason: reason, Wait: wait, Message: fmt.Sprintf("%d of %d objects healthy, %s", ready, len(t.reports), message)}
}

// allHealthy tells whether nothing is awaited.
func allHealthy(reports []manifests.Health) bool {
	return !slices.ContainsFunc(reports, func(h manifests.Health) bool { return !h.Good() })
}

// followers are kinds that become healthy because others do: what holds them up is told of those.
var followers = map[schema.GroupKind]bool{
	{Kind: "Service"}:   true,
	{Kind: "Endpoints"}: true,
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:      true,
	{Group: "networking.k8s.io", Kind: "Ingress"}:           true,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: true,
	{Group: "policy", Kind: "PodDisruptionBudget"}:          true,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:   true,
}

// telling is the object that tells most of why a release is not healthy: one that has failed, then a workload before the
// Service in front of it, then one with a reason; otherwise the first.
func telling(reports []manifests.Health) manifests.Health {
	rank := func(h manifests.Health) (rank int) {
		if h.Condition != manifests.Unhealthy {
			rank += 4
		}
		if followers[h.ID.GroupKind()] {
			rank += 2
		}
		if h.Reason == "" {
			rank++
		}
		return rank
	}
	return slices.MinFunc(reports, func(a, b manifests.Health) int { return rank(a) - rank(b) })
}

func told(h manifests.Health) string {
	switch {
	case h.Message == "" && h.Reason == "":
		return fmt.Sprintf("%s: %s", h.ID, h.Condition)
	case h.Message == "":
		return fmt.Sprintf("%s: %s", h.ID, h.Reason)
	case h.Reason == "":
		return fmt.Sprintf("%s: %s", h.ID, h.Message)
	}
	return fmt.Sprintf("%s: %s: %s", h.ID, h.Reason, h.Message)
}
