package sync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

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
	records, err := s.Journal.Records(ctx)
	if err != nil {
		return nil, err
	}
	rendered := objects.Digest()
	for i := len(records) - 1; i >= 0; i-- {
		if records[i].Outcome.Result != manifests.Kept || records[i].Rendered != rendered {
			continue
		}
		release, err := s.Journal.Load(ctx, records[i].Number)
		return release.Pins, err
	}
	names := objects.ImageNames()
	if len(names) == 0 {
		return nil, nil
	}
	pins, err := s.Resolver.Pin(ctx, names)
	if err != nil {
		return nil, imageProblem(err, objects)
	}
	return pins, nil
}

// owned names what may be in the cluster on this Sync's behalf by now.
func (s *Syncer) owned(ctx context.Context, state State) ([]manifests.ID, error) {
	var owned []manifests.ID
	for _, record := range []*manifests.Record{state.Newest, state.Kept} {
		if record == nil {
			continue
		}
		release, err := s.Journal.Load(ctx, record.Number)
		if err != nil {
			return nil, err
		}
		owned = manifests.Union(owned, release.Objects.IDs())
		if !record.Outcome.Pruned {
			owned = manifests.Union(owned, release.Owned)
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
