package sync

import (
	"testing"
	"time"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAnswersCountFromWhenTheCommitWasSeen(t *testing.T) {
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	never := time.Time{}
	for _, test := range []struct {
		name string
		sighting
		attempt
		want time.Time
	}{
		{"by this Sync, at its first look", sighting{at(5), never, at(5)}, attempt{now: at(6)}, at(5)},
		{"by another, before this one's first look", sighting{at(3), never, at(5)}, attempt{now: at(6)}, at(3)},
		{"by another, since this one's last look", sighting{at(3), at(2), at(5)}, attempt{now: at(6)}, at(3)},
		{"but not before this one's last look: the ref moved back", sighting{at(1), at(2), at(5)}, attempt{now: at(6)}, at(5)},
		{"nor with it", sighting{at(2), at(2), at(5)}, attempt{now: at(6)}, at(5)},
		{"nor at no time at all", sighting{never, never, at(5)}, attempt{now: at(6)}, at(5)},
		{"and from now, when it is tried again", sighting{at(3), at(2), at(5)}, attempt{now: at(6), again: true}, at(6)},
		{"or when that is asked of a new process", sighting{at(3), never, at(5)}, attempt{now: at(6), again: true, followed: time.Minute}, at(6)},
		{"and within the interval where only the process is new", sighting{at(5), never, at(5)}, attempt{now: at(6), followed: 4 * time.Minute}, at(2)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.sighting.since(test.attempt); !got.Equal(test.want) {
				t.Errorf("got %s, want %s", got.Format(time.TimeOnly), test.want.Format(time.TimeOnly))
			}
		})
	}
}

// lastSince is how old answers might have been the last time that images were resolved.
func (a *agent) lastSince() time.Time {
	a.t.Helper()
	if len(a.requests) == 0 {
		a.t.Fatal("nothing was asked")
	}
	return a.requests[len(a.requests)-1].Since
}

func TestEachTryHasItsSince(t *testing.T) {
	const second = time.Second
	t.Run("a commit that another Sync saw, from then on", func(t *testing.T) {
		a := kept(t)
		a.now = a.now.Add(time.Minute)
		a.pushGood()
		a.seen["v2"] = a.now
		seen := a.now
		a.now = a.now.Add(20 * second)
		a.poll()
		if got := a.lastSince(); !got.Equal(seen) {
			t.Errorf("since %s, seen at %s", got, seen)
		}
	})
	t.Run("also when it is tried again for a registry that was down", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.refuse["Pin"] = down
		a.now = a.now.Add(time.Minute)
		seen := a.now
		a.poll()
		a.passAfter(time.Minute)
		a.passAfter(time.Minute)
		if got := a.lastSince(); !got.Equal(seen) || len(a.requests) < 3 {
			t.Errorf("since %s, seen at %s; %d requests", got, seen, len(a.requests))
		}
	})
	t.Run("one that the ref moved back to, from the look", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.refuse["Pin"] = down
		a.poll()
		a.now = a.now.Add(time.Minute)
		a.push("v3", web("cart", "acme/cart:2"))
		a.poll()
		a.now = a.now.Add(time.Minute)
		a.head = "v2"
		a.poll()
		if got := a.lastSince(); !got.Equal(a.now) {
			t.Errorf("since %s, looked at %s", got, a.now)
		}
	})
	for name, ask := range map[string]func(a *agent){
		"another spec":          func(a *agent) { a.spec.Images.Exclude = []string{"nothing"} },
		"a request to resolve":  func(a *agent) { a.asked[v1alpha1.AnnotationResolveAt] = "now" },
		"a request for a retry": func(a *agent) { a.asked[v1alpha1.AnnotationRetryAt] = "now" },
	} {
		t.Run(name+", from its first try", func(t *testing.T) {
			a := kept(t)
			a.pushGood()
			a.refuse["Pin"] = down
			a.poll()
			a.now = a.now.Add(time.Hour)
			asked := a.now
			ask(a)
			a.pass()
			a.passAfter(time.Hour)
			if got := a.lastSince(); !got.Equal(asked) {
				t.Errorf("since %s, asked at %s", got, asked)
			}
		})
	}
	t.Run("another commit that comes with another spec, from its first try", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.now = a.now.Add(time.Minute)
		a.seen["v2"] = a.now
		a.now = a.now.Add(20 * second)
		a.spec.Source.Ref.Branch = "v2"
		a.pass()
		if got := a.lastSince(); !got.Equal(a.now) {
			t.Errorf("since %s, asked at %s", got, a.now)
		}
	})
	t.Run("a new commit, if people ask for what the tags are now, from then on", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.now = a.now.Add(time.Minute)
		a.seen["v2"] = a.now
		a.asked[v1alpha1.AnnotationResolveAt] = "now"
		a.now = a.now.Add(time.Minute)
		a.poll()
		if got := a.lastSince(); !got.Equal(a.now) {
			t.Errorf("since %s, asked at %s", got, a.now)
		}
	})
	t.Run("one that was refused for what another Sync had, from when that is free", func(t *testing.T) {
		a := kept(t)
		a.pushGood()
		a.refuse["Differing"] = fault{reason: "OwnedByAnother"}
		a.poll()
		clear(a.refuse)
		a.now = a.now.Add(time.Hour)
		a.syncer.Sync(t.Context(), Want{Spec: a.spec, Freed: true})
		if got := a.lastSince(); !got.Equal(a.now) {
			t.Errorf("since %s, free at %s", got, a.now)
		}
	})
	t.Run("one that follows, within the interval also while it cannot be applied", func(t *testing.T) {
		a := following(t)
		a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
		a.refuse["Differing"] = down
		a.forAWhile(time.Hour)
		a.passAfter(20 * time.Minute)
		if got := a.now.Sub(a.lastSince()); got < 5*time.Minute || got > 6*time.Minute {
			t.Errorf("since %s ago", got)
		}
	})
	t.Run("a restart of one that follows, within the interval", func(t *testing.T) {
		a := following(t)
		a.now = a.now.Add(time.Hour)
		a.restart()
		a.pass()
		if got := a.now.Sub(a.lastSince()); got < 5*time.Minute || got > 6*time.Minute {
			t.Errorf("since %s ago", got)
		}
	})
}
