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

// draft is a release on its way from a commit to pinned objects.
type draft struct {
	manifests.Release
	unpinned manifests.Set // the objects as Git has them
	places   []manifests.Place
	images   []manifests.Image // in unpinned, those that are to be pinned
}

// build takes a commit as far as a release: tree, objects, pinned objects.
func (s *Syncer) build(ctx context.Context, want Want, in input, state State, out *Outcome) (draft, error) {
	s.memory.images, s.memory.resolved, s.memory.following = nil, nil, failures{}
	commit, err := s.Source.Commit(ctx, in.commit)
	if err != nil {
		return draft{}, err
	}
	s.memory.commit = commit
	tree, err := s.Source.Tree(ctx, in.commit)
	if err != nil {
		return draft{}, err
	}
	objects, err := s.Renderer.Build(ctx, tree, want.Spec.Source.Path)
	if err != nil {
		return draft{}, err
	}
	if objects, err = s.placed(ctx, objects); err != nil {
		return draft{}, err
	}
	d := draft{unpinned: objects}
	if d.places, err = imagePlaces(s.Places, want.Spec.Images.Paths); err != nil {
		return draft{}, err
	}
	d.images = included(objects.Images(d.places), want.Spec.Images.Exclude)
	d.Release = manifests.Release{
		Commit:   commit,
		Path:     want.Spec.Source.Path,
		Rendered: objects.Digest(),
		Options:  in.options,
	}
	pinned, err := s.pins(ctx, want, d, state, out)
	if err != nil {
		return draft{}, err
	}
	d.Pins, d.Resolved = pinned.pins, pinned.resolved
	if objects, err = objects.Pin(d.Pins, d.places); err != nil {
		return draft{}, err
	}
	if d.Objects, err = objects.StampTemplates(); err != nil {
		return draft{}, err
	}
	return d, nil
}

// placed gives the objects the namespaces they go to and this Sync's labels.
func (s *Syncer) placed(ctx context.Context, objects manifests.Set) (manifests.Set, error) {
	if objects.Len() == 0 {
		return manifests.Set{}, refusal{"NothingRendered",
			"the path renders to no object at all; to take everything down, delete the Sync"}
	}
	encoded, err := objects.EncodeSecrets()
	if err != nil {
		return manifests.Set{}, err
	}
	placed, err := s.Cluster.Place(ctx, encoded)
	if err != nil {
		return manifests.Set{}, err
	}
	if placed, err = placed.WithoutAggregatedRules(); err != nil {
		return manifests.Set{}, err
	}
	return placed.OwnedBy(s.Namespace, s.Name)
}

// holdings is what may be in the cluster on a Sync's behalf.
type holdings struct {
	ids     []manifests.ID
	adopted []manifests.ID     // what of it was there before, with no verdict since
	ran     []manifests.Object // Jobs of the kept release that have taken themselves away, or will
}

// owned names what may be in the cluster on this Sync's behalf by now. A release that cannot be read is an error: to
// guess would orphan what it had.
func (s *Syncer) owned(ctx context.Context, state State) (holdings, error) {
	var owned holdings
	for _, record := range []*manifests.Record{state.Newest, state.Kept} {
		if record == nil {
			continue
		}
		release, err := s.list(ctx, record.Number)
		if err != nil {
			return holdings{}, err
		}
		if !isGone(*record, state) {
			owned.ids = manifests.Union(owned.ids, release.ids)
		}
		if !record.Outcome.Pruned {
			past, err := s.past(ctx, record.Outcome)
			if err != nil {
				return holdings{}, err
			}
			owned.ids = manifests.Union(owned.ids, release.owned, past)
		}
		if record == state.Kept {
			owned.ran = release.ran
		}
		if record == state.Newest && !state.Settled() {
			owned.adopted = release.adopted
		}
	}
	return owned, nil
}

// isGone tells that nothing is left of a release that was gone back from, but for what the one gone back to has as well.
func isGone(record manifests.Record, state State) bool {
	return record.Outcome.Pruned && record.Outcome.Result.WentBack() && state.Kept != nil && state.Kept.Number != record.Number
}

// past names the objects of releases that were gone back to before people went further. Of one that is not stored any
// more nothing can be known.
func (s *Syncer) past(ctx context.Context, outcome manifests.Outcome) ([]manifests.ID, error) {
	records, err := s.Journal.Records(ctx)
	if err != nil {
		return nil, err
	}
	var ids []manifests.ID
	for _, number := range outcome.Past {
		if find(records, number) == nil {
			continue
		}
		release, err := s.list(ctx, number)
		if err != nil {
			return nil, err
		}
		ids = manifests.Union(ids, release.ids)
	}
	return ids, nil
}

// optionsOf is a digest of what in a spec bears on a release. A change of it is a reason to look again at a
// commit that was refused.
func optionsOf(spec v1alpha1.Spec) string {
	spec.Suspend = false
	spec.Source.Interval, spec.Images.Interval = metav1.Duration{}, metav1.Duration{}
	if spec.Images.OnFailure == v1alpha1.OnFailureFail {
		spec.Images.OnFailure = "" // the default, of which releases of an earlier belay do not know
	}
	text, _ := json.Marshal(spec) // a spec is plain data: it always marshals
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
