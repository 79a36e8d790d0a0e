package sync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// build takes a commit as far as a release: tree, objects, pinned objects.
func (s *Syncer) build(ctx context.Context, want Want, in input, state State) (manifests.Release, error) {
	commit, err := s.Source.Commit(ctx, in.commit)
	if err != nil {
		return manifests.Release{}, err
	}
	s.memory.commit = commit
	tree, err := s.Source.Tree(ctx, in.commit)
	if err != nil {
		return manifests.Release{}, err
	}
	objects, err := s.Renderer.Build(ctx, tree, want.Spec.Source.Path)
	if err != nil {
		return manifests.Release{}, err
	}
	if objects, err = s.placed(ctx, objects); err != nil {
		return manifests.Release{}, err
	}
	pins, err := s.pins(ctx, want, objects, state)
	if err != nil {
		return manifests.Release{}, err
	}
	pinned, err := objects.Pin(pins)
	if err != nil {
		return manifests.Release{}, err
	}
	if pinned, err = pinned.StampTemplates(); err != nil {
		return manifests.Release{}, err
	}
	return manifests.Release{
		Commit:   commit,
		Path:     want.Spec.Source.Path,
		Pins:     pins,
		Rendered: objects.Digest(),
		Options:  in.options,
		Objects:  pinned,
	}, nil
}

// placed gives the objects the namespaces they go to and this Sync's labels.
func (s *Syncer) placed(ctx context.Context, objects manifests.Set) (manifests.Set, error) {
	if objects.Len() == 0 {
		return manifests.Set{}, refusal{"NothingRendered",
			"the path renders to no object at all; to take everything down, delete the Sync"}
	}
	placed, err := s.Cluster.Place(ctx, objects)
	if err != nil {
		return manifests.Set{}, err
	}
	return placed.OwnedBy(s.Namespace, s.Name)
}

// pins answers what to run for each image. Objects that a kept release had already, word for word, take that
// release's pins, so that `git revert` brings the bytes back although the tags have moved since.
func (s *Syncer) pins(ctx context.Context, want Want, objects manifests.Set, state State) (manifests.Pins, error) {
	if want.Spec.Images.Resolve == v1alpha1.ResolveNever {
		return nil, nil
	}
	names := objects.ImageNames()
	if len(names) == 0 {
		return nil, nil
	}
	pins, err := s.pinsBefore(ctx, objects.Digest(), names)
	if err != nil || pins != nil {
		return pins, err
	}
	if pins, err = s.Resolver.Pin(ctx, names); err != nil {
		return nil, imageProblem(err, objects)
	}
	return pins, nil
}

// pinsBefore is the pins of the last kept release that was rendered alike and pinned all of the images; nil without
// one.
func (s *Syncer) pinsBefore(ctx context.Context, rendered string, images []string) (manifests.Pins, error) {
	records, err := s.Journal.Records(ctx)
	if err != nil {
		return nil, err
	}
	for _, record := range slices.Backward(records) {
		if record.Outcome.Result != manifests.Kept || record.Rendered != rendered {
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

// holdings is what may be in the cluster on a Sync's behalf.
type holdings struct {
	ids     []manifests.ID
	adopted []manifests.ID // what of it was there before, with no verdict since
	kept    manifests.Set  // the objects of the kept release
}

// owned names what may be in the cluster on this Sync's behalf by now. A release that cannot be read is an error: to
// guess would orphan what it had.
func (s *Syncer) owned(ctx context.Context, state State) (holdings, error) {
	var owned holdings
	for _, record := range []*manifests.Record{state.Newest, state.Kept} {
		if record == nil {
			continue
		}
		release, err := s.Journal.Load(ctx, record.Number)
		if err != nil {
			return holdings{}, err
		}
		owned.ids = manifests.Union(owned.ids, release.Objects.IDs())
		if !record.Outcome.Pruned {
			owned.ids = manifests.Union(owned.ids, release.Owned)
		}
		if record == state.Kept {
			owned.kept = release.Objects
		}
		if record == state.Newest && !state.Settled() {
			owned.adopted = release.Adopted
		}
	}
	return owned, nil
}

// optionsOf is a digest of what in a spec bears on a release. A change of it is a reason to look again at a
// commit that was refused.
func optionsOf(spec v1alpha1.Spec) string {
	spec.Suspend = false
	spec.Source.Interval = metav1.Duration{}
	text, _ := json.Marshal(spec) // a spec is plain data: it always marshals
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
