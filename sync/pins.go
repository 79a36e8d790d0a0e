package sync

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// pins answers what to run for each image of a release that is rendered and not pinned yet. Objects that a kept release had already, word for word, take that
// release's pins, so that `git revert` brings the bytes back although the tags have moved since; a Sync that follows
// its tags, and people who ask for it, get what the tags are now.
func (s *Syncer) pins(ctx context.Context, want Want, release manifests.Release, state State, out *Outcome) (manifests.Pins, error) {
	s.memory.images, s.memory.resolved, s.memory.following = nil, nil, failures{}
	images := release.Objects.Images(nil)
	names := manifests.ImageNames(images)
	if want.Spec.Images.Resolve == v1alpha1.ResolveNever || len(names) == 0 {
		return nil, nil
	}
	follows := want.Spec.Images.Resolve == v1alpha1.ResolveFollow
	if !follows && !want.Resolve {
		pins, err := s.pinsBefore(ctx, release.Rendered, names, state)
		if err != nil || pins != nil {
			return pins, err
		}
	}
	pins, _, err := s.Resolver.Pin(ctx, PinRequest{Images: images, Own: release.Objects, Since: s.Clock()})
	if err != nil {
		return nil, imageProblem(err, images)
	}
	if !follows {
		return pins, nil
	}
	s.memory.images, s.memory.resolved, s.memory.followed = images, pins, s.Clock()
	if want.Resolve || want.Retry {
		return pins, nil // somebody wants just that
	}
	return s.trusted(ctx, pins, state, out)
}

// pinsBefore is the pins of the last release that was rendered alike, pinned all of the images and was kept, though
// people may have gone back from it since, or is under way for the same commit, as after a restart; nil without one.
func (s *Syncer) pinsBefore(ctx context.Context, rendered string, images []string, state State) (manifests.Pins, error) {
	records, err := s.Journal.Records(ctx)
	if err != nil {
		return nil, err
	}
	for _, record := range slices.Backward(records) {
		if record.Rendered != rendered || !record.Outcome.WasKept() && !s.isUnderWay(&record, state) {
			continue
		}
		release, err := s.Journal.Load(ctx, record.Number)
		if err != nil {
			return nil, err
		}
		unpinned := func(image string) bool { return release.Pins[image] == "" }
		if !slices.ContainsFunc(images, unpinned) {
			return release.Pins, nil
		}
	}
	return nil, nil
}

// isUnderWay tells the release that is being judged for the wanted commit.
func (s *Syncer) isUnderWay(record *manifests.Record, state State) bool {
	return state.Open() && record.Number == state.Newest.Number && record.Commit.Hash == s.memory.commit.Hash
}

// trusted is pins without what failed before: a tag that moved to a digest which was rolled back stays where the kept
// release has it, until the tag moves on.
func (s *Syncer) trusted(ctx context.Context, pins manifests.Pins, state State, out *Outcome) (manifests.Pins, error) {
	records, err := s.Journal.Records(ctx)
	if err != nil || state.Kept == nil {
		return pins, err
	}
	kept, err := s.list(ctx, state.Kept.Number)
	if err != nil {
		return nil, err
	}
	have := manifests.Pins{}
	maps.Copy(have, kept.pins)
	if s.isUnderWay(state.Newest, state) {
		tried, err := s.list(ctx, state.Newest.Number)
		if err != nil {
			return nil, err
		}
		maps.Copy(have, tried.pins) // somebody has asked for what is tried
	}
	trusted, spared := withoutSuspects(pins, have, records)
	for _, image := range spared {
		out.Events = append(out.Events, warning("TagHeld", "%s stays at %s: %s, where it is now, was rolled back", image, trusted[image], pins[image]))
	}
	return trusted, nil
}

// withoutSuspects replaces the pins that were rolled back before by the kept ones, and names them.
func withoutSuspects(pins, kept manifests.Pins, records []manifests.Record) (trusted manifests.Pins, spared []string) {
	trusted = maps.Clone(pins)
	for image, pin := range pins {
		failed := func(r manifests.Record) bool { return !r.Outcome.Thawed && r.Outcome.Suspects[image] == pin }
		if kept[image] != "" && kept[image] != pin && slices.ContainsFunc(records, failed) {
			trusted[image] = kept[image]
			spared = append(spared, image)
		}
	}
	slices.Sort(spared)
	return trusted, spared
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

// follow looks at the tags again, where the Sync follows them and it is time to. One that has moved makes the decision on
// the wanted commit void.
func (s *Syncer) follow(ctx context.Context, want Want) {
	now := s.Clock()
	if want.Spec.Images.Resolve != v1alpha1.ResolveFollow || s.memory.images == nil || s.nextFollow(want, now) > 0 {
		return
	}
	pins, _, err := s.Resolver.Pin(ctx, PinRequest{Images: s.memory.images, Since: now, Again: true})
	if err != nil {
		s.memory.following.add(err, now)
		return
	}
	s.memory.followed, s.memory.following = s.Clock(), failures{}
	if !maps.Equal(pins, s.memory.resolved) {
		s.memory.built = input{}
	}
}

func (s *Syncer) nextFollow(want Want, now time.Time) time.Duration {
	if s.memory.images == nil {
		return time.Hour // there is nothing to look at before something is built
	}
	if s.memory.following.last != nil {
		return s.memory.following.until.Sub(now)
	}
	return s.memory.followed.Add(max(want.Spec.Images.Interval.Duration, time.Second)).Sub(now)
}
