package health

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// job is the verdict on a Job. One that runs is waited for: whether its release is good is not known before.
// FailureTarget and SuccessCriteriaMet come before Failed and Complete, while its last pods end.
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup)
func job(u *unstructured.Unstructured) manifests.Health {
	for _, name := range []string{"Failed", "FailureTarget"} {
		if c := conditionOf(u.Object, name); c["status"] == "True" {
			return failed(reasonOf(c), messageOf(c))
		}
	}
	for _, name := range []string{"Complete", "SuccessCriteriaMet"} {
		if conditionOf(u.Object, name)["status"] == "True" {
			return healthy
		}
	}
	if asked, _ := asTruth(fieldOf(u.Object, "spec.suspend")); asked {
		return suspendedJob(u)
	}
	if textOf(u.Object, "status.startTime") == "" {
		return progressing("", "it has not started")
	}
	succeeded, failures := numberOf(u.Object, "status.succeeded"), numberOf(u.Object, "status.failed")
	return progressing("", fmt.Sprintf("it runs: %d pods have succeeded, and %d have failed", succeeded, failures))
}

// suspendedJob is the verdict on a Job that is to stand still: its pods may take a moment to go.
func suspendedJob(u *unstructured.Unstructured) manifests.Health {
	if numberOf(u.Object, "status.active") > 0 || conditionOf(u.Object, "Suspended")["status"] != "True" {
		return progressing("", "it is to be suspended, and its controller is not done with it")
	}
	return suspended("spec.suspend is set")
}

// cronJob is the verdict on a CronJob. How its Jobs fare is not a matter of the release.
func cronJob(u *unstructured.Unstructured) manifests.Health {
	if asked, _ := asTruth(fieldOf(u.Object, "spec.suspend")); asked {
		return suspended("spec.suspend is set")
	}
	return healthy
}
