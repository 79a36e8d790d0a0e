// FAULTS, Apply: somebody rewrites an owned field again and again.
// Somebody rewrites an owned field again and again → more than 5 a minute: stop, and tell.

package sync

import (
	"strings"
	"testing"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// rewrite is somebody who changes a ConfigMap that belay owns.
func (a *agent) rewrite(name string) {
	a.live[manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: name}]["data"] = map[string]any{"value": "another"}
	a.drifted = true
}

// rewrites is somebody who does that so many times, and a pass each time.
func (a *agent) rewrites(name string, times int, every time.Duration) {
	for range times {
		a.rewrite(name)
		a.passAfter(every)
	}
}

func (a *agent) corrections(name string, from int) int {
	return len(only(a.calls[from:], func(call string) bool { return call == "Apply ConfigMap/shop/"+name }))
}

func TestAFightOverAFieldIsNoticedAndStopped(t *testing.T) {
	a := kept(t)
	a.settle()
	from := len(a.calls)
	a.rewrites("vars", 60, time.Second)
	if n := a.corrections("vars", from); n != 5 {
		t.Errorf("put back %d times", n)
	}
	if n := len(only(a.calls[from:], touches)); n > 20 {
		t.Errorf("%d calls to the cluster meanwhile", n)
	}
	ready := a.ready()
	for _, want := range []string{"ConfigMap/shop/vars", "belay sync shop -n shop --retry", "release 1"} {
		if ready.Reason != "DriftFight" || !strings.Contains(ready.Message, want) {
			t.Errorf("%s: %q does not say %q", ready.Reason, ready.Message, want)
		}
	}

	t.Run("while the other objects are put back", func(t *testing.T) {
		a.rewrite("old")
		a.passAfter(2 * time.Minute)
		if n := a.corrections("old", from); n != 1 {
			t.Errorf("put back %d times", n)
		}
	})
	t.Run("and ends with a retry", func(t *testing.T) {
		a.asked[v1alpha1.AnnotationRetryAt] = "now"
		a.settle()
		if n := a.corrections("vars", from); n != 6 || a.ready().Reason != "Kept" {
			t.Errorf("put back %d times, %s", n, a.ready().Reason)
		}
	})
}

func TestAFightThatTheOtherGivesUpIsOver(t *testing.T) {
	a := kept(t)
	a.settle()
	a.rewrites("vars", 10, time.Second)
	if a.ready().Reason != "DriftFight" {
		t.Fatalf("%s", a.ready().Reason)
	}
	a.live[manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"}]["data"] = map[string]any{"value": "1"}
	a.forAWhile(5 * time.Minute)
	if a.ready().Reason != "Kept" {
		t.Errorf("%s: %s", a.ready().Reason, a.ready().Message)
	}
}

func TestWhatIsPutBackNowAndThenIsNoFight(t *testing.T) {
	a := kept(t)
	a.settle()
	from := len(a.calls)
	a.rewrites("vars", 20, 15*time.Second)
	if n := a.corrections("vars", from); n != 20 || a.ready().Reason != "Kept" {
		t.Errorf("put back %d times, %s", n, a.ready().Reason)
	}
}

// A request to try again is not answered while Git is down. It ends a fight once all the same.
func TestARetryEndsAFightOnceAlsoWhileGitIsDown(t *testing.T) {
	a := kept(t)
	a.settle()
	a.restart()
	a.refuse["Head"] = down
	a.asked[v1alpha1.AnnotationRetryAt] = "now"
	from := len(a.calls)
	a.rewrites("vars", 60, time.Second)
	if n := a.corrections("vars", from); n > 7 {
		t.Errorf("put back %d times", n)
	}
}

func TestAFightKeepsNoReleaseOfWhichSomethingIsPutOff(t *testing.T) {
	a := kept(t)
	a.refuse["Apply ConfigMap/shop/vars"] = noBackend
	a.push("v2", config("vars", "2"), config("other", "2"), web("cart", "acme/cart:1"))
	a.poll()
	from := len(a.calls)
	a.rewrites("other", 30, time.Second)
	if n := a.corrections("other", from); n != 5 {
		t.Errorf("put back %d times", n)
	}
	a.passes(time.Minute)
	if a.result() != manifests.Applying {
		t.Errorf("%s although vars was never written", a.result())
	}
	clear(a.refuse)
	a.until("v2", manifests.Kept)
}
