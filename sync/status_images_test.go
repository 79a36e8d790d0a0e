package sync

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestImagesAreToldWithHowTheyWereFound(t *testing.T) {
	o := outcome(manifests.Kept)
	stored, asked := noon.Add(-10*time.Hour), noon.Add(-11*time.Hour)
	o.Pins = manifests.Pins{"a:1": "a@sha256:01", "b:1": "b@sha256:02", "c@sha256:03": "c@sha256:03", "d:1": "d@sha256:04"}
	o.Resolved = map[string]manifests.Resolution{
		"a:1": {At: asked.Add(300 * time.Millisecond), Credentials: "Secret shop/registry"}, "b:1": {At: asked, Release: 3}, "c@sha256:03": {},
	}
	got := o.Status(v1alpha1.Status{}, 1, noon)
	want := []v1alpha1.PinnedImage{
		{Image: "a:1", Digest: "sha256:01", ResolvedAt: metav1.NewTime(asked), Credentials: "Secret shop/registry"},
		{Image: "b:1", Digest: "sha256:02", ResolvedAt: metav1.NewTime(asked), FromRelease: 3},
		{Image: "c@sha256:03", Digest: "sha256:03", ResolvedAt: metav1.NewTime(stored)},
		{Image: "d:1", Digest: "sha256:04", ResolvedAt: metav1.NewTime(stored)},
	}
	if diff := cmp.Diff(want, got.Images); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(got, o.Status(got, 1, noon.Add(time.Hour))); diff != "" {
		t.Error("a second time:", diff)
	}
}

