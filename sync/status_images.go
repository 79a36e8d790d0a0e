package sync

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// images is what is said of the running release's pins. Of images whose digest was not asked for in this pass, what was
// said before stands.
func (o Outcome) images(before []v1alpha1.PinnedImage) []v1alpha1.PinnedImage {
	const most = 100
	images := slices.Clone(before)
	if running := o.State.Running(); running != nil && o.Pins != nil {
		images = nil
		for _, image := range slices.Sorted(maps.Keys(o.Pins)) {
			how := o.Resolved[image]
			if how.At.IsZero() {
				how.At = running.At
			}
			images = append(images, v1alpha1.PinnedImage{
				Image: image, Digest: digestOf(o.Pins[image]), ResolvedAt: metav1.NewTime(how.At).Rfc3339Copy(),
				Credentials: how.Credentials, FromRelease: how.Release,
			})
		}
		images = images[:min(most, len(images))]
	}
	for i := range images {
		images[i].Missing = o.isMissing(images[i], before)
	}
	return images
}

// isMissing tells whether the registry does not have an image's digest any more, as far as that is known.
func (o Outcome) isMissing(image v1alpha1.PinnedImage, before []v1alpha1.PinnedImage) bool {
	if o.Checked {
		return slices.ContainsFunc(o.Lost, func(l Lost) bool { return l.Image == image.Image && l.Digest == image.Digest })
	}
	return slices.ContainsFunc(before, func(b v1alpha1.PinnedImage) bool {
		return b.Image == image.Image && b.Digest == image.Digest && b.Missing
	})
}

func (o Outcome) unpinned(before []v1alpha1.UnpinnedImage) []v1alpha1.UnpinnedImage {
	if o.State.Running() == nil || o.Pins == nil {
		return before
	}
	return slices.Clone(o.Unpinned)
}

// imagesMissing sets the condition of that name, which is there only while it is true. It stands from one look at the
// registries to the next, also over a restart.
func (o Outcome) imagesMissing(status *v1alpha1.Status, generation int64, now time.Time) {
	told := meta.FindStatusCondition(status.Conditions, v1alpha1.ImagesMissing)
	switch {
	case o.Checked && len(o.Lost) == 0:
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ImagesMissing)
	case o.Checked:
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: v1alpha1.ImagesMissing, Status: metav1.ConditionTrue, Reason: digestGone, Message: shorten(tellLost(o.Lost)),
			ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(),
		})
	case told != nil:
		told.ObservedGeneration = generation
	}
}
