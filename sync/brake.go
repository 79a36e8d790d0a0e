package sync

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// brake refuses a release that would delete more of what is there than spec.apply.maxPrune allows.
func (s *Syncer) brake(want Want, release manifests.Release, there int) error {
	apply := want.Spec.Apply
	leaving := plan(release, nil).Prune
	if apply.MaxPrune == nil || !apply.Prunes() || len(leaving) <= most(*apply.MaxPrune, there) {
		return nil
	}
	return refusal{"TooMuchPruned", fmt.Sprintf("it would delete %d of %d objects, and spec.apply.maxPrune is %s: %s. "+
		"If that is meant: kubectl annotate sync %s -n %s --overwrite %s=%s",
		len(leaving), there, apply.MaxPrune, manifests.Names(leaving, 5), s.Name, s.Namespace, v1alpha1.AnnotationAllowPrune, release.Commit.Hash)}
}

// most is how many of so many objects a limit lets go. The API server lets only numbers and percentages through; with
// anything else nothing may go.
func most(limit intstr.IntOrString, there int) int {
	count, err := intstr.GetScaledValueFromIntOrPercent(&limit, there, false)
	if err != nil {
		return 0
	}
	return count
}
