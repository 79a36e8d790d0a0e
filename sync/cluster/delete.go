package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// kind shortens the many signatures that speak of kinds.
type kind = schema.GroupKind

// Delete deletes those of ids that bear this Sync's labels. What is to stay loses the labels instead: people asked to
// keep it (see stays), or another Sync wants it and takes it over. Nothing is deleted before the other Syncs of the same
// repository have had their look at it.
func (o *Objects) Delete(ctx context.Context, ids []manifests.ID) (manifests.Deletion, error) {
	var deletion manifests.Deletion
	live, unseen, unseenErr := o.seen(ctx, ids)
	waiting, waitErr := o.othersLooked(ctx, there(ids, live), live)
	deletion.Left = append(unseen, waiting...)
	found := manifests.Without(there(ids, live), waiting)
	fates := make([]fate, len(found))
	errs := make([]error, len(found))
	each(len(found), func(i int) { fates[i], errs[i] = o.deleteOne(ctx, live[found[i]]) })
	var deleted []manifests.ID
	for i, id := range found {
		switch fates[i] {
		case left:
			deletion.Left = append(deletion.Left, id)
		case stayed:
			deletion.Stayed = append(deletion.Stayed, id)
		case asked:
			deleted = append(deleted, id)
		}
	}
	lingering, err := o.lingering(ctx, deleted)
	deletion.Left = append(deletion.Left, lingering...)
	for _, id := range manifests.Without(ids, deletion.Left) {
		if !o.cluster.handover.wanted(id, o.sync) {
			continue
		}
		// What another Sync has already is no news for it, each time that something else cannot be deleted.
		if owner := o.cluster.watches.Owner(ctx, id); owner.Name == "" || owner == o.sync {
			o.cluster.handover.free(id, o.sync)
		}
	}
	return deletion, all(append(errs, waitErr, unseenErr, err))
}

// seen reads what lives of ids, kind by kind: of one that cannot be listed nothing is known, and the others go on.
func (o *Objects) seen(ctx context.Context, ids []manifests.ID) (live map[manifests.ID]*unstructured.Unstructured, unseen []manifests.ID, err error) {
	live = map[manifests.ID]*unstructured.Unstructured{}
	var kinds []kind // in the order of ids
	ofKind := map[kind][]manifests.ID{}
	for _, id := range ids {
		k := id.GroupKind()
		if ofKind[k] == nil {
			kinds = append(kinds, k)
		}
		ofKind[k] = append(ofKind[k], id)
	}
	var errs []error
	for _, k := range kinds {
		found, err := o.live(ctx, ofKind[k], nil)
		if err != nil {
			unseen, errs = append(unseen, ofKind[k]...), append(errs, err)
			continue
		}
		maps.Copy(live, found)
	}
	return live, unseen, all(errs)
}

// fate is what became of one object that was to be deleted.
type fate int

const (
	left   fate = iota // it is there as before, or on its way out since an earlier call
	asked              // the API server took the request to delete it
	stayed             // it lost the labels instead
	passed             // it lost the labels because another Sync wants it
)

// there is those of ids that are live.
func there(ids []manifests.ID, live map[manifests.ID]*unstructured.Unstructured) []manifests.ID {
	return slices.DeleteFunc(slices.Clone(ids), func(id manifests.ID) bool { return live[id] == nil })
}

// lingering looks which of the objects that were deleted are there still: a finalizer, a grace period or the content of a
// namespace keeps them.
func (o *Objects) lingering(ctx context.Context, deleted []manifests.ID) ([]manifests.ID, error) {
	live, unseen, err := o.seen(ctx, deleted)
	lingering := append(there(deleted, live), unseen...)
	// So that their end calls. Where a watch cannot be had, the next try finds it out.
	_ = o.cluster.watches.Ensure(ctx, lingering)
	return lingering, err
}

// othersLooked wants every other Sync of the same repository to have looked at it, if anything is to be deleted: only
// then is it known which objects have moved to them. Until then it names those to wait with.
func (o *Objects) othersLooked(ctx context.Context, found []manifests.ID, live map[manifests.ID]*unstructured.Unstructured) ([]manifests.ID, error) {
	doomed := slices.DeleteFunc(slices.Clone(found), func(id manifests.ID) bool {
		u := live[id]
		return u.GetDeletionTimestamp() != nil || stays(u) || o.cluster.handover.wanted(id, o.sync)
	})
	if len(doomed) == 0 {
		return nil, nil
	}
	pending, err := o.cluster.handover.pending(ctx, o.sync)
	if err == nil && len(pending) > 0 {
		err = &Error{Reason: HandOverPending, Temporary: true, Detail: fmt.Sprintf(
			"before anything is deleted, the Syncs of the same repository have to look whether they are to take it over; left to look: %s",
			strings.Join(pending, ", "))}
	}
	if err == nil {
		doomed = nil
	}
	return doomed, err
}

func (o *Objects) deleteOne(ctx context.Context, u *unstructured.Unstructured) (fate, error) {
	id := idOf(u)
	mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind())
	if meta.IsNoMatchError(err) {
		return asked, nil // its CRD has just gone, and it with it
	}
	if err != nil {
		return left, describe(id.String(), id.Kind, err)
	}
	client := o.resource(mapping, id.Namespace)
	keep := stays(u)
	if wanted := o.cluster.handover.wanted(id, o.sync); keep || wanted {
		switch err := o.letGo(ctx, client, u); {
		case err != nil:
			return left, describe(id.String(), id.Kind, err)
		case wanted:
			return passed, nil
		}
		return stayed, nil
	}
	if u.GetDeletionTimestamp() != nil {
		return left, nil
	}
	o.cluster.watches.Wrote(o.sync, id, "")
	err = client.Delete(ctx, id.Name, exactly(u.GetUID()))
	if err != nil {
		o.cluster.watches.NotDeleted(id, u.GetUID())
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // a conflict: it is another of the same name by now
		return left, describe(id.String(), id.Kind, err)
	}
	return asked, nil
}

// exactly deletes the object of this UID, and not another of the same name.
func exactly(uid types.UID) metav1.DeleteOptions {
	propagation := metav1.DeletePropagationBackground
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &propagation}
}
