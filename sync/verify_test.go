package sync

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// signed asks for signatures of images.
func signed(images ...string) []v1alpha1.ImageVerification {
	return []v1alpha1.ImageVerification{{Images: images, SecretRef: v1alpha1.LocalReference{Name: "cosign"}}}
}

func verifies(call string) bool { return strings.HasPrefix(call, "Verify") }

func TestAReleaseIsVerifiedBeforeItStarts(t *testing.T) {
	a := kept(t)
	a.spec.Images.Verify = signed()
	a.pushGood()
	calls := a.poll()
	want := []string{"Verify acme/cart:2", "Differing", "Store 2"}
	if diff := cmp.Diff(want, only(calls, func(call string) bool {
		return verifies(call) || call == "Differing" || strings.HasPrefix(call, "Store")
	})); diff != "" {
		t.Error(diff)
	}
	a.until("v2", manifests.Kept)
	t.Run("and not again at rest, or by another process", func(t *testing.T) {
		from := len(a.calls)
		a.forAWhile(time.Hour)
		a.restart()
		a.settle()
		if again := only(a.calls[from:], verifies); len(again) > 0 {
			t.Errorf("called %v", again)
		}
	})
	t.Run("with the pins of an earlier release, too", func(t *testing.T) {
		a.bare["acme/cart:1"] = true
		a.head = "v1"
		if wrote := only(a.poll(), writes); len(wrote) > 0 || a.out.Problem == nil || a.out.Problem.Reason != "Unsigned" {
			t.Errorf("wrote %v, problem %+v", wrote, a.out.Problem)
		}
	})
}

func TestAnUnsignedImageIsRefused(t *testing.T) {
	a := kept(t)
	a.spec.Images.Verify = signed()
	a.bare["acme/cart:2"] = true
	a.pushGood()
	if wrote := only(a.poll(), writes); len(wrote) > 0 {
		t.Errorf("wrote %v", wrote)
	}
	const told = "commit v2: Deployment/shop/cart (deploy/1.json): container cart: no: Unsigned"
	if p := a.out.Problem; p == nil || p.Temporary || p.Message != told {
		t.Errorf("the problem is %+v", p)
	}
	t.Run("and waited for while that is not known", func(t *testing.T) {
		clear(a.bare)
		a.refuse["Verify"] = unreachable
		a.push("v3", web("cart", "acme/cart:2"))
		a.poll()
		if p := a.out.Problem; p == nil || !p.Temporary || p.Reason != "Unavailable" {
			t.Errorf("the problem is %+v", p)
		}
		clear(a.refuse)
		a.forAWhile(time.Minute)
		if a.status.Deployed.Commit != "v3" {
			t.Errorf("deployed is %s, problem %+v", a.status.Deployed.Commit, a.out.Problem)
		}
	})
	t.Run("as a digest of the last release is", func(t *testing.T) {
		a := usingLast(t)
		a.spec.Images.Verify = signed()
		a.away["acme/cart:1"] = unreachable
		a.bare["acme/cart:1"] = true
		if wrote := only(a.poll(), writes); len(wrote) > 0 || a.out.Problem == nil || a.out.Problem.Reason != "Unsigned" {
			t.Errorf("wrote %v, problem %+v", wrote, a.out.Problem)
		}
	})
	t.Run("as a tag that moves is", func(t *testing.T) {
		a := following(t)
		a.spec.Images.Verify = signed()
		a.settle()
		a.tags["acme/cart:1"] = "sha256:two"
		a.bare["acme/cart:1"] = true
		a.forAWhile(20 * time.Minute)
		if a.image("cart") != "acme/cart@sha256:one" || a.out.Problem == nil || a.out.Problem.Reason != "Unsigned" {
			t.Errorf("runs %s, problem %+v", a.image("cart"), a.out.Problem)
		}
		clear(a.bare)
		a.tags["acme/cart:1"] = "sha256:three"
		a.forAWhile(20 * time.Minute)
		if a.image("cart") != "acme/cart@sha256:three" || a.out.Problem != nil {
			t.Errorf("and then %s, problem %+v", a.image("cart"), a.out.Problem)
		}
	})
}

func TestATagThatIsMovedToASignedImageIsTaken(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *agent{"by a Sync that follows it": following, "by one that does not": kept} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			a.spec.Images.Verify = signed()
			a.settle()
			a.tags["acme/cart:2"] = "sha256:two"
			a.refuse["Verify acme/cart:2"] = fault{reason: "NotSigned", subject: "acme/cart:2", temporary: true}
			a.push("v2", web("cart", "acme/cart:2"))
			a.forAWhile(time.Hour)
			refused := a.now
			a.forAWhile(20 * time.Minute)
			if got := a.lastSince(); got.Before(refused.Add(-16*time.Minute)) || a.out.Problem == nil || a.out.Problem.Reason != "NotSigned" {
				t.Errorf("since %s ago, problem %+v", a.now.Sub(got), a.out.Problem)
			}
		})
	}
	t.Run("but a registry that is down is asked for it once", func(t *testing.T) {
		a := kept(t)
		a.spec.Images.Verify = signed()
		a.settle()
		a.refuse["Verify acme/cart:2"] = fault{reason: "Unavailable", subject: "acme/cart:2", temporary: true}
		a.pushGood()
		begun := a.now
		a.passAfter(time.Minute)
		a.forAWhile(time.Hour)
		if got := a.lastSince(); got.After(begun.Add(2 * time.Minute)) {
			t.Errorf("since %s after the commit", got.Sub(begun))
		}
	})
}

