package sync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAnUnhealthyReleaseIsRolledBackWithGitAndTheRegistryDown(t *testing.T) {
	a := kept(t)
	a.pushBad()
	a.after = func(call string) {
		if strings.HasPrefix(call, "Store") {
			for _, verb := range []string{"Head", "Commit", "Tree", "Build", "Pin", "Place"} {
				a.refuse[verb] = down
			}
		}
	}
	t.Run("at once, deleting only what it brought", func(t *testing.T) {
		want := []string{
			"Store 2", "Apply ConfigMap/shop/vars", "Apply ConfigMap/shop/new", "Apply Deployment/shop/cart",
			"Mark 2 RollingBack",
			"Apply ConfigMap/shop/vars", "Apply Deployment/shop/cart", "Delete ConfigMap/shop/new", "Mark 2 RollingBack, pruned",
		}
		if diff := cmp.Diff(want, only(a.poll(), writes)); diff != "" {
			t.Error(diff)
		}
		if a.status.Phase != v1alpha1.RollingBack || a.out.Next != 10*time.Second {
			t.Errorf("%s, next in %s", a.status.Phase, a.out.Next)
		}
	})
	t.Run("byte for byte", func(t *testing.T) {
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and is judged too", func(t *testing.T) {
		if calls := only(a.passAfter(9*time.Second), func(call string) bool { return writes(call) || asks(call) }); len(calls) > 0 {
			t.Errorf("called %v", calls)
		}
		if diff := cmp.Diff([]string{"Mark 2 RolledBack, pruned"}, only(a.passAfter(time.Second), writes)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and says so", func(t *testing.T) {
		if diff := cmp.Diff([]string{"ReleaseStarted", "CrashLoopBackOff", "RolledBack"}, a.events); diff != "" {
			t.Error(diff)
		}
		held := a.status.Held
		if held == nil || held.Commit != "v2" || held.RolledBackTo != "v1" || held.Reason != "CrashLoopBackOff" ||
			held.Message != "Deployment/shop/cart: CrashLoopBackOff: it crashes" {
			t.Errorf("held is %+v", held)
		}
		if a.status.Phase != v1alpha1.RolledBack || a.status.Deployed.Commit != "v1" || a.status.Wanted.Commit != "v2" {
			t.Errorf("%s, deployed %+v, wanted %+v", a.status.Phase, a.status.Deployed, a.status.Wanted)
		}
	})
	t.Run("and stays so", func(t *testing.T) {
		clear(a.refuse)
		a.settle()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
		if a.status.Phase != v1alpha1.RolledBack {
			t.Errorf("%s", a.status.Phase)
		}
	})
}

func TestAReleaseThatIsNeverReadyIsRolledBackAtItsDeadline(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.tags["acme/cart:2"] = "sha256:slow"
	a.poll()
	a.refuse["Head"] = down
	if wrote := only(a.passAfter(5*time.Minute-time.Second), writes); len(wrote) > 0 {
		t.Errorf("before the deadline it wrote %v", wrote)
	}
	if wrote := only(a.passAfter(time.Second), writes); len(wrote) == 0 || wrote[0] != "Mark 2 RollingBack" {
		t.Errorf("at the deadline it wrote %v", wrote)
	}
	a.until("v2", manifests.RolledBack)
	if held := a.status.Held; held.Reason != "TimedOut" {
		t.Errorf("held is %+v", held)
	}
}

func TestARefusalInTheMiddleOfWritingIsRolledBack(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.refuse["Apply Deployment/shop/cart"] = denied
	a.after = func(call string) {
		if call == "Mark 2 RollingBack" {
			clear(a.refuse)
		}
	}
	a.poll()
	a.until("v2", manifests.RolledBack)
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if held := a.status.Held; held.Reason != "AdmissionDenied" {
		t.Errorf("held is %+v", held)
	}
}

func TestARollbackThatDoesNotHelpIsTheLastTry(t *testing.T) {
	for name, spoil := range map[string]func(a *agent){
		"because the kept release is not healthy either": func(a *agent) {
			// What made release 1 healthy is gone for good.
			a.tags["acme/cart:1"] = "gone"
			for n, text := range a.releases {
				a.releases[n] = strings.ReplaceAll(text, "sha256:one", "sha256:bad-one")
			}
		},
		"because its objects are refused": func(a *agent) {
			a.after = func(call string) {
				if strings.HasPrefix(call, "Mark 2 RollingBack") {
					a.refuse["Apply Deployment/shop/cart"] = denied
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := kept(t)
			spoil(a)
			a.pushBad()
			a.until("v2", manifests.RollbackFailed)
			if a.status.Phase != v1alpha1.RollbackFailed || a.status.Held == nil {
				t.Errorf("%s, held %+v", a.status.Phase, a.status.Held)
			}
			if message := a.records[1].Outcome.Message; !strings.Contains(message, "; and the rollback failed: ") {
				t.Errorf("the message is %s", message)
			}
			clear(a.refuse)
			for i := range 20 {
				if i == 10 {
					a.restart()
				}
				if wrote := only(a.passAfter(5*time.Minute), writes); len(wrote) > 0 {
					t.Fatalf("it wrote %v", wrote)
				}
			}
			t.Run("until there is a new commit", func(t *testing.T) {
				a.tags["acme/cart:3"] = "sha256:three"
				a.push("v3", web("cart", "acme/cart:3"))
				a.settle()
				if diff := cmp.Diff([]string{"Deployment/shop/cart acme/cart@sha256:three"}, a.inLive()); diff != "" {
					t.Error(diff)
				}
				if a.status.Phase != v1alpha1.Kept || a.status.Held != nil {
					t.Errorf("%s, held %+v", a.status.Phase, a.status.Held)
				}
			})
		})
	}
}

func TestAnErrorDuringARollbackDoesNotEndIt(t *testing.T) {
	for _, call := range []string{"Differing", "Apply", "Health", "Load", "Mark"} {
		t.Run(call, func(t *testing.T) {
			a := kept(t)
			a.pushBad()
			a.after = func(c string) {
				if c == "Mark 2 RollingBack" {
					a.refuse[call] = down
				}
			}
			a.poll()
			for range 10 {
				a.passAfter(time.Minute)
			}
			if a.result() != manifests.RollingBack {
				t.Fatalf("it is %s", a.result())
			}
			a.after = nil
			clear(a.refuse)
			a.until("v2", manifests.RolledBack)
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatTheRefusedReleaseBroughtMayTakeItsTimeToGo(t *testing.T) {
	a := kept(t)
	brought := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "new"}
	a.stuck[brought] = true
	a.pushBad()
	a.until("v2", manifests.RolledBack)
	if a.records[1].Outcome.Pruned {
		t.Error("it counts as pruned")
	}
	delete(a.stuck, brought)
	a.settle()
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestAFirstReleaseThatFailsStaysAndIsKeptWhenItTurnsHealthyLate(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:bad"
	w.push("v1", web("cart", "acme/cart:1"), config("vars", "1"))
	a := newAgent(t, w)
	a.until("v1", manifests.Failed)
	if a.status.Phase != v1alpha1.Failed || a.status.Held == nil || a.status.Held.RolledBackTo != "" {
		t.Errorf("%s, held %+v", a.status.Phase, a.status.Held)
	}
	for range 5 {
		if wrote := only(a.passAfter(5*time.Minute), writes); len(wrote) > 0 {
			t.Fatalf("it wrote %v", wrote)
		}
	}
	want := []string{"ConfigMap/shop/vars 1", "Deployment/shop/cart acme/cart@sha256:bad"}
	if diff := cmp.Diff(want, a.inLive()); diff != "" {
		t.Error(diff)
	}
	t.Run("by itself", func(t *testing.T) {
		id := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
		crashing := a.live[id]
		a.live[id] = map[string]any{"spec": "well"}
		a.pass()
		if a.result() != manifests.Failed {
			t.Error("it is kept before it was stable")
		}
		a.live[id] = crashing
		a.passAfter(5 * time.Second)
		a.live[id] = map[string]any{"spec": "well"}
		a.passAfter(9 * time.Second)
		if a.result() != manifests.Failed {
			t.Error("it is kept although it was healthy with a break")
		}
		a.passAfter(10 * time.Second)
		if a.result() != manifests.Kept || a.status.Phase != v1alpha1.Kept || a.status.Held != nil {
			t.Errorf("%s, %s, held %+v", a.result(), a.status.Phase, a.status.Held)
		}
	})
}

func TestWithRollbackDisabledAFailedReleaseStays(t *testing.T) {
	a := kept(t)
	no := false
	a.spec.Rollback.Enabled = &no
	a.pushBad()
	a.until("v2", manifests.Failed)
	for range 5 {
		if wrote := only(a.passAfter(5*time.Minute), writes); len(wrote) > 0 {
			t.Fatalf("it wrote %v", wrote)
		}
	}
	want := []string{"ConfigMap/shop/new 2", "ConfigMap/shop/old 1", "ConfigMap/shop/vars 2", "Deployment/shop/cart acme/cart@sha256:bad"}
	if diff := cmp.Diff(want, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if a.status.Phase != v1alpha1.Failed {
		t.Errorf("%s", a.status.Phase)
	}
}

func TestANewCommitDuringARollbackWaitsForItsEnd(t *testing.T) {
	a := kept(t)
	a.pushBad()
	a.poll()
	a.tags["acme/cart:3"] = "sha256:three"
	a.push("v3", web("cart", "acme/cart:3"), config("vars", "3"))
	for range 3 {
		a.now = a.now.Add(3 * time.Second)
		if calls := only(a.poll(), func(call string) bool { return asks(call) || touches(call) }); len(calls) > 0 {
			t.Errorf("during the rollback: %v", calls)
		}
	}
	a.now = a.now.Add(time.Second)
	a.poll()
	if a.result() != manifests.RolledBack {
		t.Fatalf("it is %s", a.result())
	}
	a.until("v3", manifests.Kept)
	if diff := cmp.Diff([]string{"ConfigMap/shop/vars 3", "Deployment/shop/cart acme/cart@sha256:three"}, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if a.records[1].Outcome.Result != manifests.RolledBack || a.status.Held != nil {
		t.Errorf("release 2 is %s, held %+v", a.records[1].Outcome.Result, a.status.Held)
	}
}

func TestARollbackGoesToTheLastKeptReleaseNotToTheLastOne(t *testing.T) {
	a := kept(t)
	a.pushBad()
	a.until("v2", manifests.RolledBack)
	a.tags["acme/cart:3"] = "sha256:bad-three"
	a.push("v3", web("cart", "acme/cart:3"))
	a.until("v3", manifests.RolledBack)
	a.settle()
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestAReleaseThatInterruptedAnotherIsRolledBackPastIt(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"], a.tags["acme/cart:3"] = "sha256:slow", "sha256:bad"
	a.push("v2", web("cart", "acme/cart:2"), config("second", "2"))
	a.poll()
	a.push("v3", web("cart", "acme/cart:3"), config("third", "3"))
	a.poll()
	a.until("v3", manifests.RolledBack)
	a.settle()
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestManyRefusedReleasesDoNotPushOutTheKeptOne(t *testing.T) {
	a := kept(t)
	a.spec.Rollback.Keep = 2
	for i, commit := range []string{"b1", "b2", "b3", "b4", "b5"} {
		image := "acme/cart:" + commit
		a.tags[image] = "sha256:bad" + commit
		a.now = a.now.Add(time.Hour) // sooner, they would freeze it
		a.push(commit, web("cart", image), config("only-"+commit, "1"))
		a.poll()
		a.until(commit, manifests.RolledBack)
		if got := a.records[len(a.records)-1].Number; got != i+2 {
			t.Errorf("%s is release %d", commit, got)
		}
	}
	if !slices.ContainsFunc(a.records, func(r manifests.Record) bool { return r.Number == 1 }) || len(a.records) > 3 {
		t.Errorf("the records are %+v", a.records)
	}
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestATemporaryRefusalOfAnObjectIsAVerdictWhenTheTimeIsOver(t *testing.T) {
	quota := fault{reason: "QuotaExceeded", temporary: true}
	a := kept(t)
	a.pushGood()
	a.refuse["Apply Deployment/shop/cart"] = quota
	a.poll()
	for range 4 {
		a.passAfter(time.Minute)
	}
	if a.result() != manifests.Applying {
		t.Fatalf("before its time it is %s", a.result())
	}
	a.after = func(call string) {
		if strings.HasPrefix(call, "Mark 2 RollingBack") {
			clear(a.refuse)
		}
	}
	a.passAfter(time.Minute)
	a.until("v2", manifests.RolledBack)
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if held := a.status.Held; held.Reason != "QuotaExceeded" {
		t.Errorf("held is %+v", held)
	}
}

// What was in the cluster before, and nobody's, is not ours to delete.
func TestARollbackLetsGoOfWhatItDidNotBring(t *testing.T) {
	for name, restart := range map[string]bool{"in one process": false, "after a kill": true} {
		t.Run(name, func(t *testing.T) {
			a := kept(t)
			stranger := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "new"}
			a.live[stranger] = map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "new", "namespace": "shop"}, "data": map[string]any{"value": "theirs"},
			}
			a.pushBad()
			if restart {
				a.after = func(call string) {
					if call == "Mark 2 RollingBack" {
						panic(killed{})
					}
				}
				survives(func() { a.poll() })
				a.after = nil
				a.restart()
			}
			a.settle()
			if a.live[stranger] == nil || a.ours(stranger) {
				t.Errorf("it is %v", a.live[stranger])
			}
			if a.result() != manifests.RolledBack || !a.records[1].Outcome.Pruned {
				t.Errorf("release 2: %+v", a.records[1].Outcome)
			}
		})
	}
}

// What a release that cannot be read had in the cluster is not guessed: nothing new is started, and it is said. A Sync
// that is deleted takes along what bears its labels.
func TestACorruptReleaseIsNotGuessed(t *testing.T) {
	corrupt := fault{reason: "ReleaseCorrupt"}
	t.Run("a new commit", func(t *testing.T) {
		a := kept(t)
		a.restart() // what it has stored itself it knows
		a.refuse["Load 1"] = corrupt
		a.pushGood()
		if wrote := only(a.poll(), writes); len(wrote) > 0 {
			t.Errorf("wrote %v", wrote)
		}
		if a.out.Problem == nil || a.out.Problem.Reason != "ReleaseCorrupt" || a.out.Problem.Temporary {
			t.Errorf("the problem is %+v", a.out.Problem)
		}
	})
	t.Run("a commit that waits until that is mended", func(t *testing.T) {
		a := kept(t)
		a.restart()
		a.refuse["Load 1"] = corrupt
		a.pushGood()
		a.poll()
		clear(a.refuse)
		a.settle()
		if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the release under way", func(t *testing.T) {
		a := kept(t)
		a.tags["acme/cart:2"] = "sha256:slow"
		a.push("v2", web("cart", "acme/cart:2"))
		a.poll()
		a.restart()
		a.refuse["Load 2"] = corrupt
		from := len(a.calls)
		for range 5 {
			a.passAfter(time.Minute)
		}
		if wrote := only(a.calls[from:], writes); len(wrote) > 0 || a.result() != manifests.Applying {
			t.Errorf("%s, wrote %v", a.result(), wrote)
		}
	})
	t.Run("the removal", func(t *testing.T) {
		a := kept(t)
		a.restart()
		a.refuse["Load 1"] = corrupt
		if wait, problem := a.syncer.Remove(t.Context(), Want{Spec: a.spec}); wait != 0 || problem != nil || len(a.live) > 0 {
			t.Errorf("wait %s, problem %+v, left %v", wait, problem, a.inLive())
		}
	})
	t.Run("but nothing is guessed while the journal is only out of reach", func(t *testing.T) {
		a := kept(t)
		a.refuse["Load 1"] = down
		a.restart()
		a.pushGood()
		if wrote := only(a.poll(), writes); len(wrote) > 0 {
			t.Errorf("wrote %v", wrote)
		}
	})
}

// The pass that ends a rollback has not looked at the remote; the next one must not be an hour away.
func TestTheRemoteIsLookedAtAgainAfterARollback(t *testing.T) {
	a := kept(t)
	a.pushBad()
	a.poll()
	for a.result() == manifests.RollingBack {
		a.passAfter(a.out.Next)
	}
	interval := a.spec.Source.Interval.Duration
	if a.result() != manifests.RolledBack || a.out.Next > interval+interval/20 {
		t.Errorf("it is %s, and the next pass in %s", a.result(), a.out.Next)
	}
}

func TestWhatASupersededReleaseAdoptedIsNotDeletedByTheNext(t *testing.T) {
	a := kept(t)
	a.live[manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "theirs"}] = config("theirs", "0")
	a.tags["acme/cart:2"] = "sha256:slow"
	a.push("v2", config("vars", "1"), web("cart", "acme/cart:2"), config("old", "1"), config("theirs", "1"))
	a.poll()
	a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"), config("old", "1"))
	a.settle()
	if !slices.Contains(a.inLive(), "ConfigMap/shop/theirs 1") {
		t.Error(a.inLive())
	}
}

// What crashes in an early wave may do so for what the refused release has put into a later one.
func TestARollbackWritesAllWavesThoughAnEarlyOneIsNotHealthy(t *testing.T) {
	for name, is := range map[string]manifests.Health{"failed": crashing, "not ready": notReady} {
		t.Run(name, func(t *testing.T) {
			a := kept(t)
			a.push("v2", web("cart", "acme/cart:1"), inWave("1", config("vars", "2")))
			a.until("v2", manifests.Kept)
			a.settle()
			a.after = func(call string) {
				if call == "Apply ConfigMap/shop/vars" {
					if delete(a.is, cart); strings.Contains(strings.Join(a.inLive(), " "), "vars 3") {
						a.is[cart] = is
					}
				}
			}
			a.push("v3", web("cart", "acme/cart:1"), inWave("1", config("vars", "3")))
			a.until("v3", manifests.RolledBack)
		})
	}
	t.Run("also where the rollback writes that one", func(t *testing.T) {
		a := kept(t)
		a.tags["acme/cart:2"] = "sha256:two"
		a.push("v2", web("cart", "acme/cart:1"), inWave("1", config("vars", "2")))
		a.until("v2", manifests.Kept)
		a.settle()
		a.after = func(call string) {
			if strings.HasPrefix(call, "Apply") {
				crashWith(a, "vars 3")
			}
		}
		a.push("v3", web("cart", "acme/cart:2"), inWave("1", config("vars", "3")))
		a.until("v3", manifests.RolledBack)
	})
}

func TestWhatARollbackDoesNotWriteHasTheTimeoutToRecover(t *testing.T) {
	start := func(t *testing.T) *agent {
		a := kept(t)
		a.push("v2", web("cart", "acme/cart:1"), config("vars", "2"))
		a.poll()
		a.is[cart] = crashing
		a.pass()
		if a.result() != manifests.RollingBack {
			t.Fatal(a.result())
		}
		a.passes(time.Minute)
		return a
	}
	t.Run("and is judged then", func(t *testing.T) {
		a := start(t)
		delete(a.is, cart)
		a.until("v2", manifests.RolledBack)
	})
	t.Run("and no longer", func(t *testing.T) {
		a := start(t)
		a.passes(4*time.Minute + time.Second)
		if a.result() != manifests.RollbackFailed {
			t.Error(a.result())
		}
	})
}
