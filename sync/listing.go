package sync

import (
	"context"
	"slices"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// listing is what passes need of a release besides its objects, so that one at rest reads no Secret.
type listing struct {
	number   int
	ids      []manifests.ID
	pins     manifests.Pins
	resolved map[string]manifests.Resolution
	unpinned []v1alpha1.UnpinnedImage
	waves    map[manifests.ID]int

	hooks []manifests.Object // of ids; they are not judged as objects at rest
	jobs  []manifests.ID     // that may run as hooks, of this release or of one before

	// Of ids: Jobs that need not be there, those that need not once the release is kept, and objects whose health is
	// nobody's business, for Git says to leave them alone, or that of a stage of its own, as hooks'.
	done, passing, aside []manifests.ID
}

// list remembers one release.
func (s *Syncer) list(ctx context.Context, number int) (listing, error) {
	if s.memory.listed.number == number {
		return s.memory.listed, nil
	}
	release, err := s.Journal.Load(ctx, number)
	if err != nil {
		return listing{}, err
	}
	s.memory.listed = listingOf(release)
	if places, err := imagePlaces(s.Places, s.memory.spec.Paths); err == nil {
		s.memory.listed.unpinned = tellUnpinned(unpinned(release.Objects, places, s.memory.spec))
	}
	return s.memory.listed, nil
}

func listingOf(release manifests.Release) listing {
	listed := listing{
		number: release.Number, ids: release.Objects.IDs(), pins: release.Pins, resolved: release.Resolved,
		waves: map[manifests.ID]int{}, done: release.Done, passing: passing(release.Objects),
		hooks: hooksOf(release.Objects), jobs: hookJobs(release),
	}
	for _, o := range release.Objects.Objects() {
		listed.waves[o.ID()] = o.Wave()
		if o.LeftAlone() || o.CreatedOnly() || o.Hook() != manifests.NoHook {
			listed.aside = append(listed.aside, o.ID())
		}
	}
	return listed
}

// expected is the objects whose health counts.
func (l listing) expected(hasRun bool) []manifests.ID {
	expected := manifests.Without(manifests.Without(l.ids, l.done), l.aside)
	if hasRun {
		return manifests.Without(expected, l.passing)
	}
	return expected
}

// before is the reports on objects of the waves before one.
func (l listing) before(wave int, reports []manifests.Health) []manifests.Health {
	return slices.DeleteFunc(slices.Clone(reports), func(h manifests.Health) bool { return l.waves[h.ID] >= wave })
}
