package sync

import (
	"reflect"
	"slices"

	"github.com/belay-gitops/belay/manifests"
)

// passing names the Jobs that take themselves away once they are complete (spec.ttlSecondsAfterFinished). Of a kept
// release all of them have run: that one is gone is no drift, and it is not run again.
func passing(objects manifests.Set) []manifests.ID {
	var jobs []manifests.ID
	for _, o := range objects.Objects() {
		id := o.ID()
		if !isJob(id) || o.Hook() != manifests.NoHook {
			continue
		}
		if o.Field("spec", "ttlSecondsAfterFinished") != nil {
			jobs = append(jobs, id)
		}
	}
	return jobs
}

func isJob(id manifests.ID) bool { return id.Group == "batch" && id.Kind == "Job" }

// done names the Jobs of a new release that the kept one has run, word for word.
func done(release manifests.Set, ran []manifests.Object) []manifests.ID {
	return slices.DeleteFunc(passing(release), func(id manifests.ID) bool {
		return !slices.ContainsFunc(ran, func(o manifests.Object) bool {
			return o.ID() == id && reflect.DeepEqual(o.Unstructured(), release.Object(id).Unstructured())
		})
	})
}

// without is objects less those named.
func without(objects []manifests.Object, ids []manifests.ID) []manifests.Object {
	if len(ids) == 0 {
		return objects
	}
	drop := manifests.Index(ids)
	return slices.DeleteFunc(slices.Clone(objects), func(o manifests.Object) bool { return drop[o.ID()] })
}
