package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// RunHooks sees to it that each of jobs has been made for a run, and tells how they are. One that was made for another
// is deleted first, and its pods with it, so that no two of a name run side by side. One that people delete in the
// middle is made anew.
func (o *Objects) RunHooks(ctx context.Context, jobs []manifests.Object, run string) ([]manifests.Health, error) {
	var ids []manifests.ID
	for _, job := range jobs {
		ids = append(ids, job.ID())
	}
	if err := o.cluster.watches.Ensure(ctx, ids); err != nil {
		return nil, err
	}
	attended := namespacesOf(ids)
	maps.Copy(attended, o.cluster.pods.attendedBy(o.sync))
	if err := o.cluster.pods.attend(ctx, o.sync, attended); err != nil {
		return nil, err
	}
	reports, errs := make([]manifests.Health, len(jobs)), make([]error, len(jobs))
	each(len(jobs), func(i int) {
		reports[i], errs[i] = o.runHook(ctx, jobs[i], run)
		reports[i].ID, reports[i].Bearing = jobs[i].ID(), manifests.Usual
	})
	return reports, all(errs)
}

func (o *Objects) runHook(ctx context.Context, job manifests.Object, run string) (manifests.Health, error) {
	id := job.ID()
	seen, err := o.cluster.watches.Get(ctx, id)
	if err != nil {
		return manifests.Health{}, err
	}
	u, there := seen.(*unstructured.Unstructured)
	switch {
	case o.cluster.watches.Stale(id, seen):
		return progressing("", "made a moment ago"), nil
	case !there:
		return progressing("", "made a moment ago"), o.makeHook(ctx, job, run)
	case u.GetAnnotations()[manifests.AnnotationRun] != run:
		return progressing("Terminating", "the one of "+ofRun(u)+" is being deleted"), o.deleteHook(ctx, u)
	case isComplete(u):
		return manifests.Health{Condition: manifests.Healthy}, nil
	}
	report, err := look{Objects: o, glance: o.cluster.watches.glance(), closely: true}.at(ctx, id)
	return hookHealth(report.Health), err
}

// hookHealth is the health of a Job that is not complete. Whoever runs Jobs for good or suspended takes that for healthy;
// a release that waits for one does not.
func hookHealth(report manifests.Health) manifests.Health {
	if report.Good() || report.Condition == manifests.Suspended {
		return progressing("", "it is not complete yet")
	}
	return report
}

// ofRun says for people what a Job was made for.
func ofRun(u *unstructured.Unstructured) string {
	switch run := u.GetAnnotations()[manifests.AnnotationRun]; {
	case run == "":
		return "before it was a hook"
	case strings.Contains(run, "rollback"):
		return "an earlier rollback"
	default:
		return "release " + run
	}
}

// makeHook creates the Job of a run. A Job that is there and not this Sync's is not taken: it would have to go.
func (o *Objects) makeHook(ctx context.Context, job manifests.Object, run string) error {
	mapping, err := o.mapping(job)
	if err != nil {
		return err
	}
	id := job.ID()
	live, err := o.resource(mapping, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	switch {
	case err == nil && ownerOf(live.GetLabels()) == o.sync:
		return nil // the watch is about to tell
	case err == nil:
		return foreignHook(job)
	case !apierrors.IsNotFound(err):
		return describe(job.String(), id.Kind, err)
	}
	made, _, err := o.patch(ctx, write{mapping: mapping, object: o.ofRun(job, run)})
	if err != nil {
		return describe(job.String(), id.Kind, err)
	}
	o.cluster.watches.Wrote(o.sync, id, made.GetResourceVersion())
	o.cluster.handover.settle(o.sync, id)
	return nil
}

// ofRun is a hook as it is made for a run: it stays until it is noted that it ran.
func (o *Objects) ofRun(job manifests.Object, run string) manifests.Object {
	return job.With(func(u *unstructured.Unstructured) {
		annotations := u.GetAnnotations()
		annotations[manifests.AnnotationRun] = run
		u.SetAnnotations(annotations)
		unstructured.RemoveNestedField(u.Object, "spec", "ttlSecondsAfterFinished")
	})
}

// deleteHook deletes a Job; it is gone once its pods are.
func (o *Objects) deleteHook(ctx context.Context, u *unstructured.Unstructured) error {
	id := idOf(u)
	if u.GetDeletionTimestamp() != nil {
		return nil
	}
	mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind())
	if err != nil {
		return describe(id.String(), id.Kind, err)
	}
	options := exactly(u.GetUID())
	foreground := metav1.DeletePropagationForeground
	options.PropagationPolicy = &foreground
	err = o.resource(mapping, id.Namespace).Delete(ctx, id.Name, options)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // a conflict: it is another of the same name by now
		return nil
	}
	return describe(id.String(), id.Kind, err)
}

