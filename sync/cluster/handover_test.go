package cluster

// FAULTS "Apply": an object that moved from one Sync to another is handed over, never deleted (flux2#3316).

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// listOfSyncs is all that a handover asks of a client.
type listOfSyncs struct {
	client.Reader
	syncs []v1alpha1.Sync
}

func (l listOfSyncs) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*v1alpha1.SyncList).Items = l.syncs
	return nil
}

func syncOf(name, url string) v1alpha1.Sync {
	s := v1alpha1.Sync{}
	s.Namespace, s.Name, s.Spec.Source.URL = "shop", name, url
	return s
}

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: name}
}

// hands is a handover among Syncs: a, b and paused follow one repository, apart another one; gone is being deleted.
type hands struct {
	*handover
	now    time.Time
	called []string
}

func newHands() *hands {
	h := &hands{now: time.Unix(1_000_000, 0)}
	h.handover = newHandover(func(sync types.NamespacedName) { h.called = append(h.called, sync.Name) })
	h.clock = func() time.Time { return h.now }
	paused, gone := syncOf("paused", "https://git.example.com/shop"), syncOf("gone", "https://git.example.com/shop")
	paused.Spec.Suspend = true
	gone.DeletionTimestamp = &metav1.Time{}
	*gone.DeletionTimestamp = metav1.Now()
	h.syncs = listOfSyncs{syncs: []v1alpha1.Sync{
		syncOf("a", "https://git.example.com/shop"), syncOf("b", "https://git.example.com/shop.git"), paused, gone,
		syncOf("apart", "https://git.example.com/other"),
	}}
	return h
}

func (h *hands) pass(d time.Duration) { h.now = h.now.Add(d) }

func (h *hands) waitsFor(t *testing.T, name string) []string {
	t.Helper()
	names, err := h.pending(t.Context(), named(name))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var knot, splice = manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "knot"}, manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "splice"}

func only(ids ...manifests.ID) map[manifests.ID]bool {
	set := map[manifests.ID]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}

func TestADeleteWaitsForTheSyncsOfTheSameRepositoryToLook(t *testing.T) {
	h := newHands()
	h.wants(named("a"), only(knot, splice), false)
	h.looked(h.now, named("a"))
	h.looked(h.now.Add(time.Second), named("b"))
	h.pass(time.Minute)
	if !h.wants(named("a"), only(splice), false) {
		t.Error("it wants less, and that is not told")
	}
	if got := h.waitsFor(t, "a"); !slices.Equal(got, []string{"shop/b"}) {
		t.Errorf("it waits for %v", got)
	}
	if !h.take(named("b"), func(p *party) *bool { return &p.asked }) || h.take(named("b"), func(p *party) *bool { return &p.asked }) {
		t.Error("the other is not asked once")
	}
	h.looked(h.now.Add(-time.Second), named("b"))
	if got := h.waitsFor(t, "a"); len(got) != 1 {
		t.Errorf("a look that began before is enough: it waits for %v", got)
	}
	h.called = nil
	h.looked(h.now.Add(time.Second), named("b"))
	if !slices.Equal(h.called, []string{"a"}) {
		t.Errorf("called: %v", h.called)
	}
	if got := h.waitsFor(t, "a"); len(got) > 0 {
		t.Errorf("it waits for %v still", got)
	}
}

func TestADeleteWaitsNoLongerThanAMinute(t *testing.T) {
	h := newHands()
	h.wants(named("a"), only(splice), false)
	h.looked(h.now, named("a"))
	h.waitsFor(t, "a")
	h.pass(longestWait)
	if got := h.waitsFor(t, "a"); len(got) != 1 {
		t.Errorf("after a minute it waits for %v", got)
	}
	h.pass(time.Second)
	if got := h.waitsFor(t, "a"); len(got) > 0 {
		t.Errorf("after more than that it waits for %v", got)
	}
	h.wants(named("a"), only(knot), false)
	if got := h.waitsFor(t, "a"); len(got) != 1 {
		t.Errorf("with another commit it waits for %v", got)
	}
}

func TestADeletedSyncWaitsForThoseThatMayTakeOver(t *testing.T) {
	h := newHands()
	h.wants(named("gone"), only(knot), false)
	h.looked(h.now.Add(time.Second), named("a"))
	h.looked(h.now.Add(time.Second), named("b"))
	h.pass(time.Minute)
	h.leaves(named("gone"))
	want := []string{"shop/a", "shop/b"}
	if diff := cmp.Diff(want, h.waitsFor(t, "gone")); diff != "" {
		t.Error(diff)
	}
	h.pass(time.Second)
	h.looked(h.now, named("a"))
	h.leaves(named("gone")) // again, which is no news
	if diff := cmp.Diff(want[1:], h.waitsFor(t, "gone")); diff != "" {
		t.Error(diff)
	}
}

