package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// told is a Sync whose agent has seen everything and says this.
func told(phase v1alpha1.Phase, wanted, deployed string, conditions ...metav1.Condition) *v1alpha1.Sync {
	s := &v1alpha1.Sync{}
	s.Generation, s.Status.ObservedGeneration = 3, 3
	s.Annotations = map[string]string{v1alpha1.AnnotationSyncAt: "noon"}
	s.Status.LastHandledReconcileAt = "noon"
	s.Status.Phase, s.Status.Conditions = phase, conditions
	if wanted != "" {
		s.Status.Wanted = &v1alpha1.Wanted{Commit: wanted, ShortCommit: shortHash(wanted)}
	}
	if deployed != "" {
		s.Status.Deployed = &v1alpha1.Deployed{Commit: deployed, ShortCommit: shortHash(deployed)}
	}
	return s
}

func condition(kind string, is metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: is, Reason: reason, Message: "says " + reason}
}

func TestVerdictOnACommit(t *testing.T) {
	const old, new, other = "1111111aaaa", "2222222bbbb", "3333333cccc"
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	stalled := func(reason string) []metav1.Condition {
		return []metav1.Condition{condition(v1alpha1.Ready, no, reason), condition(v1alpha1.Stalled, yes, reason)}
	}
	reconciling := func(is metav1.ConditionStatus, reason string) []metav1.Condition {
		return []metav1.Condition{condition(v1alpha1.Ready, is, reason), condition(v1alpha1.Reconciling, yes, reason)}
	}
	change := func(s *v1alpha1.Sync, how func(*v1alpha1.Sync)) *v1alpha1.Sync { how(s); return s }
	good := condition(v1alpha1.Ready, yes, "Kept")
	for _, test := range []struct {
		name   string
		sync   *v1alpha1.Sync
		commit string
		want   verdict
	}{
		{"a Sync that nobody has looked at yet", &v1alpha1.Sync{}, "", verdict{message: "waiting for the agent's next look"}},
		{"a look that was asked for", change(told(v1alpha1.Kept, new, new, good), func(s *v1alpha1.Sync) {
			s.Annotations[v1alpha1.AnnotationSyncAt] = "later"
		}), new, verdict{message: "waiting for the agent's next look; Kept: says Kept"}},
		{"a changed spec", change(told(v1alpha1.Kept, new, new, good), func(s *v1alpha1.Sync) { s.Generation++ }), new,
			verdict{message: "waiting for the agent's next look; Kept: says Kept"}},
		{"no commit wanted yet", told(v1alpha1.Pending, "", "", reconciling(unknown, "Pending")...), "",
			verdict{message: "waiting for the agent's next look; Pending: says Pending"}},
		{"another commit wanted", told(v1alpha1.Kept, old, old, good), new, verdict{elsewhere: true, message: "Git wants 1111111; Kept: says Kept"}},
		{"whatever is wanted is deployed", told(v1alpha1.Kept, new, new, good), "", verdict{final: true, code: exitOK, message: "Kept: says Kept"}},
		{"the commit is deployed", told(v1alpha1.Kept, new, new, good), new, verdict{final: true, code: exitOK, message: "Kept: says Kept"}},
		{"the commit, by its first digits", told(v1alpha1.Kept, new, new, good), "22222", verdict{final: true, code: exitOK, message: "Kept: says Kept"}},
		{"the commit is not deployed yet", told(v1alpha1.Kept, new, old, good), new, verdict{message: "Kept: says Kept"}},
		{"the commit is judged", told(v1alpha1.Watching, new, old, reconciling(unknown, "Progressing")...), new, verdict{message: "Watching: says Progressing"}},
		{"the commit is written", told(v1alpha1.Applying, new, old, reconciling(unknown, "Progressing")...), new, verdict{message: "Applying: says Progressing"}},
		{"the commit is rolling back", told(v1alpha1.RollingBack, new, old, reconciling(no, "RollingBack")...), new, verdict{message: "RollingBack: says RollingBack"}},
		{"the commit was rolled back", told(v1alpha1.RolledBack, new, old, stalled("RolledBack")...), new, verdict{final: true, code: exitRolledBack, message: "RolledBack: says RolledBack"}},
		{"the commit was rolled back in vain", told(v1alpha1.RollbackFailed, new, old, stalled("RollbackFailed")...), new,
			verdict{final: true, code: exitRolledBack, message: "RollbackFailed: says RollbackFailed"}},
		{"the commit failed and stays", told(v1alpha1.Failed, new, new, stalled("CrashLoopBackOff")...), new, verdict{final: true, code: exitError, message: "Failed: says CrashLoopBackOff"}},
		{"the commit does not render", told(v1alpha1.Kept, new, old, stalled("InvalidYAML")...), new, verdict{final: true, code: exitError, message: "Kept: says InvalidYAML"}},
		{"the registry is down", told(v1alpha1.Kept, new, old, reconciling(no, "Unreachable")...), new, verdict{message: "Kept: says Unreachable"}},
		{"the commit is deployed and Git is down by now", told(v1alpha1.Kept, new, new, reconciling(no, "Unreachable")...), new, verdict{final: true, code: exitOK, message: "Kept: says Unreachable"}},
		{"another commit was rolled back", told(v1alpha1.RolledBack, other, old, stalled("RolledBack")...), new, verdict{elsewhere: true, message: "Git wants 3333333; RolledBack: says RolledBack"}},
		{"a suspended Sync", told(v1alpha1.Suspended, new, old, condition(v1alpha1.Ready, unknown, "Suspended")), new, verdict{message: "Suspended: says Suspended"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, verdictOn(test.sync, test.commit), cmp.AllowUnexported(verdict{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