// EndHooks has those of jobs that take themselves away when they are finished (spec.ttlSecondsAfterFinished) do so.
func (o *Objects) EndHooks(ctx context.Context, jobs []manifests.Object) error {
	var errs []error
	for _, job := range jobs {
		errs = append(errs, o.endHook(ctx, job))
	}
	return all(errs)
}

func (o *Objects) endHook(ctx context.Context, job manifests.Object) error {
	id := job.ID()
	after, ok, err := unstructured.NestedInt64(job.Unstructured().Object, "spec", "ttlSecondsAfterFinished")
	if !ok || err != nil {
		return nil
	}
	seen, err := o.cluster.watches.Get(ctx, id)
	if err != nil || seen == nil {
		return err
	}
	mapping, err := o.mapping(job)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": seen.GetUID()}, "spec": map[string]any{"ttlSecondsAfterFinished": after},
	})
	if err != nil {
		return err
	}
	_, err = o.resource(mapping, id.Namespace).Patch(ctx, id.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: FieldManager})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return describe(job.String(), id.Kind, err)
}

// StopHooks deletes those of ids that are hooks of this Sync, made for another run, and not finished yet. It names those
// that are there still.
func (o *Objects) StopHooks(ctx context.Context, ids []manifests.ID, run string) (left []manifests.ID, err error) {
	if err := o.cluster.watches.Ensure(ctx, ids); err != nil {
		return nil, err
	}
	var errs []error
	for _, id := range ids {
		seen, err := o.cluster.watches.Get(ctx, id)
		u, there := seen.(*unstructured.Unstructured)
		if err != nil || !there || ownerOf(u.GetLabels()) != o.sync {
			errs = append(errs, err)
			continue
		}
		made := u.GetAnnotations()[manifests.AnnotationRun]
		leaving := u.GetDeletionTimestamp() != nil
		if made == "" || made == run || !leaving && (isComplete(u) || hasCondition(u, "Failed")) {
			continue
		}
		left = append(left, id)
		errs = append(errs, o.deleteHook(ctx, u))
	}
	return left, all(errs)
}

// isHook tells the Job of a hook. What becomes of it is for the release to say that it belongs to: it is no drift.
func isHook(object client.Object) bool { return object.GetAnnotations()[manifests.AnnotationRun] != "" }

func foreignHook(job manifests.Object) error {
	return &Error{Reason: "Conflict", Object: job.String(), Detail: "a Job of this name is there and is not this Sync's; " +
		"a hook is deleted and made anew with each release: delete that one, or give the hook another name"}
}

// hook tries a hook: as it would be made, for which the one that is there has to go.
func (t trial) hook(ctx context.Context, w write, isThere bool) (outcome, error) {
	result, id := outcome{object: w.object}, w.object.ID()
	w.object = t.ofRun(w.object, "trial")
	if !isThere {
		tried, _, err := t.patch(ctx, w)
		switch {
		case apierrors.IsNotFound(err) && t.brought[namespaceID(id.Namespace)] && w.object.Hook() == manifests.HookBefore:
			return result, &Error{Reason: "Invalid", Object: w.object.String(), Detail: fmt.Sprintf(
				"it is to run before anything else is written, and its namespace %s comes with the same commit: "+
					"bring the namespace with a commit before, or let the hook run after", id.Namespace)}
		case apierrors.IsNotFound(err) && t.brought[namespaceID(id.Namespace)]:
			return result, t.tryElsewhere(ctx, w, t.sync.Namespace)
		case tried != nil && tried.GetResourceVersion() != "", isImmutable(err), apierrors.IsConflict(err):
			return result, foreignHook(w.object)
		}
		return result, describe(w.object.String(), id.Kind, err)
	}
	u := w.object.Unstructured()
	u.SetName("belay-trial-" + rand.String(8))
	_, err := t.resource(w.mapping, id.Namespace).Create(ctx, u, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: FieldManager, FieldValidation: metav1.FieldValidationStrict,
	})
	if err == nil {
		return result, nil
	}
	if reason, _ := class(err); reason == "AdmissionDenied" && !isInvalidItself(err) {
		return result, nil // it may be the name that a policy does not like
	}
	return result, describe(w.object.String(), id.Kind, err)
}

// attendedBy is the namespaces that a Sync attends. Nobody may change them.
func (p *podWatches) attendedBy(sync types.NamespacedName) map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.namespaces[sync]
}
