package cluster

// FAULTS "Apply": two Syncs own one object: the second is refused and names the first, also when both come at once.

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

func TestOfTwoSyncsThatWantToCreateAnObjectOneDoes(t *testing.T) {
	h := newHands()
	h.wants(named("apart"), only(splice), false)
	h.wants(named("b"), only(knot), false)
	if taken := h.claim(named("a"), []manifests.ID{knot}); len(taken) > 0 {
		t.Errorf("the first is refused: %v", taken)
	}
	first := map[manifests.ID]types.NamespacedName{knot: named("a")}
	if diff := cmp.Diff(first, h.claim(named("b"), []manifests.ID{knot, splice})); diff != "" {
		t.Error(diff)
	}
	if taken := h.claim(named("a"), []manifests.ID{knot, splice}); len(taken) > 0 {
		t.Errorf("what was refused is claimed in part: %v", taken)
	}
	h.settle(named("b"), knot) // it is not b's to end
	if diff := cmp.Diff(first, h.claim(named("b"), []manifests.ID{knot})); diff != "" {
		t.Error(diff)
	}
	h.called = nil
	h.disclaim(named("a"), only(splice))
	if !slices.Equal(h.called, []string{"b"}) {
		t.Errorf("who is called: %v", h.called)
	}
	if taken := h.claim(named("b"), []manifests.ID{knot}); len(taken) > 0 {
		t.Errorf("what is let go of cannot be had: %v", taken)
	}
	h.settle(named("a"), splice)
	h.forget(named("b"))
	if len(h.claims) > 0 {
		t.Errorf("left: %v", h.claims)
	}
}
