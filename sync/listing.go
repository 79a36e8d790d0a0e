package sync

import (
	"context"
	"slices"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// listing is what passes need of a release besides its objects, so that one at rest, or one that was stored a moment ago,
// is not read and unpacked over and over.
type listing struct {
	number   int
	ids      []manifests.ID
	owned    []manifests.ID // see [manifests.Release.Owned], and so is adopted
	adopted  []manifests.ID
	pins     manifests.Pins
	resolved map[string]manifests.Resolution
	unpinned []v1alpha1.UnpinnedImage
	waves    map[manifests.ID]int // those of objects that have one, 0 aside

	ran   []manifests.Object // the Jobs of passing: done compares them with those of the next release
	hooks []manifests.Object // of ids; they are not judged as objects at rest
	jobs  []manifests.ID     // that may run as hooks, of this release or of one before

	// Of ids: Jobs that need not be there, those that need not once the release is kept, and objects whose health is
	// nobody's business, for Git says to leave them alone, or that of a stage of its own, as hooks'.
	done, passing, aside []manifests.ID
}

// mostListed is how many releases are remembered: the newest, the one to go back to, and one that people go back to.
const mostListed = 3

// list answers what passes need of a release, and remembers it.
func (s *Syncer) list(ctx context.Context, number int) (listing, error) {
	if listed, known := s.listed(number); known {
		s.memory.listed = listed
		return listed, nil
	}
	release, err := s.Journal.Load(ctx, number)
	if err != nil {
		return listing{}, err
	}
	return s.note(release), nil
}

// listed is what is remembered of a release.
func (s *Syncer) listed(number int) (listed listing, known bool) {
	i := slices.IndexFunc(s.memory.listings, func(l listing) bool { return l.number == number })
	if i < 0 {
		return listing{}, false
	}
	return s.memory.listings[i], true
}

// note remembers a release that is at hand, since it was stored or read.
func (s *Syncer) note(release manifests.Release) listing {
	listed := listingOf(release)
	if places, err := imagePlaces(s.Places, s.memory.spec.Paths); err == nil {
		listed.unpinned = tellUnpinned(unpinned(release.Objects, places, s.memory.spec))
	}
	others := slices.DeleteFunc(s.memory.listings, func(l listing) bool { return l.number == listed.number })
	s.memory.listings = append([]listing{listed}, others[:min(mostListed-1, len(others))]...)
	s.memory.listed = listed
	return listed
}

func listingOf(release manifests.Release) listing {
	listed := listing{
		number: release.Number, ids: release.Objects.IDs(), owned: release.Owned, adopted: release.Adopted,
		pins: release.Pins, resolved: release.Resolved,
		waves: map[manifests.ID]int{}, done: release.Done, passing: passing(release.Objects),
		hooks: hooksOf(release.Objects), jobs: hookJobs(release),
	}
	for _, id := range listed.passing {
		listed.ran = append(listed.ran, release.Objects.Object(id))
	}
	for _, o := range release.Objects.Objects() {
		if wave := o.Wave(); wave != 0 {
			listed.waves[o.ID()] = wave
		}
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
