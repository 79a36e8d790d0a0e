package cluster

import (
	"context"
	gosync "sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// reconciler is the frame of a pass: it reads the Sync, has the pass made, and writes what the pass has to say.
type reconciler struct {
	client   client.Client
	recorder events.EventRecorder
	passes   Passes

	told gosync.Map // types.NamespacedName → told: what was written last; the client's cache may be behind
}

// told is the last status that was written of one Sync. Another of the same name has another UID.
type told struct {
	uid    types.UID
	status *v1alpha1.Status
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
	if last, ok := r.told.Load(request.NamespacedName); ok && last.(told).uid == sync.UID {
		sync.Status = *last.(told).status.DeepCopy()
	}
	if !sync.DeletionTimestamp.IsZero() {
		return r.remove(ctx, sync)
	}
	if controllerutil.AddFinalizer(sync, v1alpha1.Finalizer) {
		if err := r.finalizer(ctx, sync); err != nil {
			return ctrl.Result{}, err
		}
	}
	report := r.passes.Pass(ctx, sync)
	if err := r.tell(ctx, sync, report); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: report.Next}, nil
}

func (r *reconciler) remove(ctx context.Context, sync *v1alpha1.Sync) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(sync, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	report := r.passes.Remove(ctx, sync)
	if report.Next > 0 {
		return ctrl.Result{RequeueAfter: report.Next}, r.tell(ctx, sync, report)
	}
	controllerutil.RemoveFinalizer(sync, v1alpha1.Finalizer)
	return ctrl.Result{}, client.IgnoreNotFound(r.finalizer(ctx, sync))
}

// finalizer writes the Sync's finalizers as they are.
func (r *reconciler) finalizer(ctx context.Context, sync *v1alpha1.Sync) error {
	before := sync.DeepCopy()
	before.Finalizers = nil // so that the patch names the whole list
	if len(sync.Finalizers) == 0 {
		before.Finalizers = []string{v1alpha1.Finalizer}
	}
	status := sync.Status.DeepCopy()
	err := r.client.Patch(ctx, sync, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	sync.Status = *status // the answer's is what the API server has, perhaps older than what was told since
	return err
}

// tell writes the status if it is another one, and records the events.
func (r *reconciler) tell(ctx context.Context, sync *v1alpha1.Sync, report Report) error {
	for _, e := range report.Events {
		r.recorder.Eventf(sync, nil, e.Type, e.Reason, "Sync", "%s", e.Message)
	}
	if equality.Semantic.DeepEqual(sync.Status, report.Status) {
		return nil
	}
	if ready := meta.FindStatusCondition(report.Status.Conditions, v1alpha1.Ready); ready != nil {
		log.FromContext(ctx).Info("pass", "phase", report.Status.Phase, "ready", ready.Status, "reason", ready.Reason, "message", ready.Message)
	}
	before := sync.DeepCopy()
	sync.Status = *report.Status.DeepCopy()
	if err := r.client.Status().Patch(ctx, sync, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.told.Store(client.ObjectKeyFromObject(sync), told{sync.UID, report.Status.DeepCopy()})
	return nil
}
