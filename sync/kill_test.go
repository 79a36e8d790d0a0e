// FAULTS, Rollback: killed in the middle of a rollback; FAULTS, Agent: SIGKILL at any point.

package sync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

// Whatever call a SIGKILL comes before or after: the next process brings every object to one release, none extra,
// none missing, and until then everything in the cluster is in a record.
func TestAKillAtAnyMomentOrphansNothing(t *testing.T) {
	down := func(a *agent) {
		for _, verb := range []string{"Head", "Commit", "Tree", "Build", "Pin", "Place"} {
			a.refuse[verb] = down
		}
	}
	for _, scenario := range []struct {
		name  string
		start func(t testing.TB) *agent // brings the agent to where the kills begin
		after func(a *agent)            // between the kill and the restart
		end   func(a *agent)            // makes passes until all is done
		want  []string
		holds bool // that the end is a hold
	}{
		{
			name: "of a first release",
			start: func(t testing.TB) *agent {
				w := newWorld()
				w.tags["acme/cart:1"] = "sha256:one"
				w.push("v1", config("vars", "1"), web("cart", "acme/cart:1"), config("old", "1"))
				return newAgent(t, w)
			},
			end: (*agent).settle, want: liveV1,
		},
		{
			name:  "of a good release",
			start: func(t testing.TB) *agent { a := kept(t); a.pushGood(); return a },
			end:   (*agent).settle, want: liveV2,
		},
		{
			name: "of a good release whose agent restarts to find its tags moved",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.pushGood()
				return a
			},
			after: func(a *agent) { a.tags["acme/cart:2"] = "sha256:two-b" },
			end:   (*agent).settle,
		},
		{
			name:  "of a bad release",
			start: func(t testing.TB) *agent { a := kept(t); a.pushBad(); return a },
			end:   (*agent).settle, want: liveV1, holds: true,
		},
		{
			name: "of a release that is rolling back, with Git and the registry down",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.pushBad()
				a.after = func(call string) {
					if call == "Mark 2 RollingBack" {
						panic(killed{})
					}
				}
				if survives(func() { a.poll() }) {
					t.Fatal("the rollback did not begin")
				}
				a.after = nil
				a.restart()
				down(a)
				return a
			},
			end: func(a *agent) { a.until("v2", manifests.RolledBack) }, want: liveV1,
		},
		{
			name: "of a release that interrupted another",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.tags["acme/cart:0"], a.tags["acme/cart:2"] = "sha256:slow", "sha256:two"
				a.push("v1b", web("cart", "acme/cart:0"), config("between", "1"))
				a.poll()
				a.pushGood()
				return a
			},
			end: (*agent).settle, want: liveV2,
		},
		{
			name: "of a bad release that interrupted another",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.tags["acme/cart:0"] = "sha256:slow"
				a.push("v1b", web("cart", "acme/cart:0"), config("between", "1"))
				a.poll()
				a.pushBad()
				return a
			},
			end: (*agent).settle, want: liveV1, holds: true,
		},
		{
			name: "of a fix after a hold",
			start: func(t testing.TB) *agent {
				a := held(t)
				a.tags["acme/cart:3"] = "sha256:two"
				a.push("v3", config("vars", "2"), web("cart", "acme/cart:3"), config("new", "2"))
				return a
			},
			end: (*agent).settle, want: liveV2,
		},
		{
			name: "of a git revert",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.pushGood()
				a.settle()
				a.tags["acme/cart:1"] = "sha256:moved"
				a.tree["revert"], a.head = a.tree["v1"], "revert"
				return a
			},
			end: (*agent).settle, want: liveV1,
		},
		{
			name:  "of a rollback by hand",
			start: func(t testing.TB) *agent { a := twice(t); a.takeBack("now", ""); return a },
			end:   (*agent).settle, want: liveV1, holds: true,
		},
		{
			name: "of a rollback by hand past a release",
			start: func(t testing.TB) *agent {
				a := twice(t)
				a.push("v3", config("vars", "3"), config("third", "3"))
				a.until("v3", manifests.Kept)
				a.takeBack("now", `,"to":1`)
				return a
			},
			end: (*agent).settle, want: liveV1, holds: true,
		},
		{
			name: "of a release in waves",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.pushGood()
				a.push("v2", inWave("-1", config("vars", "2")), inWave("1", web("cart", "acme/cart:2")), inWave("2", config("new", "2")))
				return a
			},
			end: (*agent).settle, want: liveV2,
		},
		{
			name: "of a bad release in waves",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.pushBad()
				a.push("v2", config("vars", "2"), inWave("1", web("cart", "acme/cart:2")), inWave("2", config("new", "2")))
				return a
			},
			end: (*agent).settle, want: liveV1, holds: true,
		},
		{
			name: "of a good release with hooks that take themselves away",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.tags["acme/job:1"] = "sha256:job"
				a.pushGood()
				a.push("v2", config("vars", "2"), web("cart", "acme/cart:2"), config("new", "2"), passingHook("migrate", "before"), passingHook("smoke", "after"))
				return a
			},
			end: (*agent).settle, want: liveV2,
		},
		{
			name: "of a release that a hook refuses, back to one that has hooks",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.tags["acme/job:1"], a.tags["acme/job:2"] = "sha256:job", "sha256:bad"
				a.push("v2", config("vars", "1"), web("cart", "acme/cart:1"), config("old", "1"), passingHook("migrate", "before", manifests.AnnotationHookOnRollback, "enabled"))
				a.until("v2", manifests.Kept)
				a.tags["acme/cart:2"] = "sha256:two"
				a.push("v3", config("vars", "2"), web("cart", "acme/cart:2"), hook("smoke", "after", "acme/job:2"))
				return a
			},
			end: (*agent).settle, want: liveV1, holds: true,
		},
		{
			name: "of a release with hooks that turns bad while it is watched on",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.tags["acme/job:1"] = "sha256:job"
				a.spec.Health.WatchFor.Duration = time.Minute
				a.settle()
				a.pushGood()
				a.push("v2", config("vars", "2"), web("cart", "acme/cart:2"), config("new", "2"), passingHook("migrate", "before"), passingHook("smoke", "after"))
				a.until("v2", manifests.Kept)
				a.is[cart] = crashing
				return a
			},
			end: func(a *agent) { a.until("v2", manifests.RolledBack); a.settle() }, want: liveV1, holds: true,
		},
		{
			name: "of a rollback in waves whose cause is in the last of them",
			start: func(t testing.TB) *agent {
				a := kept(t)
				a.push("v2", web("cart", "acme/cart:1"), inWave("1", config("old", "1")), inWave("2", config("vars", "1")))
				a.until("v2", manifests.Kept)
				a.settle()
				a.after = func(call string) {
					if strings.HasPrefix(call, "Apply") {
						crashWith(a, "vars 2")
					}
				}
				a.tags["acme/cart:2"] = "sha256:two"
				a.push("v3", web("cart", "acme/cart:2"), inWave("1", config("old", "2")), inWave("2", config("vars", "2")))
				return a
			},
			after: func(a *agent) { crashWith(a, "vars 2") }, // the call that was killed may have written it
			end:   (*agent).settle, want: liveV1, holds: true,
		},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			kills := 0
			for _, end := range []bool{false, true} {
				for k := 1; k < 200; k++ {
					a := scenario.start(t)
					a.killIn, a.killEnd = k, end
					from := len(a.calls)
					if survives(func() { scenario.end(a) }) {
						break
					}
					kills++
					where := fmt.Sprintf("killed in call %d of %v (after it: %t)", k, a.calls[from:], end)
					checkRecorded(t, a, where)
					a.killIn = 0
					a.restart()
					if scenario.after != nil {
						scenario.after(a)
					}
					scenario.end(a)
					want := scenario.want
					if want == nil {
						want = liveV2
						if strings.Contains(strings.Join(a.inLive(), " "), "two-b") {
							want = []string{liveV2[0], liveV2[1], liveV2[2] + "-b"}
						}
					}
					if diff := cmp.Diff(want, a.inLive()); diff != "" {
						t.Errorf("%s: %s", where, diff)
					}
					if scenario.holds != (a.status.Held != nil) && a.refuse["Head"] == nil {
						t.Errorf("%s: held is %+v", where, a.status.Held)
					}
					if t.Failed() {
						return
					}
				}
			}
			if kills < 20 {
				t.Errorf("only %d kills", kills)
			}
		})
	}
}

