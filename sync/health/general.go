package health

import (
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// unseen is the verdict on an object whose status is of an older generation.
var unseen = manifests.Health{Condition: manifests.Progressing, Message: "its controller has not seen the change yet"}

// behind tells whether an object's status is of an older generation.
func behind(u *unstructured.Unstructured) bool {
	observed, ok := asNumber(fieldOf(u.Object, "status.observedGeneration"))
	return ok && observed < u.GetGeneration()
}

// general is what the conventions for status say of an object (kstatus). A status that it cannot make sense of is
// no failure: nobody is rolled back for a type error in somebody else's status.
func general(u *unstructured.Unstructured) (verdict manifests.Health) {
	healthy := manifests.Health{Condition: manifests.Healthy}
	defer func() {
		if recover() != nil {
			verdict = healthy
		}
	}()
	result, err := status.Compute(u)
	if err != nil {
		return healthy
	}
	switch result.Status {
	case status.CurrentStatus:
		return healthy
	case status.FailedStatus:
		return manifests.Health{Condition: manifests.Unhealthy, Reason: "Failed", Message: result.Message}
	}
	if result.Message == "" {
		result.Message = "its status is not complete yet"
	}
	return manifests.Health{Condition: manifests.Progressing, Message: result.Message}
}

// told gives a verdict the words that the status has for it, where it has none.
func told(u *unstructured.Unstructured, verdict manifests.Health) manifests.Health {
	if verdict.Condition == manifests.Healthy || verdict.Message != "" {
		return verdict
	}
	for _, condition := range conditionsOf(u.Object) {
		if condition["message"] != "" {
			verdict.Message = condition["message"]
			if verdict.Reason == "" {
				verdict.Reason = condition["reason"]
			}
			return verdict
		}
	}
	verdict.Message = textOf(u.Object, "status.message")
	return verdict
}
