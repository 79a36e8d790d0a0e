package sync

import (
	"fmt"
	"slices"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// imagePlaces are where custom resources name images: those that the agent knows of and those of a spec.
func imagePlaces(more []manifests.Place, paths []v1alpha1.ImagePath) ([]manifests.Place, error) {
	places := slices.Clone(more)
	for i, p := range paths {
		place := manifests.Place{Group: p.Group, Kind: p.Kind, Path: p.Path, PodSpec: p.PodSpec, Prefix: p.Prefix}
		if err := manifests.CheckPlace(place); err != nil {
			return nil, refusal{"InvalidSpec", fmt.Sprintf("spec.images.paths[%d], %q: %s", i, p.Path, err)}
		}
		places = append(places, place)
	}
	return places, nil
}

// included is images without those that run as they are written.
func included(images []manifests.Image, exclude []string) []manifests.Image {
	return slices.DeleteFunc(images, func(image manifests.Image) bool { return manifests.MatchesAny(image.Image, exclude) })
}
