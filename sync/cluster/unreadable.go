package cluster

import (
	"errors"
	"fmt"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// newer is what a belay after this one wrote of a release: its format, or what became of it.
type newer struct {
	format int
	result manifests.Result
}

func (n newer) Error() string {
	if n.result != "" {
		return fmt.Sprintf("was marked by a newer belay (%q, which this one does not know): run that version or a later one", n.result)
	}
	return fmt.Sprintf("was stored by a newer belay (format %d; this one reads %d): run that version or a later one", n.format, format)
}

// refuse tells people what is wrong with a release. One of a newer belay is sound, and nobody is told to delete it.
func (j *Journal) refuse(number int, err error) error {
	var n newer
	if errors.As(err, &n) {
		return &Error{Reason: "ReleaseNewer", Detail: fmt.Sprintf("release %d of Sync %s %s", number, j.sync, n)}
	}
	return j.corrupt(number, err.Error())
}

// corrupt refuses a release that is not what was stored. Nothing is guessed.
func (j *Journal) corrupt(number int, what string) error {
	return &Error{Reason: "ReleaseCorrupt", Object: fmt.Sprintf("release %d of Sync %s", number, j.sync),
		Detail: fmt.Sprintf("%s; restore its Secrets, or delete them to go on without: kubectl delete secrets -n %s -l %s && %s",
			what, j.sync.Namespace, j.selector(number), j.without(number))}
}

// lost refuses to take a release that is gone for one that never was.
func (j *Journal) lost(number int) error {
	return &Error{Reason: "ReleaseLost", Object: fmt.Sprintf("release %d of Sync %s", number, j.sync),
		Detail: fmt.Sprintf("the Sync's status tells of it, and the last of its Secrets is not there; restore the Secrets belay.%s.%d.*, or go on without: %s",
			j.sync.Name, number, j.without(number))}
}

// without is how people have a Sync go on although a release is gone.
func (j *Journal) without(number int) string {
	return fmt.Sprintf("kubectl annotate sync %s -n %s --overwrite %s=%d (objects that only it had are nobody's then)",
		j.sync.Name, j.sync.Namespace, v1alpha1.AnnotationWithout, number)
}
