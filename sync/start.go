package sync

import (
	"context"

	"github.com/belay-gitops/belay/manifests"
)

// dispose says what to do with a release that was built, and ends a freeze where people ask for that.
func (s *Syncer) dispose(ctx context.Context, want Want, release manifests.Release, state State, out *Outcome) (Disposition, error) {
	records, err := s.records(ctx)
	if err != nil {
		return "", err
	}
	disposition := state.Dispose(release.Objects.Digest(), release.Options, want.Retry)
	if newest := state.Newest; disposition == Rest && newest.Outcome.Result.Refused() {
		// The cluster is there because what the tags are now was rolled back: by Follow, or because somebody asked for it.
		isRefused := newest.Number != state.Kept.Number && newest.Commit.Hash == release.Commit.Hash && newest.Rendered == release.Rendered
		if isRefused || s.spares(release) {
			disposition = Hold
		}
	}
	if !frozen(records) {
		return disposition, nil
	}
	if !want.Retry {
		if disposition == Start {
			disposition = Freeze
		}
		return disposition, nil
	}
	newest := *state.Newest
	newest.Outcome.Thawed = true
	out.Events = append(out.Events, normal("Thawed", "somebody asked for another try: releases are deployed again"))
	return disposition, s.Journal.Mark(ctx, newest.Number, newest.Outcome)
}

// start tries the release on the server, stores it, and only then writes its objects.
func (s *Syncer) start(ctx context.Context, want Want, in input, release manifests.Release, state State, out *Outcome) error {
	owned, err := s.owned(ctx, state)
	if err != nil {
		return err
	}
	release.Owned = manifests.Without(owned.ids, release.Objects.IDs())
	if !in.mayPrune {
		if err := s.brake(want, release, len(owned.ids)); err != nil {
			return err
		}
	}
	if state.Newest != nil {
		release.Number = state.Newest.Number
	}
	release.Number++
	changes, err := s.Cluster.Differing(ctx, release.Objects, false)
	if err != nil {
		return err
	}
	s.memory.progress = progress{} // how to write what is put off of an earlier release is not known any more
	release.Adopted = manifests.Union(changes.Adopted, owned.adopted)
	release.Done = done(release.Objects, owned.ran)
	differing := without(changes.Objects, release.Done)
	if release.Ailing, err = s.ailing(ctx, state, manifests.Without(release.Objects.IDs(), idsOf(changes.Objects))); err != nil {
		return err
	}
	if err := s.store(ctx, release, want.Spec.Rollback.Keep); err != nil {
		return err
	}
	s.note(release)
	out.Events = append(out.Events, s.memory.started.tell()...) // of the one that this one supersedes
	s.memory.started = started{release: release.Number, commit: release.Commit, objects: release.Objects.Len(), toWrite: len(differing), at: s.Clock()}
	s.begin(release.Number, release.Ailing)
	s.memory.written, s.memory.hooks = 0, hooking{} // of one of the same number, perhaps, that people went on without
	if hasHooks(release, state) {
		return nil // they come first
	}
	// The release is stored: whatever stops the writing from here on, settle takes it up again.
	_, _ = s.apply(ctx, writing{release: release, as: release.Number, patient: true}, differing)
	return nil
}

// store writes a release, and drops what is too many by then.
func (s *Syncer) store(ctx context.Context, release manifests.Release, keep int) error {
	if err := s.Journal.Store(ctx, release); err != nil {
		return err
	}
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	for _, number := range surplus(records, keep) {
		if err := s.Journal.Drop(ctx, number); err != nil {
			return nil // it is dropped after the next one; this one is stored, and that counts
		}
	}
	return nil
}
