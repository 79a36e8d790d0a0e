package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	gosync "sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// reconciler is the frame of a pass: it reads the Sync, has the pass made, and writes what the pass has to say.
type reconciler struct {
	client   client.Client
	recorder events.EventRecorder
	passes   Passes
	now      func() time.Time

	told gosync.Map // types.NamespacedName → told: what was written last; the client's cache may be behind
}

// told is what people know of one Sync's status. Another of the same name has another UID. Statuses are never modified.
type told struct {
	uid    types.UID
	status *v1alpha1.Status // as it was written, or read before that
	untold *v1alpha1.Status // a later one that is kept back; nil for none
	since  time.Time        // since when one is
	unsure bool             // a write has failed since, and may have come through all the same
}

// latest is the status that the next pass goes on from.
func (t told) latest() *v1alpha1.Status {
	if t.untold != nil {
		return t.untold
	}
	return t.status
}

// Reconcile implements controller-runtime's interface. A panic is recovered there, and the Sync is called again with
// backoff; what is remembered of it is not trusted after that.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	panicked := true
	defer func() {
		if panicked {
			r.passes.Forget(ctx, request.NamespacedName)
		}
	}()
	result, err = r.reconcile(ctx, request)
	panicked = false
	return result, err
}

// reconcile makes a pass. What that could not do is in its report, so that the only errors are those of reading and
// writing the Sync itself.
func (r *reconciler) reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	sync := &v1alpha1.Sync{}
	if err := r.client.Get(ctx, request.NamespacedName, sync); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.told.Delete(request.NamespacedName)
			r.passes.Forget(ctx, request.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	known, seen := r.known(sync)
	sync.Status = *known.latest()
	if !sync.DeletionTimestamp.IsZero() {
		return r.remove(ctx, sync, known)
	}
	first := false
	if controllerutil.AddFinalizer(sync, v1alpha1.Finalizer) {
		if err := r.finalizers(ctx, sync); err != nil {
			return ctrl.Result{}, err
		}
		// The patch holds the Sync to be as it was read: no agent has got any further with it than this one.
		first = !seen && isUntold(*known.status)
	}
	report := r.passes.Pass(ctx, sync, first)
	left, err := r.tell(ctx, sync, known, report)
	if err != nil {
		return ctrl.Result{}, err
	}
	if left > 0 && (report.Next == 0 || left < report.Next) {
		report.Next = left
	}
	return ctrl.Result{RequeueAfter: report.Next, Priority: priority(report.Status)}, nil
}

// isUntold tells a status that no agent has written: none, or the one that the CRD gives a new Sync.
func isUntold(status v1alpha1.Status) bool {
	status.ObservedGeneration = max(status.ObservedGeneration, 0)
	return equality.Semantic.DeepEqual(status, v1alpha1.Status{})
}

// known is what this process has told of a Sync, if it has seen it before, and else what it was read with.
func (r *reconciler) known(sync *v1alpha1.Sync) (known told, seen bool) {
	name := client.ObjectKeyFromObject(sync)
	if last, ok := r.told.Load(name); ok && last.(told).uid == sync.UID {
		return last.(told), true
	}
	known = told{uid: sync.UID, status: sync.Status.DeepCopy()}
	r.told.Store(name, known)
	return known, false
}

// priority is that of the passes which a Sync's own timer calls for: a Sync that cannot get on tries again behind all that
// has something to do. A watch calls with the usual one.
func priority(status v1alpha1.Status) *int {
	usual, low := 0, handler.LowPriority
	failing := meta.IsStatusConditionFalse(status.Conditions, v1alpha1.Ready)
	if failing && status.Phase != v1alpha1.RollingBack && status.Phase != v1alpha1.Applying && status.Phase != v1alpha1.Watching {
		return &low
	}
	return &usual
}