func TestADeletedSyncWaitsLongerForThoseThatNobodyKnowsYet(t *testing.T) {
	h := newHands()
	h.leaves(named("gone"))
	h.looked(h.now.Add(time.Second), named("a"))
	h.waitsFor(t, "gone")
	h.pass(longestFarewell)
	if diff := cmp.Diff([]string{"shop/b"}, h.waitsFor(t, "gone")); diff != "" {
		t.Error(diff)
	}
	h.pass(time.Second)
	if got := h.waitsFor(t, "gone"); len(got) > 0 {
		t.Errorf("after that it waits for %v", got)
	}
}

func TestNothingIsDeletedBeforeTheSyncItselfHasLooked(t *testing.T) {
	h := newHands()
	h.waitsFor(t, "a")
	h.pass(time.Hour)
	if diff := cmp.Diff([]string{"shop/a"}, h.waitsFor(t, "a")); diff != "" {
		t.Error(diff)
	}
	if got := h.waitsFor(t, "apart"); len(got) > 0 {
		t.Errorf("alone in its repository it waits for %v", got)
	}
}

func TestWhatAnotherSyncWantsIsNotDeleted(t *testing.T) {
	h := newHands()
	h.wants(named("a"), only(knot, splice), false)
	h.wants(named("apart"), only(knot), false)
	for _, test := range []struct {
		id    manifests.ID
		owner string
		want  bool
	}{{knot, "a", true}, {splice, "a", false}, {splice, "b", true}} {
		if got := h.wanted(test.id, named(test.owner)); got != test.want {
			t.Errorf("%s of %s: %t", test.id, test.owner, got)
		}
	}
	h.free(knot, named("a"))
	if !slices.Equal(h.called, []string{"apart"}) {
		t.Errorf("called: %v", h.called)
	}
	freed := func(p *party) *bool { return &p.freed }
	if !h.take(named("apart"), freed) || h.take(named("apart"), freed) || h.take(named("a"), freed) {
		t.Error("not the one that wants it is told, once")
	}
	h.forget(named("apart"))
	if h.wanted(knot, named("a")) {
		t.Error("a Sync that is gone wants it still")
	}
}

func TestAnOwnerIsLettingGoOfWhatItsNewestCommitDoesNotHold(t *testing.T) {
	h := newHands()
	h.wants(named("a"), only(splice), false)
	h.wants(named("b"), only(splice), true)
	h.wants(named("gone"), only(knot, splice), false)
	h.leaves(named("gone"))
	for _, test := range []struct {
		why   string
		owner string
		id    manifests.ID
		want  bool
	}{
		{"it holds it", "a", splice, false},
		{"it does not", "a", knot, true},
		{"it does not, but prunes nothing", "b", knot, false},
		{"nothing is known of it", "apart", knot, false},
		{"it is being deleted", "gone", splice, true},
	} {
		if got := h.lettingGo(test.id, named(test.owner)); got != test.want {
			t.Errorf("%s: got %t", test.why, got)
		}
	}
}

func TestTwoSyncsThatWaitForEachOtherAreSeen(t *testing.T) {
	h := newHands()
	if h.waitFor(named("a"), named("b")) || h.waitFor(named("a"), named("b")) {
		t.Error("one that waits alone is taken for two")
	}
	if !h.waitFor(named("b"), named("a")) {
		t.Error("it is not seen")
	}
	h.wants(named("a"), only(knot), false) // a new commit
	if h.waitFor(named("b"), named("a")) {
		t.Error("a commit of the past counts")
	}
	h.waitFor(named("a"), named("b"))
	h.free(knot, named("b"))
	if h.waitFor(named("b"), named("a")) {
		t.Error("one that got what it waited for waits still")
	}
}

// What a Sync waited for may be in the past: the other has a new commit, which this one has still to look at.
func TestASyncThatHasNotSeenTheNewestCommitDoesNotWaitForIt(t *testing.T) {
	h := newHands()
	h.waitFor(named("a"), named("b"))
	h.pass(time.Second)
	h.wants(named("b"), only(knot), false)
	if h.waitFor(named("b"), named("a")) {
		t.Error("it is taken for one that waits")
	}
	h.pass(time.Second)
	if !h.waitFor(named("a"), named("b")) || !h.waitFor(named("b"), named("a")) {
		t.Error("both have looked and wait for each other, and it is not seen")
	}
}

// Three Syncs that hand objects round in one commit would each wait for the next one for ever.
func TestSyncsThatWaitInACircleAreSeen(t *testing.T) {
	h := newHands()
	if h.waitFor(named("a"), named("b")) || h.waitFor(named("b"), named("apart")) {
		t.Error("two that wait in a row are taken for a circle")
	}
	if !h.waitFor(named("apart"), named("a")) {
		t.Error("the circle is not seen")
	}
	h.leaves(named("b")) // it lets go of what it has without anybody
	if h.waitFor(named("apart"), named("a")) {
		t.Error("a Sync that goes is taken for one that waits")
	}
}
