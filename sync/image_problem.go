package sync

import (
	"errors"
	"slices"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// imageError names the object and the place in it whose image could not be resolved.
type imageError struct {
	cause error
	image manifests.Image
}

func (e imageError) Error() string {
	return e.image.Object.String() + ": " + e.image.Where() + ": " + e.cause.Error()
}

func (e imageError) Unwrap() error { return e.cause }

func (e imageError) Describe() (string, bool, time.Duration) {
	p := problemOf(e.cause)
	return p.Reason, p.Temporary, p.After
}

// imageProblem adds to a resolver's error the first of the places that name the image, as Git has it or pinned.
func imageProblem(err error, images []manifests.Image, pins manifests.Pins) error {
	var about interface{ Subject() string }
	if !errors.As(err, &about) || about.Subject() == "" {
		return err
	}
	for _, image := range images {
		if image.Image == about.Subject() || pins[image.Image] == about.Subject() {
			return imageError{cause: err, image: image}
		}
	}
	return err
}

// imageFault is a resolver's error about one image.
type imageFault interface {
	selfDescribing
	Subject() string
}

// imageFaults takes a resolver's error apart. It is all of it only if every part is about an image.
func imageFaults(err error) (faults []imageFault, all bool) {
	switch e := err.(type) {
	case imageFault:
		return []imageFault{e}, true
	case interface{ Unwrap() error }:
		return imageFaults(e.Unwrap())
	case interface{ Unwrap() []error }:
		all = true
		for _, part := range e.Unwrap() {
			more, whole := imageFaults(part)
			faults, all = append(faults, more...), all && whole
		}
		return faults, all && len(faults) > 0
	}
	return nil, false
}

// outOfReachAll takes a resolver's error apart, and tells whether all of it is that registries are out of reach.
func outOfReachAll(err error) (faults []imageFault, down bool) {
	faults, down = imageFaults(err)
	for _, fault := range faults {
		down = down && problemOf(fault).isOutOfReach()
	}
	return faults, down
}

// busy is the reason of what was not even asked, for belay has asked the registry enough for now.
const busy = "Busy"

// outOfReach are the reasons of registries that say nothing of an image: they are down, or want to be left alone.
var outOfReach = []string{"Unavailable", "Timeout", "TooManyRequests", busy}

func (p Problem) isOutOfReach() bool { return slices.Contains(outOfReach, p.Reason) }

// serious is a resolver's error without what is only put off; nil where that is all.
func serious(err error) error {
	faults, all := imageFaults(err)
	if !all {
		return err
	}
	var rest []error
	for _, fault := range faults {
		if problemOf(fault).Reason != busy {
			rest = append(rest, fault)
		}
	}
	return errors.Join(rest...)
}
