package sync

import (
	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// unpinned lists the images of a release's objects that run as they are written.
func unpinned(objects manifests.Set, places []manifests.Place, images v1alpha1.Images) []manifests.Unpinned {
	return objects.Unpinned(places, func(image string) string { return leftAlone(image, images) })
}

// leftAlone is what in a spec keeps an image from being pinned; empty where nothing does.
func leftAlone(image string, images v1alpha1.Images) string {
	switch {
	case images.Resolve == v1alpha1.ResolveNever:
		return "spec.images.resolve is Never"
	case manifests.MatchesAny(image, images.Exclude):
		return "excluded by spec.images.exclude"
	}
	return ""
}

// tellUnpinned is what status says of images that run as they are written.
func tellUnpinned(unpinned []manifests.Unpinned) []v1alpha1.UnpinnedImage {
	const most, longest = 20, 256
	text := func(s string) string { return shorten(firstRunes(s, longest)) }
	var told []v1alpha1.UnpinnedImage
	for _, u := range unpinned[:min(most, len(unpinned))] {
		told = append(told, v1alpha1.UnpinnedImage{
			Object: text(u.Object.ID().String()), Where: text(u.Where), Image: text(u.Image), Reason: text(u.Reason),
		})
	}
	return told
}
