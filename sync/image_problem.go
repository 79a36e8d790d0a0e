package sync

import (
	"errors"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// imageError names the object and the container whose image could not be resolved.
type imageError struct {
	cause error
	image manifests.Image
}

func (e imageError) Error() string {
	return e.image.Object.String() + ": container " + e.image.Container + ": " + e.cause.Error()
}

func (e imageError) Unwrap() error { return e.cause }

func (e imageError) Describe() (string, bool, time.Duration) {
	p := problemOf(e.cause)
	return p.Reason, p.Temporary, p.After
}

// imageProblem adds to a resolver's error the first of the places that name the image.
func imageProblem(err error, images []manifests.Image) error {
	var about interface{ Subject() string }
	if !errors.As(err, &about) {
		return err
	}
	for _, image := range images {
		if image.Image == about.Subject() {
			return imageError{cause: err, image: image}
		}
	}
	return err
}
