package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// verify refuses a release that is about to start with an image that is not signed as the spec asks for. Whether pins are
// new, those of an earlier release or written in Git makes no difference.
func (s *Syncer) verify(ctx context.Context, want Want, d draft) error {
	rules := want.Spec.Images.Verify
	if len(rules) == 0 {
		return nil
	}
	if err := needsPin(unpinned(d.Objects, d.places, want.Spec.Images), rules); err != nil {
		return err
	}
	images, pins := d.signed(rules)
	if len(images) == 0 {
		return nil
	}
	request := PinRequest{Images: images, Own: d.unpinned, Since: s.memory.fresh}
	err := s.Resolver.Verify(ctx, request, pins, rules)
	if isOfImages(err) {
		s.memory.fresh = s.Clock() // what is pushed from now on may be signed
	}
	return imageProblem(err, images, pins)
}

// isOfImages tells that a resolver's error says something of an image, and not only that its registry is down.
func isOfImages(err error) bool {
	faults, _ := imageFaults(err)
	return slices.ContainsFunc(faults, func(f imageFault) bool { return !problemOf(f).isOutOfReach() })
}

// signed is the images that rules ask a signature of, and their pins: an image that Git has with its digest is its own,
// also where nothing is to be resolved, or where belay leaves an image as it is.
func (d draft) signed(rules []v1alpha1.ImageVerification) ([]manifests.Image, manifests.Pins) {
	pins := manifests.Pins{}
	maps.Copy(pins, d.Pins)
	var images []manifests.Image
	for _, image := range d.unpinned.Named(d.places) {
		if manifests.HasDigest(image.Image) && pins[image.Image] == "" {
			pins[image.Image] = image.Image
		}
		if pins[image.Image] != "" && isToBeSigned(image.Image, rules) {
			images = append(images, image)
		}
	}
	return images, pins
}

// needsPin refuses images that are to be signed and run as they are written: there is no digest to ask a signature of.
func needsPin(unpinned []manifests.Unpinned, rules []v1alpha1.ImageVerification) error {
	for _, u := range unpinned {
		if isToBeSigned(u.Image, rules) {
			return refusal{"VerifyNeedsPin", fmt.Sprintf("%s: %s: %s has to be signed (spec.images.verify), and it runs as it is written: %s. "+
				"Let it be pinned, write it with its digest, or have no entry of spec.images.verify match it", u.Object, u.Where, u.Image, u.Reason)}
		}
	}
	return nil
}

// isToBeSigned tells the images that an entry of spec.images.verify matches.
func isToBeSigned(image string, rules []v1alpha1.ImageVerification) bool {
	return slices.ContainsFunc(rules, func(rule v1alpha1.ImageVerification) bool { return AsksToSign(rule, image) })
}

// AsksToSign tells whether an entry of spec.images.verify is about an image, as it is written.
func AsksToSign(rule v1alpha1.ImageVerification, image string) bool {
	return len(rule.Images) == 0 || manifests.MatchesAny(image, rule.Images)
}
