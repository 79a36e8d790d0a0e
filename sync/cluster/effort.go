package cluster

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// effort is what it takes to find out whether an object differs from what is wanted.
type effort int

const (
	needsNothing   effort = iota // it is as wanted: that is proved
	needsCreating                // a dry run: the watch knows of none
	needsRewriting               // a dry run: it differs, since something else was written last and nobody has changed it since
	needsComparing               // a dry run, to be compared with what the watch has
	needsReading                 // it has to be read before
)

// sighting is what is known of an object before the first request.
type sighting struct {
	watched client.Object // as the watch has it; nil where it has none of this Sync's
	stale   bool          // the watch is behind belay's own last write
	evidence
	proof   proof // zero where there is none
	entries bool  // who holds what of it decides on what is written: spec.apply.ignore names something of it
	scaled  bool  // its replicas may be an autoscaler's, so that what is wanted may not be what is written
	version bool  // the watch has it in the version that it is written in
	account bool  // it may lose its ServiceAccount, see leavesAccount
}

// effort is a decision on what is known.
func (s sighting) effort() effort {
	_, full := s.watched.(*unstructured.Unstructured)
	switch {
	case s.stale:
		return needsReading
	case s.watched == nil:
		return needsCreating
	}
	unchanged := s.proof != proof{} && s.proof.found == marks(s.watched)
	switch {
	case unchanged && s.proof.wanted == s.wanted:
		return needsNothing
	case s.entries || s.account:
		return needsReading
	case unchanged && !s.scaled:
		return needsRewriting
	case full && s.version:
		return needsComparing
	}
	return needsReading
}

// sighted looks up what is known of a set's objects.
func (t trial) sighted(ctx context.Context, objects []manifests.Object) ([]sighting, error) {
	sightings := make([]sighting, len(objects))
	proofs, glance := t.cluster.watches.proofs(t.sync, t.brought), t.cluster.watches.glance()
	for i, object := range objects {
		if object.LeftAlone() {
			continue
		}
		id := object.ID()
		seen, err := glance.at(ctx, id)
		if err != nil {
			return nil, err
		}
		s := &sightings[i]
		s.stale = t.cluster.watches.Stale(id, seen)
		pointers, targeted := pointersFor(t.ignore, id), t.set[id]
		content, err := object.JSON()
		if err != nil {
			return nil, err
		}
		s.evidence, s.proof = evidence{wantedDigest(content, t.account, pointers, targeted), targeted}, proofs[id]
		if seen == nil || ownerOf(seen.GetLabels()) != t.sync {
			continue
		}
		s.watched = seen
		if s.effort() == needsNothing {
			continue
		}
		s.entries, s.scaled = len(pointers) > 0, targeted || scaled(seen.GetManagedFields())
		s.version = seen.GetObjectKind().GroupVersionKind() == object.GroupVersionKind()
		s.account = mayLeaveAccount(object, seen)
	}
	return sightings, nil
}

// isThere tells whether there is an object of this Sync's, as far as is known before the first request.
func (s sighting) isThere() bool { return s.watched != nil || s.stale }

// mayLeaveAccount tells whether it has to be looked at who gave an object's pods their ServiceAccount: see leavesAccount.
func mayLeaveAccount(object manifests.Object, seen client.Object) bool {
	path, known := podSpecs[object.ID().GroupKind()]
	if !known {
		return false
	}
	live, full := seen.(*unstructured.Unstructured)
	if full && nameAt(live, path, accountAlias) == "" {
		return false
	}
	wanted := object.Unstructured()
	return nameAt(wanted, path, accountName) == "" && nameAt(wanted, path, accountAlias) == ""
}