func (r *reconciler) remove(ctx context.Context, sync *v1alpha1.Sync, known told) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(sync, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	report := r.passes.Remove(ctx, sync)
	if report.Next > 0 {
		_, err := r.tell(ctx, sync, known, report)
		return ctrl.Result{RequeueAfter: report.Next}, err
	}
	controllerutil.RemoveFinalizer(sync, v1alpha1.Finalizer)
	return ctrl.Result{}, client.IgnoreNotFound(r.finalizers(ctx, sync))
}

// finalizers writes the Sync's finalizers as they are, unless somebody has written the Sync since it was read.
func (r *reconciler) finalizers(ctx context.Context, sync *v1alpha1.Sync) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"finalizers": sync.Finalizers, "resourceVersion": sync.ResourceVersion,
	}})
	if err != nil {
		return err
	}
	return r.client.Patch(ctx, nameOf(sync), client.RawPatch(types.MergePatchType, patch))
}

// tell records the events, and writes the status if it is another one and does not wait. It answers how long it waits
// still; 0 for not at all.
func (r *reconciler) tell(ctx context.Context, sync *v1alpha1.Sync, known told, report Report) (left time.Duration, err error) {
	for _, e := range report.Events {
		r.recorder.Eventf(sync, nil, e.Type, e.Reason, "Sync", "%s", e.Message)
	}
	name := client.ObjectKeyFromObject(sync)
	if !known.unsure && saysTheSame(*known.status, report.Status) {
		if known.untold != nil {
			known.untold = nil
			r.told.Store(name, known)
		}
		return 0, nil
	}
	if known.untold == nil {
		known.since = r.now()
	}
	if left := known.since.Add(report.KeepBack).Sub(r.now()); report.KeepBack > 0 && left > 0 {
		known.untold = &report.Status
		r.told.Store(name, known)
		return left, nil
	}
	if ready := meta.FindStatusCondition(report.Status.Conditions, v1alpha1.Ready); ready != nil {
		log.FromContext(ctx).Info("pass", "phase", report.Status.Phase, "ready", ready.Status, "reason", ready.Reason, "message", ready.Message)
	}
	if err := r.write(ctx, sync, known, report.Status); err != nil {
		known.unsure = known.unsure || !isRefusal(err)
		r.told.Store(name, known)
		return 0, client.IgnoreNotFound(err)
	}
	r.told.Store(name, told{uid: sync.UID, status: &report.Status})
	return 0, nil
}

// saysTheSame tells whether two statuses say the same. The history is most of one, and is compared without reflection.
func saysTheSame(a, b v1alpha1.Status) bool {
	alike := func(a, b v1alpha1.HistoryEntry) bool {
		atOnce := a.At.Equal(&b.At)
		a.At = b.At
		return atOnce && a == b
	}
	if !slices.EqualFunc(a.History, b.History, alike) {
		return false
	}
	a.History, b.History = nil, nil
	return equality.Semantic.DeepEqual(a, b)
}

// write writes what of a status is another one, and all of it where it is not known what the API server has. Neither is the
// rest of the Sync encoded for that, nor is it read back.
func (r *reconciler) write(ctx context.Context, sync *v1alpha1.Sync, known told, after v1alpha1.Status) error {
	kind := types.MergePatchType
	patch, err := client.MergeFrom(&v1alpha1.Sync{Status: *known.status}).Data(&v1alpha1.Sync{Status: after})
	if known.unsure {
		kind = types.JSONPatchType // whose add replaces what is there
		patch, err = json.Marshal([]any{map[string]any{"op": "add", "path": "/status", "value": after}})
	}
	if err != nil {
		return err
	}
	return r.client.Status().Patch(ctx, nameOf(sync), client.RawPatch(kind, patch))
}

// isRefusal tells an answer by which nothing was written for sure from one that is lost, or of a server that gave up on it.
func isRefusal(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && answer.Status().Code/100 == 4
}

// nameOf names a Sync for a patch. The answer is its metadata only.
func nameOf(sync *v1alpha1.Sync) *metav1.PartialObjectMetadata {
	name := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: sync.Namespace, Name: sync.Name}}
	name.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Sync"))
	return name
}
