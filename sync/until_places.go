package sync

import "github.com/belay-gitops/belay/manifests"

func checkPlace(manifests.Place) error { return nil }
func excluded(image string, patterns []string) bool {
	for _, p := range patterns {
		if p == image {
			return true
		}
	}
	return false
}
