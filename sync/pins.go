package sync

import (
	"context"
	"maps"
	"slices"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// pinning is what to run for images, and how that was found.
type pinning struct {
	pins     manifests.Pins
	resolved map[string]manifests.Resolution
}

// of is what of it is about the images named.
func (p pinning) of(images []string) pinning {
	some := pinning{manifests.Pins{}, map[string]manifests.Resolution{}}
	for _, image := range images {
		if pin, ok := p.pins[image]; ok {
			some.take(image, pin, p.resolved[image])
		}
	}
	return some
}

func (p pinning) take(image, pin string, resolution manifests.Resolution) {
	p.pins[image], p.resolved[image] = pin, resolution
}

// pinningOf is that of a stored release. One that an earlier belay stored says no more than when that was.
func pinningOf(release manifests.Release, record manifests.Record) pinning {
	p := pinning{release.Pins, maps.Clone(release.Resolved)}
	if p.resolved == nil {
		p.resolved = map[string]manifests.Resolution{}
	}
	for image := range p.pins {
		if r := p.resolved[image]; r.At.IsZero() && !manifests.HasDigest(image) {
			r.At = record.At
			p.resolved[image] = r
		}
	}
	return p
}

// pins answers what to run for each image of a release that is rendered and not pinned yet. Objects that a kept release
// had already, word for word, take that release's pins, so that `git revert` brings the bytes back although the tags have
// moved since; a Sync that follows its tags, and people who ask for it, get what the tags are now.
func (s *Syncer) pins(ctx context.Context, want Want, d draft, state State, out *Outcome) (pinning, error) {
	names := manifests.ImageNames(d.images)
	if want.Spec.Images.Resolve == v1alpha1.ResolveNever || len(names) == 0 {
		return pinning{}, nil
	}
	follows := want.Spec.Images.Resolve == v1alpha1.ResolveFollow
	if !follows && !want.Resolve {
		before, err := s.pinsBefore(ctx, d.Rendered, names, state)
		if err != nil || before.pins != nil {
			return before, err
		}
	}
	found, err := s.resolve(ctx, want, d, out)
	if !follows {
		return found, err
	}
	s.remember(d.images, found) // also with an error: a tag whose image is refused for good may move on
	if err != nil {
		return pinning{}, err
	}
	if want.Resolve || want.Retry {
		return found, nil // somebody wants just that
	}
	return s.trusted(ctx, found, state, out)
}

// resolve asks what the images are now. What a registry that is down cannot say is what it was, where the spec says so;
// but people who ask for what the tags are now do not mean that.
func (s *Syncer) resolve(ctx context.Context, want Want, d draft, out *Outcome) (pinning, error) {
	since := s.memory.fresh
	if want.Spec.Images.Resolve == v1alpha1.ResolveFollow { // also while there is no decision on the commit
		since = later(since, s.Clock().Add(-s.interval(want)))
	}
	pins, resolved, err := s.Resolver.Pin(ctx, PinRequest{Images: d.images, Own: d.unpinned, Since: since})
	found := pinning{pins, resolved}.of(manifests.ImageNames(d.images))
	if err == nil {
		return found, nil
	}
	if want.Spec.Images.OnFailure == v1alpha1.OnFailureUseLast && !want.Resolve {
		if last, ok := s.useLast(ctx, err, out); ok {
			maps.Copy(found.pins, last.pins)
			maps.Copy(found.resolved, last.resolved)
			return found, nil
		}
	}
	return pinning{}, imageProblem(err, d.images, nil)
}

// pinsBefore is the pins of the last release that was rendered alike, pinned all of the images and was kept, though
// people may have gone back from it since, or is under way for the same commit, as after a restart; none without one.
func (s *Syncer) pinsBefore(ctx context.Context, rendered string, images []string, state State) (pinning, error) {
	records, err := s.Journal.Records(ctx)
	if err != nil {
		return pinning{}, err
	}
	for _, record := range slices.Backward(records) {
		if record.Rendered != rendered || !record.Outcome.WasKept() && !s.isUnderWay(&record, state) {
			continue
		}
		release, err := s.list(ctx, record.Number)
		if err != nil {
			return pinning{}, err
		}
		unpinned := func(image string) bool { return release.pins[image] == "" }
		if !slices.ContainsFunc(images, unpinned) {
			return pinningOf(manifests.Release{Pins: release.pins, Resolved: release.resolved}, record).of(images), nil
		}
	}
	return pinning{}, nil
}

// isUnderWay tells the release that is being judged for the wanted commit.
func (s *Syncer) isUnderWay(record *manifests.Record, state State) bool {
	return state.Open() && record.Number == state.Newest.Number && record.Commit.Hash == s.memory.commit.Hash
}

// trusted is pins without what failed before: a tag that moved to a digest which was rolled back stays where the kept
// release has it, until the tag moves on.
func (s *Syncer) trusted(ctx context.Context, found pinning, state State, out *Outcome) (pinning, error) {
	records, err := s.Journal.Records(ctx)
	if err != nil || state.Kept == nil {
		return found, err
	}
	have := pinning{manifests.Pins{}, map[string]manifests.Resolution{}}
	sources := []*manifests.Record{state.Kept}
	if s.isUnderWay(state.Newest, state) {
		sources = append(sources, state.Newest) // somebody has asked for what is tried
	}
	for _, record := range sources {
		listed, err := s.list(ctx, record.Number)
		if err != nil {
			return pinning{}, err
		}
		of := pinningOf(manifests.Release{Pins: listed.pins, Resolved: listed.resolved}, *record)
		maps.Copy(have.pins, of.pins)
		maps.Copy(have.resolved, of.resolved)
	}
	trusted := pinning{resolved: maps.Clone(found.resolved)}
	var spared []string
	trusted.pins, spared = withoutSuspects(found.pins, have.pins, records)
	for _, image := range spared {
		trusted.resolved[image] = have.resolved[image]
		out.Events = append(out.Events, warning("TagHeld", "%s stays at %s: %s, where it is now, was rolled back",
			image, trusted.pins[image], found.pins[image]))
	}
	return trusted, nil
}

// withoutSuspects replaces the pins that were rolled back before by the kept ones, and names them.
func withoutSuspects(pins, kept manifests.Pins, records []manifests.Record) (trusted manifests.Pins, spared []string) {
	trusted = maps.Clone(pins)
	for image, pin := range pins {
		if kept[image] != "" && kept[image] != pin && isSuspect(image, pin, records) {
			trusted[image] = kept[image]
			spared = append(spared, image)
		}
	}
	slices.Sort(spared)
	return trusted, spared
}

// isSuspect tells that an image was rolled back at that pin, and nobody has asked for another try since.
func isSuspect(image, pin string, records []manifests.Record) bool {
	return slices.ContainsFunc(records, func(r manifests.Record) bool { return !r.Outcome.Thawed && r.Outcome.Suspects[image] == pin })
}

// spares tells that a release does not have all that the tags were resolved to.
func (s *Syncer) spares(release manifests.Release) bool {
	return s.memory.resolved != nil && !maps.Equal(s.memory.resolved, release.Pins)
}

// suspects are the pins of a refused release that the kept one has otherwise, for the same images.
func suspects(refused, kept manifests.Pins) manifests.Pins {
	moved := manifests.Pins{}
	for image, pin := range refused {
		if kept[image] != "" && kept[image] != pin {
			moved[image] = pin
		}
	}
	return moved
}
