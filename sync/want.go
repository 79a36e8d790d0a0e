package sync

import (
	"encoding/json"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Want is what a pass is asked for.
type Want struct {
	Spec v1alpha1.Spec
	// Poll says that a person asks for a look at the remote. The commit that it finds is built in any case.
	Poll   bool
	SyncAt string
	// Look says that another Sync asks for a look.
	Look bool
	// Asked is since when all that is asked for has been: who looked at the remote after it has answered. Zero means now.
	Asked time.Time
	// Retry asks for another try of a held release; RetryAt tells one such request from the next.
	Retry   bool
	RetryAt string
	// Resolve asks for the digests that tags have now, although a kept release had others; ResolveAt tells one such
	// request from the next.
	Resolve   bool
	ResolveAt string
	// Rollback asks to go back; nil where nobody does.
	Rollback *v1alpha1.RollbackRequest
	// AllowPrune is the commit that may delete more than spec.apply.maxPrune.
	AllowPrune string
	// Without is the releases that people have said to go on without, since they cannot be read.
	Without string
	// Drifted says that somebody changed or deleted an owned object.
	Drifted bool
	// Lost says that the Sync is told to need images that registries do not have any more.
	Lost bool
	// Freed says that something this Sync was refused because it was another's is not any more.
	Freed bool
}

// WantOf reads what a Sync asks for: its spec, and those of the requests in its annotations that its status does not say
// to be answered.
func WantOf(s *v1alpha1.Sync) Want {
	asked, answered := s.Annotations, s.Status
	want := Want{
		Spec:       s.Spec,
		SyncAt:     asked[v1alpha1.AnnotationSyncAt],
		RetryAt:    asked[v1alpha1.AnnotationRetryAt],
		ResolveAt:  asked[v1alpha1.AnnotationResolveAt],
		AllowPrune: asked[v1alpha1.AnnotationAllowPrune],
		Without:    asked[v1alpha1.AnnotationWithout],
		Rollback:   rollbackAsked(asked[v1alpha1.AnnotationRollback]),
	}
	want.Poll = want.SyncAt != answered.LastHandledReconcileAt
	want.Retry = want.RetryAt != answered.LastHandledRetryAt
	want.Resolve = want.ResolveAt != answered.LastHandledResolveAt
	want.Lost = meta.IsStatusConditionTrue(answered.Conditions, v1alpha1.ImagesMissing)
	if want.Rollback != nil && want.Rollback.At == answered.LastHandledRollbackAt {
		want.Rollback = nil
	}
	return want
}

// rollbackAsked reads a request to go back. What cannot be read is a request without a reason, which is refused once.
func rollbackAsked(text string) *v1alpha1.RollbackRequest {
	if text == "" {
		return nil
	}
	var request v1alpha1.RollbackRequest
	if err := json.Unmarshal([]byte(text), &request); err != nil || request.At == "" {
		request = v1alpha1.RollbackRequest{At: firstRunes(text, 100)}
	}
	return &request
}

// Answer notes in a status which requests were heard, so that each is carried out once.
func (o Outcome) Answer(want Want, status *v1alpha1.Status) {
	if o.Looked {
		status.LastHandledReconcileAt = want.SyncAt
	}
	if o.Decided {
		status.LastHandledRetryAt, status.LastHandledResolveAt = want.RetryAt, want.ResolveAt
	}
	if o.GoneBack {
		status.LastHandledRollbackAt = want.Rollback.At
	}
}
