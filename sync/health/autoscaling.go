package health

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// autoscaler is the verdict on a HorizontalPodAutoscaler. It has no bearing on its release: the metrics that it scales by
// come from elsewhere, often later than the release, and the pods that it scales are judged by themselves.
// (https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details)
func autoscaler(u *unstructured.Unstructured) manifests.Health {
	verdict := scaling(u)
	verdict.Bearing = manifests.None
	return verdict
}

func scaling(u *unstructured.Unstructured) manifests.Health {
	conditions := conditionsOf(u.Object)
	if len(conditions) == 0 {
		// autoscaling/v1 has no field for them.
		var list any
		if json.Unmarshal([]byte(u.GetAnnotations()["autoscaling.alpha.kubernetes.io/conditions"]), &list) == nil {
			conditions = conditionsIn(list)
		}
	}
	if len(conditions) == 0 {
		return progressing("", "its controller has not looked at it yet")
	}
	for _, c := range conditions {
		switch {
		case c["type"] == "ScalingActive" && c["reason"] == "ScalingDisabled":
			return suspended("there are no pods to scale")
		case (c["type"] == "AbleToScale" || c["type"] == "ScalingActive") && c["status"] == "False" && saysAtIt(wordsIn(c["reason"])):
			return progressing(reasonOf(c), messageOf(c))
		case (c["type"] == "AbleToScale" || c["type"] == "ScalingActive") && c["status"] == "False":
			return failed(reasonOf(c), messageOf(c))
		}
	}
	return healthy
}

// disruptionBudget is the verdict on a PodDisruptionBudget, which bears on evictions, and not on its release.
// (https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/pod-disruption-budget-v1/)
func disruptionBudget(u *unstructured.Unstructured) manifests.Health {
	if behind(u) {
		return ofNoBearing(unseen)
	}
	allowed := conditionOf(u.Object, "DisruptionAllowed")
	switch {
	case allowed["reason"] == "SyncFailed":
		return ofNoBearing(failed(allowed["reason"], messageOf(allowed)))
	case numberOf(u.Object, "status.currentHealthy") < numberOf(u.Object, "status.desiredHealthy"):
		return ofNoBearing(progressing("InsufficientPods", "fewer pods are healthy than it is to keep"))
	}
	return healthy
}

func ofNoBearing(verdict manifests.Health) manifests.Health {
	verdict.Bearing = manifests.None
	return verdict
}
