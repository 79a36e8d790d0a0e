// FAULTS, Health: flapping; pod evicted, node drained.

package sync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

// step is how a Deployment is from a second on.
type step struct {
	at     int
	health string // "good", "good since 7", "going", "bad", "people"
}

// of is the health that a step tells of an object.
func (s step) of(name string, begun time.Time) manifests.Health {
	h := manifests.Health{ID: manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: name}}
	var since int
	switch {
	case s.health == "good":
		h.Condition = manifests.Healthy
	case strings.HasPrefix(s.health, "good since "):
		_, _ = fmt.Sscanf(s.health, "good since %d", &since)
		h.Condition, h.Since = manifests.Healthy, begun.Add(time.Duration(since)*time.Second)
	case s.health == "bad":
		h.Condition, h.Reason = manifests.Unhealthy, "CrashLoopBackOff"
	case s.health == "people":
		h.Condition, h.Bearing, h.Message = manifests.Suspended, manifests.Patient, "spec.paused is true; kubectl rollout resume"
	default:
		h.Condition, h.Message = manifests.Progressing, "0 of 1 pods are ready"
	}
	return h
}

// play judges a release of one Deployment as passes would: whenever the health changes, and when the verdict's wait is
// over. It answers the verdict, and in which second it came; with an open one, that of the last pass.
func play(steps []step, p patience) (Verdict, int) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &Syncer{Clock: func() time.Time { return begun }}
	s.begin(1, nil)
	second := func(n int) time.Time { return begun.Add(time.Duration(n) * time.Second) }
	at, next := steps[0].at, 1
	for range 1000 {
		report := steps[next-1].of("cart", begun)
		s.memory.course.note([]manifests.Health{report}, true, second(at))
		verdict := judge([]manifests.Health{report}, s.memory.course.moment(second(at)), p)
		due := at + int((verdict.Wait+time.Second-1)/time.Second)
		switch {
		case verdict.Decision != Open, verdict.Wait == 0 && next == len(steps):
			return verdict, at
		case next < len(steps) && (verdict.Wait == 0 || steps[next].at <= due):
			at = steps[next].at
			next++
		default:
			at = due
		}
	}
	panic("it is never judged")
}

// With a timeout of 60 seconds, and 10 to be stable.
func TestTheOrderOfEventsAtTheDeadline(t *testing.T) {
	const never = "Deployment/shop/cart: 0 of 1 pods are ready"
	good := Verdict{Decision: Good}
	timedOut := func(message string) Verdict { return Verdict{Decision: Bad, Reason: "TimedOut", Message: message} }
	for _, test := range []struct {
		name  string
		steps []step
		want  Verdict
		at    int
	}{
		{"healthy at once, and for long enough", []step{{0, "good"}}, good, 10},
		{"healthy in between, with nothing said while it is not", []step{{0, "going"}, {30, "good"}}, good, 40},
		{"never healthy", []step{{0, "going"}}, timedOut("not healthy within 1m0s: " + never), 60},
		{"healthy as the time ends, and not for long enough yet", []step{{0, "going"}, {59, "good"}}, good, 69},
		{"healthy just when the time ends", []step{{0, "going"}, {60, "good"}}, good, 70},
		{"healthy when the time was over: the agent came late", []step{{61, "good"}}, good, 71},
		{"failed while it was to become stable", []step{{0, "good"}, {9, "bad"}}, Verdict{Decision: Bad, Reason: "CrashLoopBackOff", Message: "Deployment/shop/cart: CrashLoopBackOff"}, 9},
		{"failed after the time, while it was to become stable", []step{{0, "going"}, {59, "good"}, {65, "bad"}},
			Verdict{Decision: Bad, Reason: "CrashLoopBackOff", Message: "Deployment/shop/cart: CrashLoopBackOff"}, 65},
		{"disturbed: stable anew from then on", []step{{0, "good"}, {8, "going"}, {12, "good"}}, good, 22},
		{"disturbed just before the end, and healthy again after it", []step{{0, "going"}, {47, "good"}, {55, "going"}, {70, "good"}}, good, 80},
		{"disturbed just after the end", []step{{0, "going"}, {59, "good"}, {62, "going"}, {80, "good"}}, good, 90},
		{"disturbed, and never healthy again: the timeout from the last healthy moment", []step{{0, "going"}, {20, "good"}, {25, "going"}},
			timedOut("not healthy again within 1m0s: " + never), 85},
		{"disturbed late, and never healthy again: at most twice the timeout", []step{{0, "going"}, {59, "good"}, {65, "going"}, {110, "good"}, {112, "going"}},
			timedOut("not healthy again within 8s: " + never), 120},
		{"healthy as twice the time ends", []step{{0, "going"}, {59, "good"}, {65, "going"}, {115, "good"}}, good, 125},
		{"flapping within the time, and stable before its end", []step{{0, "good"}, {2, "going"}, {4, "good"}, {6, "going"}, {8, "good"}, {10, "going"}, {12, "good"}, {14, "going"}, {20, "good"}}, good, 30},
		{"flapping within the time, and not healthy as it ends", []step{{0, "good"}, {5, "going"}, {10, "good"}, {15, "going"}, {50, "good"}, {58, "going"}},
			Verdict{Decision: Bad, Reason: "Flapping", Message: "Deployment/shop/cart was healthy and then not, 3 times within 1m0s, and did not stay so for 10s; the last time: 0 of 1 pods are ready"}, 60},
		{"flapping within the time, and healthy as it ends: it may become stable", []step{{0, "good"}, {5, "going"}, {10, "good"}, {15, "going"}, {40, "good"}, {45, "going"}, {55, "good"}}, good, 65},
		{"flapping past the time: refused with the next flap", []step{{0, "good"}, {5, "going"}, {10, "good"}, {15, "going"}, {40, "good"}, {45, "going"}, {55, "good"}, {62, "going"}},
			Verdict{Decision: Bad, Reason: "Flapping", Message: "Deployment/shop/cart was healthy and then not, 4 times within 1m2s, and did not stay so for 10s; the last time: 0 of 1 pods are ready"}, 62},
		{"flapping slowly: the third time past the end is one too many", []step{{0, "going"}, {50, "good"}, {55, "going"}, {70, "good"}, {75, "going"}, {90, "good"}, {95, "going"}},
			Verdict{Decision: Bad, Reason: "Flapping", Message: "Deployment/shop/cart was healthy and then not, 3 times within 1m35s, and did not stay so for 10s; the last time: 0 of 1 pods are ready"}, 95},
		{"flapping between the passes: only watches saw it", []step{{0, "good since 0"}, {9, "good since 8"}, {17, "good since 16"}, {25, "good since 24"}, {33, "good since 32"}}, good, 42},
		{"flapping between the passes, past the end", []step{{0, "good since 0"}, {9, "good since 8"}, {17, "good since 16"}, {26, "good since 24"}, {33, "good since 32"}, {42, "good since 40"},
			{50, "good since 48"}, {58, "good since 56"}, {65, "good since 64"}},
			Verdict{Decision: Bad, Reason: "Flapping", Message: "Deployment/shop/cart was healthy and then not, 8 times within 1m5s, and did not stay so for 10s"}, 65},
		{"people are waited for, for as long as it takes", []step{{0, "people"}, {5000, "people"}},
			Verdict{Decision: Open, Reason: "Suspended", Message: "0 of 1 objects healthy, waiting for people to go on with Deployment/shop/cart: spec.paused is true; kubectl rollout resume"}, 5000},
		{"people went on: it has time then", []step{{0, "people"}, {5000, "going"}, {5050, "good"}}, good, 5060},
		{"people went on, and nothing comes of it", []step{{0, "going"}, {20, "people"}, {5000, "going"}}, timedOut("not healthy again within 1m0s: " + never), 5060},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, at := play(test.steps, patience{timeout: time.Minute, stableFor: 10 * time.Second})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if at != test.at {
				t.Errorf("judged in second %d, want %d", at, test.at)
			}
		})
	}
}

