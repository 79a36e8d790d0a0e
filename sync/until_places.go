package sync

import (
	"github.com/belay-gitops/belay/manifests"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func checkPlace(manifests.Place) error { return nil }
func excluded(image string, patterns []string) bool {
	for _, p := range patterns {
		if p == image {
			return true
		}
	}
	return false
}

func unpinnedOf(set manifests.Set, pins manifests.Pins, places []manifests.Place, why func(string) string) []manifests.Unpinned {
	all, _ := set.Map(func(u *unstructured.Unstructured) error {
		a := u.GetAnnotations()
		delete(a, manifests.AnnotationResolve)
		u.SetAnnotations(a)
		return nil
	})
	var list []manifests.Unpinned
	for _, i := range all.Images(places) {
		if hasDigest(i.Image) {
			continue
		}
		reason := why(i.Image)
		if set.Object(i.Object.ID()).Annotation(manifests.AnnotationResolve) == "disabled" {
			reason = manifests.AnnotationResolve + " is disabled on the object"
		}
		list = append(list, manifests.Unpinned{Object: i.Object, Where: "container " + i.Container, Image: i.Image, Reason: reason})
	}
	return list
}
