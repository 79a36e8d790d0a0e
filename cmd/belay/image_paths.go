package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// imagePaths reads where custom resources name images, for all Syncs: a YAML list, each entry as in spec.images.paths.
// Without a file there is none.
func imagePaths(file string) ([]manifests.Place, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the image paths: %w", err)
	}
	var paths []v1alpha1.ImagePath
	if err := yaml.UnmarshalStrict(text, &paths); err != nil {
		return nil, fmt.Errorf("reading the image paths: %s: it should be a list like that of spec.images.paths: %w", file, err)
	}
	places := placesOf(paths)
	for i, place := range places {
		if err := manifests.CheckPlace(place); err != nil {
			return nil, fmt.Errorf("reading the image paths: %s: entry %d: %w", file, i+1, err)
		}
	}
	return places, nil
}

// placesOf is the paths of a Sync, or of a file, as package manifests has them.
func placesOf(paths []v1alpha1.ImagePath) []manifests.Place {
	var places []manifests.Place
	for _, path := range paths {
		places = append(places, manifests.Place(path))
	}
	return places
}