// crashWith has the Deployment crash while something is in the cluster.
func crashWith(a *agent, what string) {
	if delete(a.is, cart); strings.Contains(strings.Join(a.inLive(), " "), what) {
		a.is[cart] = crashing
	}
}

// checkRecorded looks for objects in the cluster that no record that counts knows of.
func checkRecorded(t *testing.T, a *agent, where string) {
	t.Helper()
	state := StateOf(a.records)
	known := map[manifests.ID]bool{}
	for _, record := range []*manifests.Record{state.Newest, state.Kept} {
		if record == nil {
			continue
		}
		release, err := inJournal{&world{releases: a.releases}}.Load(t.Context(), record.Number)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range manifests.Union(release.Owned, release.Objects.IDs()) {
			known[id] = true
		}
	}
	for id := range a.live {
		if !known[id] {
			t.Errorf("%s: %s is in the cluster, and in no record", where, id)
		}
	}
}

// Two kills, one after the other, at many pairs of moments of a bad release.
func TestTwoKillsOrphanNothingEither(t *testing.T) {
	for first := 1; first < 40; first += 2 {
		for second := 1 + first%3; second < 40; second += 3 {
			a := kept(t)
			a.pushBad()
			dead := 0
			for i, k := range []int{first, second} {
				a.killIn, a.killEnd = k, i == 0
				if !survives(a.settle) {
					dead++
				}
				a.restart()
			}
			a.killIn = 0
			a.settle()
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Fatalf("killed in calls %d and then %d: %s", first, second, diff)
			}
			if dead < 2 {
				break
			}
		}
	}
}