// Whatever an object does: it is judged in the end, and it is kept only after ten seconds without a break.
func TestWhatFlapsIsNeverKept(t *testing.T) {
	for period := 1; period <= 9; period++ {
		for pause := 1; pause <= 70; pause++ {
			var steps []step
			for at := 0; at < 400; at += period + pause {
				steps = append(steps, step{at, "good"}, step{at + period, "going"})
			}
			verdict, at := play(steps, patience{timeout: time.Minute, stableFor: 10 * time.Second})
			if verdict.Decision != Bad || at < 60 || at > 130 {
				t.Errorf("healthy for %d s, then not for %d s: %+v in second %d", period, pause, verdict, at)
			}
		}
	}
}

func TestTheTimeOfASuspensionIsNotThatOfARelease(t *testing.T) {
	suspend := func(a *agent) {
		a.spec.Suspend = true
		a.pass()
		a.passAfter(time.Hour)
		a.spec.Suspend = false
		a.pass()
	}
	// It has the rest of its five minutes.
	inTime := func(t *testing.T, a *agent, before manifests.Result) {
		t.Helper()
		a.passAfter(4 * time.Minute)
		if a.result() != before {
			t.Fatalf("%s: %+v", a.result(), a.status.Held)
		}
		a.passAfter(90 * time.Second)
		if a.result() == before {
			t.Error("it has no deadline")
		}
	}
	t.Run("between two waves", func(t *testing.T) {
		a := kept(t)
		a.tags["acme/cart:2"], a.tags["acme/cart:3"] = "sha256:slow", "sha256:slow"
		a.push("v2", web("cart", "acme/cart:2"), inWave("1", web("late", "acme/cart:3")))
		a.poll()
		a.well[cart] = true
		suspend(a)
		inTime(t, a, manifests.Applying)
	})
	t.Run("while a hook runs", func(t *testing.T) {
		a := hooked(t)
		a.tags["acme/job:2"] = "sha256:slow"
		a.push("v2", web("cart", "acme/cart:2"), hook("migrate", "before", "acme/job:2"))
		a.poll()
		suspend(a)
		inTime(t, a, manifests.Applying)
	})
	t.Run("while people are waited for", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.is[cart] = suspended
		a.after = func(call string) {
			if call == "Apply Deployment/shop/cart" {
				a.is[cart] = suspended
			}
		}
		a.poll()
		a.after = nil
		suspend(a)
		a.is[cart] = notReady
		a.pass()
		inTime(t, a, manifests.Applying)
	})
	t.Run("while a kept release is watched on", func(t *testing.T) {
		a := watching(t)
		a.is[cart] = notReady
		a.pass()
		suspend(a)
		inTime(t, a, manifests.Kept)
	})
}
