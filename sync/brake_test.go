// FAULTS, Render and Apply: more than maxPrune would go → refused before any write, until people let it through.

package sync

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestMostIsANumberOrAShareOfWhatIsThere(t *testing.T) {
	for text, want := range map[string]int{"3": 3, "0": 0, "50%": 5, "0%": 0, "99%": 9, "100%": 10, "half": 0} {
		if got := most(intstr.Parse(text), 10); got != want {
			t.Errorf("%s of 10 is %d, want %d", text, got, want)
		}
	}
}

// emptied is an agent that keeps v1, three objects, and may delete at most max of them; v2 has but one.
func emptied(t *testing.T, max string) *agent {
	a := kept(t)
	limit := intstr.Parse(max)
	a.spec.Apply.MaxPrune = &limit
	a.push("v2", config("vars", "1"))
	return a
}

func TestACommitThatDeletesMoreThanIsAllowedWritesNothing(t *testing.T) {
	a := emptied(t, "50%")
	from := len(a.calls)
	for range 3 {
		a.poll()
	}
	if wrote := only(a.calls[from:], writes); len(wrote) > 0 {
		t.Errorf("wrote %v", wrote)
	}
	ready := a.ready()
	for _, want := range []string{"it would delete 2 of 3 objects", "spec.apply.maxPrune is 50%", "Deployment/shop/cart", "belay.dev/allow-prune=v2"} {
		if ready.Reason != "TooMuchPruned" || !strings.Contains(ready.Message, want) {
			t.Errorf("%s: %q does not say %q", ready.Reason, ready.Message, want)
		}
	}
	t.Run("also when another commit was let through", func(t *testing.T) {
		a.asked[v1alpha1.AnnotationAllowPrune] = "v1"
		a.pass()
		if a.ready().Reason != "TooMuchPruned" {
			t.Errorf("%s", a.ready().Reason)
		}
	})
	t.Run("until this one is", func(t *testing.T) {
		a.asked[v1alpha1.AnnotationAllowPrune] = "v2"
		a.until("v2", manifests.Kept)
		if diff := cmp.Diff([]string{"ConfigMap/shop/vars 1"}, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestACommitWithinTheLimitGoesThrough(t *testing.T) {
	for _, max := range []string{"2", "67%", "100%"} {
		a := emptied(t, max)
		a.until("v2", manifests.Kept)
		if diff := cmp.Diff([]string{"ConfigMap/shop/vars 1"}, a.inLive()); diff != "" {
			t.Errorf("with %s: %s", max, diff)
		}
	}
}

func TestWhatARollbackTookAwayIsNotCountedByTheBrake(t *testing.T) {
	a := kept(t)
	limit := intstr.FromInt32(0)
	a.spec.Apply.MaxPrune = &limit
	a.tags["acme/cart:2"] = "sha256:bad"
	a.push("v2", config("vars", "1"), web("cart", "acme/cart:2"), config("old", "1"), config("a", "1"), config("b", "1"))
	a.settle()
	a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"), config("old", "1"))
	a.poll()
	if a.ready().Reason == "TooMuchPruned" {
		t.Error(a.ready().Message)
	}
}
