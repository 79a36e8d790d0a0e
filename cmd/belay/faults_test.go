package main

// Each of these failed once.

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// The phase is that of the release before until the new commit is started. A fix that has to wait for the registry
// is not rolled back, and one that does not render is not either.
func TestAFixAfterAHoldIsNotTakenForWhatWasHeld(t *testing.T) {
	const old, bad, fix = "1111111aaaa", "2222222bbbb", "3333333cccc"
	problem := func(reason, abnormal string) *v1alpha1.Sync {
		s := told(v1alpha1.RolledBack, fix, old,
			condition(v1alpha1.Ready, metav1.ConditionFalse, reason), condition(abnormal, metav1.ConditionTrue, reason))
		s.Status.Held = &v1alpha1.Held{Commit: bad}
		return s
	}
	if v := verdictOn(problem("Unreachable", v1alpha1.Reconciling), fix); v.final {
		t.Errorf("the registry is down: %+v", v)
	}
	if v := verdictOn(problem("InvalidYAML", v1alpha1.Stalled), fix); v.code != exitError {
		t.Errorf("it does not render: %+v", v)
	}
}