func TestMissingDigestsAreToldUntilSomebodyLooksAgain(t *testing.T) {
	o := outcome(manifests.Kept)
	o.Pins = manifests.Pins{"a:1": "a@sha256:01", "b:1": "b@sha256:02"}
	missing := func(s v1alpha1.Status) []bool { return []bool{s.Images[0].Missing, s.Images[1].Missing} }
	looked := o
	looked.Checked, looked.Lost = true, []Lost{{"b:1", "sha256:02", 1}}
	told := looked.Status(v1alpha1.Status{}, 1, noon)
	if diff := cmp.Diff([]bool{false, true}, missing(told)); diff != "" {
		t.Error(diff)
	}
	later := o.Status(told, 2, noon.Add(time.Hour))
	condition := meta.FindStatusCondition(later.Conditions, v1alpha1.ImagesMissing)
	if diff := cmp.Diff([]bool{false, true}, missing(later)); diff != "" || condition == nil || condition.ObservedGeneration != 2 || !condition.LastTransitionTime.Time.Equal(noon) {
		t.Errorf("later: %s%+v", diff, condition)
	}
	unread := Outcome{Unread: true}.Status(told, 1, noon)
	if diff := cmp.Diff([]bool{false, true}, missing(unread)); diff != "" || meta.FindStatusCondition(unread.Conditions, v1alpha1.ImagesMissing) == nil {
		t.Errorf("with no journal: %s%+v", diff, unread.Conditions)
	}
	t.Run("but not of another digest", func(t *testing.T) {
		moved := o
		moved.Pins = manifests.Pins{"a:1": "a@sha256:01", "b:1": "b@sha256:03"}
		if diff := cmp.Diff([]bool{false, false}, missing(moved.Status(told, 1, noon))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("nor once they are there", func(t *testing.T) {
		found := o
		found.Checked = true
		got := found.Status(told, 1, noon)
		if diff := cmp.Diff([]bool{false, false}, missing(got)); diff != "" || meta.FindStatusCondition(got.Conditions, v1alpha1.ImagesMissing) != nil {
			t.Errorf("%s%+v", diff, got.Conditions)
		}
		if diff := cmp.Diff([]bool{false, true}, missing(told)); diff != "" {
			t.Error("what was said before is changed:", diff)
		}
	})
}

func TestImagesThatRunAsTheyAreWrittenAreTold(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	w.push("v1", web("cart", "acme/cart:1"), web("local", "registry.local/a:1"), alone(web("alone", "acme/side:1")), web("exact", "acme/exact@sha256:01"))
	a := newAgent(t, w)
	a.spec.Images.Exclude = []string{"registry.local/a:1"}
	a.settle()
	want := []v1alpha1.UnpinnedImage{
		{Object: "Deployment/shop/local", Where: "container local", Image: "registry.local/a:1", Reason: "excluded by spec.images.exclude"},
		{Object: "Deployment/shop/alone", Where: "container alone", Image: "acme/side:1", Reason: "belay.dev/resolve is disabled on the object"},
	}
	if diff := cmp.Diff(want, a.status.Unpinned); diff != "" {
		t.Error(diff)
	}
	if got := a.image("local"); got != "registry.local/a:1" {
		t.Errorf("what is excluded runs as %s", got)
	}
	if got := a.status.Images; len(got) != 2 || got[0].Image != "acme/cart:1" || got[1].Digest != "sha256:01" {
		t.Errorf("the images are %+v", got)
	}
	t.Run("by another process, too", func(t *testing.T) {
		before := a.status.DeepCopy()
		a.restart()
		a.settle()
		if diff := cmp.Diff(before.Unpinned, a.status.Unpinned); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("under the spec as it is", func(t *testing.T) {
		a.spec.Images.Resolve = v1alpha1.ResolveNever
		a.gen++
		a.settle()
		var reasons []string
		for _, u := range a.status.Unpinned {
			reasons = append(reasons, u.Object+": "+u.Reason)
		}
		want := []string{
			"Deployment/shop/cart: spec.images.resolve is Never", "Deployment/shop/local: spec.images.resolve is Never",
			"Deployment/shop/alone: belay.dev/resolve is disabled on the object",
		}
		if diff := cmp.Diff(want, reasons); diff != "" {
			t.Error(diff)
		}
		if len(a.status.Images) > 0 {
			t.Errorf("the images are %+v", a.status.Images)
		}
	})
	t.Run("and not once they are pinned", func(t *testing.T) {
		a.spec.Images = v1alpha1.Images{}
		a.gen++
		a.tags["registry.local/a:1"] = "sha256:local"
		a.settle()
		if got := a.status.Unpinned; len(got) != 1 || got[0].Object != "Deployment/shop/alone" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWhyAnImageIsNotPinnedIsToldUnderTheSpecAsItIs(t *testing.T) {
	w := newWorld()
	w.push("v1", web("local", "registry.local/a:1"))
	a := newAgent(t, w)
	a.spec.Images.Exclude = []string{"registry.local/*"}
	a.settle()
	a.spec.Images = v1alpha1.Images{Resolve: v1alpha1.ResolveNever}
	a.gen++
	a.settle()
	if got := a.status.Unpinned; len(got) != 1 || got[0].Reason != "spec.images.resolve is Never" || len(a.records) != 1 {
		t.Errorf("%+v, %d releases", got, len(a.records))
	}
}

func TestWhatIsSaidOfUnpinnedImagesIsBounded(t *testing.T) {
	w := newWorld()
	var objects []map[string]any
	long := make([]byte, 2000)
	for i := range long {
		long[i] = 'x'
	}
	for i := range 30 {
		objects = append(objects, web(fmt.Sprintf("web%d", i), "acme/"+string(long)))
	}
	w.push("v1", objects...)
	a := newAgent(t, w)
	a.spec.Images.Resolve = v1alpha1.ResolveNever
	a.settle()
	if got := a.status.Unpinned; len(got) != 20 || len(got[0].Image) > 300 {
		t.Errorf("%d are told, the first as %s", len(got), got[0].Image)
	}
}

func TestAChangeOfWhatIsExcludedPinsOrLetsGo(t *testing.T) {
	a := kept(t)
	a.spec.Images.Exclude = []string{"acme/cart:1"}
	a.gen++
	a.settle()
	if a.image("cart") != "acme/cart:1" || len(a.records) != 2 || len(a.release(2).Pins) > 0 {
		t.Errorf("excluded, it runs %s; release 2 has %v", a.image("cart"), a.release(2).Pins)
	}
	a.spec.Images.Exclude = nil
	a.gen++
	a.settle()
	if a.image("cart") != "acme/cart@sha256:one" {
		t.Errorf("and then %s", a.image("cart"))
	}
}

func TestAnUpgradeThatWritesTheDefaultOfOnFailureIsNoChangeOfSpec(t *testing.T) {
	spec := v1alpha1.Spec{Images: v1alpha1.Images{Resolve: v1alpha1.ResolveOnCommit}}
	before := optionsOf(spec)
	spec.Images.OnFailure = v1alpha1.OnFailureFail
	if optionsOf(spec) != before {
		t.Error("releases that were held before the upgrade are tried again")
	}
	spec.Images.OnFailure = v1alpha1.OnFailureUseLast
	if optionsOf(spec) == before {
		t.Error("UseLast makes no difference to a release that waits")
	}
}
