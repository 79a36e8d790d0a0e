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

// inWave puts an object into a wave.
func inWave(wave string, object map[string]any) map[string]any {
	object["metadata"].(map[string]any)["annotations"] = map[string]any{manifests.AnnotationWave: wave}
	return object
}

func applied(calls []string) []string {
	return only(calls, func(call string) bool { return strings.HasPrefix(call, "Apply") })
}

func TestAWaveWaitsUntilAllBeforeItIsHealthy(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"] = "sha256:slow"
	a.push("v2", inWave("10", config("last", "2")), inWave("-5", config("first", "2")), web("cart", "acme/cart:2"), inWave("10", config("other", "2")))
	a.poll()
	for range 3 {
		a.pass()
	}
	want := []string{"Apply ConfigMap/shop/first", "Apply Deployment/shop/cart"}
	from := slices.Index(a.calls, "Store 2")
	if diff := cmp.Diff(want, applied(a.calls[from:])); diff != "" {
		t.Fatal(diff)
	}
	if a.status.Phase != v1alpha1.Applying || !strings.Contains(a.ready().Message, "waiting for") {
		t.Errorf("%s: %s", a.status.Phase, a.ready().Message)
	}
	differing := func(call string) bool { return call == "Differing" }
	if tried := only(a.calls[from:], differing); len(tried) > 0 {
		t.Errorf("tried everything again while waiting, %d times", len(tried))
	}

	a.well[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = true
	a.until("v2", manifests.Kept)
	want = append(want, "Apply ConfigMap/shop/last", "Apply ConfigMap/shop/other")
	if diff := cmp.Diff(want, applied(a.calls[from:])); diff != "" {
		t.Error(diff)
	}
}

func TestAWaveThatNeverGetsHealthyIsRolledBackAndTheNextIsNotWritten(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"] = "sha256:slow"
	a.push("v2", config("vars", "1"), web("cart", "acme/cart:2"), config("old", "1"), inWave("1", config("never", "2")))
	a.until("v2", manifests.RolledBack)
	a.settle()
	if wrote := only(a.calls, func(call string) bool { return call == "Apply ConfigMap/shop/never" }); len(wrote) > 0 {
		t.Error("the second wave was written")
	}
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestDriftOfAKeptReleaseWaitsForNoWave(t *testing.T) {
	a := kept(t)
	a.push("v2", web("cart", "acme/cart:1"), inWave("1", config("second", "2")))
	a.until("v2", manifests.Kept)
	a.live[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}]["spec"] = "slow"
	delete(a.live, manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "second"})
	a.drifted = true
	if diff := cmp.Diff([]string{"Apply Deployment/shop/cart", "Apply ConfigMap/shop/second"}, applied(a.pass())); diff != "" {
		t.Error(diff)
	}
}

func TestARollbackInWavesDoesNotWaitForAJobThatTookItselfAway(t *testing.T) {
	job := manifests.ID{Group: "batch", Kind: "Job", Namespace: "shop", Name: "seed"}
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/cart:2"] = "sha256:one", "sha256:bad"
	w.push("v1", inWave("1", web("cart", "acme/cart:1")), seed())
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	a.settle()
	delete(a.live, job)
	a.push("v2", inWave("1", web("cart", "acme/cart:2")), seed())
	a.poll()
	a.until("v2", manifests.RolledBack)
}

func TestASecondRollbackInWavesBeginsAnew(t *testing.T) {
	w := newWorld()
	for _, tag := range []string{"1", "2", "3"} {
		w.tags["acme/cart:"+tag] = "sha256:" + tag
	}
	w.push("v1", inWave("1", web("cart", "acme/cart:1")), web("first", "acme/cart:1"))
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	a.tags["acme/cart:2"] = "sha256:slow"
	first := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "first"}
	a.well[first] = true
	a.push("v2", inWave("1", web("cart", "acme/cart:1")), web("first", "acme/cart:2"), inWave("1", config("x", "2")))
	a.poll()
	a.until("v2", manifests.Kept)
	a.push("v3", inWave("1", web("cart", "acme/cart:3")), web("first", "acme/cart:3"))
	a.poll()
	a.until("v3", manifests.Kept)
	a.settle()
	delete(a.well, first)
	a.takeBack("now", `,"to":2`)
	a.pass()
	a.passAfter(time.Second)
	a.takeBack("then", `,"to":1`)
	a.pass()
	a.until("v3", manifests.RolledBack)
}

func TestARollbackInWavesDeletesNothingBeforeAllIsWritten(t *testing.T) {
	side := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "side"}
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/side:1"], w.tags["acme/cart:2"], w.tags["acme/side:2"] = "sha256:one", "sha256:slow", "sha256:two", "sha256:bad"
	w.well[side] = true
	w.push("v1", web("side", "acme/side:1"), inWave("1", web("cart", "acme/cart:1")))
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	a.push("v2", config("new", "2"), inWave("1", web("cart", "acme/cart:2")), inWave("2", web("side", "acme/side:2")))
	a.poll()
	a.passAfter(time.Second)
	delete(a.well, side)
	a.passAfter(time.Second)
	for range 3 {
		a.passAfter(time.Second)
	}
	if diff := cmp.Diff([]string{"ConfigMap/shop/new 2", "Deployment/shop/cart acme/cart@sha256:two", "Deployment/shop/side acme/side@sha256:slow"}, a.inLive()); diff != "" {
		t.Fatal(diff)
	}
	a.well[side] = true
	a.until("v2", manifests.RolledBack)
	if diff := cmp.Diff([]string{"Deployment/shop/cart acme/cart@sha256:one", "Deployment/shop/side acme/side@sha256:slow"}, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestAFightDuringWavesIsNotPolled(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"] = "sha256:slow"
	cart := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	vars := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"}
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:2"), inWave("1", config("last", "2")))
	a.poll()
	for range 6 {
		a.live[vars] = config("vars", "theirs")
		a.drifted = true
		a.passAfter(time.Second)
	}
	a.well[cart] = true
	passes := 0
	for end := a.now.Add(5 * time.Minute); a.now.Before(end) && a.result() == manifests.Applying; passes++ {
		a.pass()
		a.now = a.now.Add(a.out.Next)
		if passes > 200 {
			break
		}
	}
	if passes > 20 {
		t.Errorf("%d passes, %s, %v", passes, a.result(), a.out.Verdict)
	}
}

func TestAnObjectThatIsCreatedOnlyIsWrittenBeforeTheRelease(t *testing.T) {
	a := kept(t)
	a.spec.Health.StableFor.Duration = 0
	a.tags["acme/cart:2"] = "sha256:slow"
	cart := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	last := inWave("1", config("last", "2"))
	last["metadata"].(map[string]any)["annotations"].(map[string]any)[manifests.AnnotationSSA] = "IfNotPresent"
	a.push("v2", web("cart", "acme/cart:2"), last)
	a.poll()
	n := 0
	a.after = func(call string) {
		if call == "Health closely" {
			if n++; n == 2 {
				a.well[cart] = true
			}
		}
	}
	a.until("v2", manifests.Kept)
	if a.live[manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "last"}] == nil {
		t.Error("kept without it")
	}
}
