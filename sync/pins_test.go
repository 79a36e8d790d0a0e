package sync

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// following is an agent that keeps v1 and follows its tags.
func following(t testing.TB) *agent {
	t.Helper()
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/side:1"] = "sha256:one", "sha256:side"
	w.push("v1", config("vars", "1"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a := newAgent(t, w)
	a.spec.Images = v1alpha1.Images{Resolve: v1alpha1.ResolveFollow, Interval: metav1.Duration{Duration: 5 * time.Minute}}
	a.until("v1", manifests.Kept)
	a.events = nil
	return a
}

// forAWhile passes as often as the agent wants to for a time.
func (a *agent) forAWhile(d time.Duration) {
	a.t.Helper()
	for end := a.now.Add(d); a.now.Before(end); {
		a.pass()
		a.now = a.now.Add(a.out.Next)
	}
}

func (a *agent) image(name string) string {
	for _, line := range a.inLive() {
		if about, image, _ := strings.Cut(line, " "); about == "Deployment/shop/"+name {
			return image
		}
	}
	return ""
}

func TestAFollowedTagThatMovesIsANewReleaseOfTheSameCommit(t *testing.T) {
	a := following(t)
	a.forAWhile(20 * time.Minute)
	if len(a.records) != 1 {
		t.Fatalf("%d releases although no tag moved", len(a.records))
	}
	a.tags["acme/cart:1"] = "sha256:two"
	a.forAWhile(10 * time.Minute)
	if a.image("cart") != "acme/cart@sha256:two" || len(a.records) != 2 || a.result() != manifests.Kept {
		t.Errorf("runs %s, %d releases, %s", a.image("cart"), len(a.records), a.result())
	}
}

func TestTagsAreLookedAtWithoutRendering(t *testing.T) {
	a := following(t)
	a.forAWhile(time.Minute)
	from := len(a.calls)
	a.forAWhile(20 * time.Minute)
	if built := only(a.calls[from:], func(call string) bool { return strings.HasPrefix(call, "Build") }); len(built) > 0 {
		t.Errorf("rendered %d times", len(built))
	}
	if asked := only(a.calls[from:], func(call string) bool { return call == "Pin" }); len(asked) < 3 || len(asked) > 5 {
		t.Errorf("asked %d times in four intervals", len(asked))
	}
}

func TestATagThatMovedAndFailedIsNotRolledOutAgain(t *testing.T) {
	a := following(t)
	a.tags["acme/cart:1"] = "sha256:bad"
	a.forAWhile(20 * time.Minute)
	if a.image("cart") != "acme/cart@sha256:one" || len(a.records) != 2 || a.result() != manifests.RolledBack {
		t.Fatalf("runs %s, %d releases, %s", a.image("cart"), len(a.records), a.result())
	}
	a.settle()
	if a.status.Held == nil || a.status.Phase != v1alpha1.RolledBack {
		t.Errorf("%s, held %+v", a.status.Phase, a.status.Held)
	}
	t.Run("by another process", func(t *testing.T) {
		a.restart()
		a.settle()
		if len(a.records) != 2 || a.status.Held == nil {
			t.Errorf("%d releases, held %+v", len(a.records), a.status.Held)
		}
	})
	t.Run("with another tag that moves", func(t *testing.T) {
		a.tags["acme/side:1"] = "sha256:side2"
		a.forAWhile(20 * time.Minute)
		if a.image("cart") != "acme/cart@sha256:one" || a.image("side") != "acme/side@sha256:side2" || a.result() != manifests.Kept {
			t.Errorf("runs %s and %s, %s", a.image("cart"), a.image("side"), a.result())
		}
	})
	t.Run("with another commit", func(t *testing.T) {
		a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
		a.poll()
		a.until("v2", manifests.Kept)
		if a.image("cart") != "acme/cart@sha256:one" {
			t.Errorf("runs %s", a.image("cart"))
		}
	})
	t.Run("until it moves on", func(t *testing.T) {
		a.tags["acme/cart:1"] = "sha256:three"
		a.forAWhile(20 * time.Minute)
		if a.image("cart") != "acme/cart@sha256:three" || a.result() != manifests.Kept {
			t.Errorf("runs %s, %s", a.image("cart"), a.result())
		}
	})
}

func TestARetryRollsOutATagThatFailed(t *testing.T) {
	a := following(t)
	a.tags["acme/cart:1"] = "sha256:bad"
	a.forAWhile(20 * time.Minute)
	a.asked[v1alpha1.AnnotationRetryAt] = "now"
	a.forAWhile(20 * time.Minute)
	if len(a.records) != 3 {
		t.Errorf("%d releases", len(a.records))
	}
}

func TestARegistryThatIsDownIsToldAndHarmsNothing(t *testing.T) {
	a := following(t)
	a.refuse["Pin"] = fault{reason: "RegistryUnavailable", temporary: true}
	a.forAWhile(20 * time.Minute)
	if a.out.Problem == nil || a.out.Problem.Reason != "RegistryUnavailable" || len(a.records) != 1 {
		t.Errorf("problem %+v, %d releases", a.out.Problem, len(a.records))
	}
	clear(a.refuse)
	a.tags["acme/cart:1"] = "sha256:two"
	a.forAWhile(40 * time.Minute)
	if a.out.Problem != nil || a.image("cart") != "acme/cart@sha256:two" {
		t.Errorf("problem %+v, runs %s", a.out.Problem, a.image("cart"))
	}
}

func TestPeopleMayAskForWhatTheTagsAreNow(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:1"] = "sha256:two"
	a.settle()
	if a.image("cart") != "acme/cart@sha256:one" {
		t.Fatalf("without being asked it runs %s", a.image("cart"))
	}
	a.asked[v1alpha1.AnnotationResolveAt] = "now"
	a.settle()
	if a.image("cart") != "acme/cart@sha256:two" || a.result() != manifests.Kept || len(a.records) != 2 {
		t.Errorf("runs %s, %s, %d releases", a.image("cart"), a.result(), len(a.records))
	}
	a.restart()
	a.settle()
	if a.image("cart") != "acme/cart@sha256:two" || len(a.records) != 2 {
		t.Errorf("after a restart it runs %s, %d releases", a.image("cart"), len(a.records))
	}
}

func TestWhatWasAskedToResolveAndFailedIsHeldAlsoByAnotherProcess(t *testing.T) {
	a := kept(t)
	a.settle()
	a.tags["acme/cart:1"] = "sha256:bad"
	a.asked[v1alpha1.AnnotationResolveAt] = "now"
	a.settle()
	for range 2 {
		if a.status.Phase != v1alpha1.RolledBack || a.status.Held == nil || len(a.records) != 2 {
			t.Errorf("%s, held %+v, %d releases", a.status.Phase, a.status.Held, len(a.records))
		}
		a.restart()
		a.settle()
	}
}

func TestSuspectsAreThePinsThatMoved(t *testing.T) {
	got := suspects(manifests.Pins{"a:1": "a@2", "b:1": "b@1", "new:1": "new@1"}, manifests.Pins{"a:1": "a@1", "b:1": "b@1", "old:1": "old@1"})
	if diff := cmp.Diff(manifests.Pins{"a:1": "a@2"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestATagThatPeopleWentBackFromIsNotRolledOutWithAnother(t *testing.T) {
	a := following(t)
	a.tags["acme/cart:1"] = "sha256:two"
	a.forAWhile(20 * time.Minute)
	a.takeBack("now", "")
	a.forAWhile(time.Minute)
	if a.image("cart") != "acme/cart@sha256:one" {
		t.Fatalf("runs %s", a.image("cart"))
	}
	a.tags["acme/side:1"] = "sha256:side2"
	a.forAWhile(20 * time.Minute)
	if a.image("cart") != "acme/cart@sha256:one" || a.image("side") != "acme/side@sha256:side2" {
		t.Errorf("runs %s and %s", a.image("cart"), a.image("side"))
	}
}

func TestATagThatFailedIsRememberedThoughPeopleGoFurtherBack(t *testing.T) {
	a := following(t)
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a.poll()
	a.until("v2", manifests.Kept)
	a.tags["acme/cart:1"] = "sha256:bad"
	a.forAWhile(20 * time.Minute)
	a.takeBack("now", "")
	a.forAWhile(time.Minute)
	a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a.forAWhile(20 * time.Minute)
	if a.image("cart") != "acme/cart@sha256:one" || a.result() != manifests.Kept {
		t.Errorf("runs %s, %s", a.image("cart"), a.result())
	}
}

func TestWhatPeopleAskedToResolveSurvivesARestart(t *testing.T) {
	a := kept(t)
	a.settle()
	a.tags["acme/cart:1"] = "sha256:two"
	a.asked[v1alpha1.AnnotationResolveAt] = "now"
	a.poll()
	a.restart()
	a.settle()
	if a.image("cart") != "acme/cart@sha256:two" || len(a.records) != 2 {
		t.Errorf("runs %s, %d releases", a.image("cart"), len(a.records))
	}
}

func TestARetryOfATagThatFailedSurvivesARestart(t *testing.T) {
	a := following(t)
	a.tags["acme/cart:1"] = "sha256:bad"
	a.forAWhile(20 * time.Minute)
	a.well[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = true
	a.asked[v1alpha1.AnnotationRetryAt] = "now"
	a.pass()
	a.restart()
	a.settle()
	if a.image("cart") != "acme/cart@sha256:bad" || len(a.records) != 3 {
		t.Errorf("runs %s, %d releases", a.image("cart"), len(a.records))
	}
}