func TestARollbackAsksForNoSignature(t *testing.T) {
	a := kept(t)
	a.spec.Images.Verify = signed("acme/cart:2")
	a.pushBad()
	a.poll()
	a.refuse["Verify"], a.refuse["Pin"] = denied, down
	a.until("v2", manifests.RolledBack)
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

// custom is a custom resource that names image in a field of its spec.
func custom(apiVersion, kind, field, image string) map[string]any {
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": "cart"}, "spec": map[string]any{field: image}}
}

// alone is an object whose images are to be left alone.
func alone(object map[string]any) map[string]any {
	object["metadata"].(map[string]any)["annotations"] = map[string]any{manifests.AnnotationResolve: "disabled"}
	return object
}

func TestWhatIsToBeSignedMustBePinned(t *testing.T) {
	const digest = "@sha256:8704a1f0cd30a9d1ba7e5d0d9c4a2d8c0d4c1b5d1b0b3f3d5d1a4e7c2f9b6a11"
	for _, test := range []struct {
		name   string
		object map[string]any
		spec   v1alpha1.Images
		asked  string // the images that a signature is asked of
		why    string // the refusal; empty without one
	}{
		{"a tag", web("cart", "acme/cart:1"), v1alpha1.Images{Verify: signed()}, "acme/cart:1", ""},
		{"a tag that is not to be signed", web("cart", "acme/cart:1"), v1alpha1.Images{Verify: signed("acme/side:1")}, "", ""},
		{"an excluded tag", web("cart", "acme/cart:1"), v1alpha1.Images{Verify: signed(), Exclude: []string{"acme/cart:1"}}, "", "excluded by spec.images.exclude"},
		{"an excluded tag that is not to be signed", web("cart", "acme/cart:1"), v1alpha1.Images{Verify: signed("acme/side:1"), Exclude: []string{"acme/cart:1"}}, "", ""},
		{"an excluded digest", web("cart", "acme/cart"+digest), v1alpha1.Images{Verify: signed(), Exclude: []string{"acme/cart" + digest}}, "acme/cart" + digest, ""},
		{"a tag that is never resolved", web("cart", "acme/cart:1"), v1alpha1.Images{Verify: signed(), Resolve: v1alpha1.ResolveNever}, "", "spec.images.resolve is Never"},
		{"a digest where nothing is resolved", web("cart", "acme/cart:1"+digest), v1alpha1.Images{Verify: signed(), Resolve: v1alpha1.ResolveNever}, "acme/cart:1" + digest, ""},
		{"a tag that is to be left alone", alone(web("cart", "acme/cart:1")), v1alpha1.Images{Verify: signed()}, "", "belay.dev/resolve is disabled on the object"},
		{"a digest in a field that keeps its tag", custom("postgresql.cnpg.io/v1", "Cluster", "imageName", "acme/pg:16"+digest), v1alpha1.Images{Verify: signed()}, "acme/pg:16" + digest, ""},
		{"a digest in a field that belay does not know", custom("acme.example/v1", "Shop", "cartImage", "acme/cart"+digest), v1alpha1.Images{Verify: signed()}, "acme/cart" + digest, ""},
		{"a digest that is filled in", custom("tekton.dev/v1", "StepAction", "image", "acme/cart@$(params.digest):1"), v1alpha1.Images{Verify: signed()}, "acme/cart@$(params.digest):1", ""},
		{"a digest that is to be left alone", alone(web("cart", "acme/cart"+digest)), v1alpha1.Images{Verify: signed()}, "acme/cart" + digest, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.tags["acme/cart:1"] = "sha256:one"
			w.push("v1", test.object)
			a := newAgent(t, w)
			a.spec.Images = test.spec
			calls := a.pass()
			var asked []string
			for _, call := range only(calls, verifies) {
				asked = append(asked, strings.TrimPrefix(call, "Verify "))
			}
			if got := strings.Join(asked, "; "); got != test.asked {
				t.Errorf("asked of %q, want %q", got, test.asked)
			}
			if test.why == "" {
				if a.out.Problem != nil || len(a.records) != 1 {
					t.Errorf("problem %+v, %d releases", a.out.Problem, len(a.records))
				}
				return
			}
			if p := a.out.Problem; p == nil || p.Reason != "VerifyNeedsPin" || p.Temporary || !strings.Contains(p.Message, "Deployment/shop/cart (deploy/0.json): container cart: acme/cart:1 has to be signed") ||
				!strings.Contains(p.Message, test.why) {
				t.Errorf("the problem is %+v", p)
			}
			if wrote := only(calls, writes); len(wrote) > 0 {
				t.Errorf("wrote %v", wrote)
			}
		})
	}
}
