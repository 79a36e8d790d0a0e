package health

import (
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// kinds are Kubernetes' own, as their API reference has them
// (https://kubernetes.io/docs/reference/kubernetes-api/). Those that are not here have no status that matters, or are
// judged by convention.
var kinds = map[schema.GroupKind]func(*unstructured.Unstructured) manifests.Health{
	{Group: "apps", Kind: "Deployment"}:                               deployment,
	{Group: "apps", Kind: "StatefulSet"}:                              statefulSet,
	{Group: "apps", Kind: "DaemonSet"}:                                daemonSet,
	{Group: "apps", Kind: "ReplicaSet"}:                               replicas,
	{Kind: "ReplicationController"}:                                   replicas,
	{Kind: "Pod"}:                                                     pod,
	{Group: "batch", Kind: "Job"}:                                     job,
	{Group: "batch", Kind: "CronJob"}:                                 cronJob,
	{Kind: "PersistentVolumeClaim"}:                                   claim,
	{Kind: "PersistentVolume"}:                                        volume,
	{Kind: "Service"}:                                                 service,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                     ingress,
	{Group: "extensions", Kind: "Ingress"}:                            ingress,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:           autoscaler,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                    disruptionBudget,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: customResourceDefinition,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             apiService,
	{Kind: "Namespace"}:                                               namespace,
	{Kind: "ConfigMap"}:                                               without,
	{Kind: "Secret"}:                                                  without,
}

var healthy = manifests.Health{Condition: manifests.Healthy}

func progressing(reason, message string) manifests.Health {
	return manifests.Health{Condition: manifests.Progressing, Reason: reason, Message: message}
}

func failed(reason, message string) manifests.Health {
	return manifests.Health{Condition: manifests.Unhealthy, Reason: reason, Message: message}
}

func suspended(message string) manifests.Health {
	return manifests.Health{Condition: manifests.Suspended, Reason: "Suspended", Message: message}
}

// without is the verdict on kinds that have no status.
func without(*unstructured.Unstructured) manifests.Health { return healthy }

// byKstatus is what kstatus says of one of the kinds that it knows. What it cannot make sense of is on its way: nobody is
// rolled back at once for a type error in a status.
func byKstatus(u *unstructured.Unstructured) (verdict manifests.Health) {
	unread := progressing("", "its status cannot be read")
	defer func() {
		if recover() != nil {
			verdict = unread
		}
	}()
	result, err := status.Compute(u)
	if err != nil {
		return unread
	}
	switch result.Status {
	case status.CurrentStatus:
		return healthy
	case status.FailedStatus:
		reason := "Failed"
		if len(result.Conditions) > 0 && result.Conditions[0].Reason != "" {
			reason = result.Conditions[0].Reason
		}
		return failed(reason, result.Message)
	}
	return progressing("", result.Message)
}

// service is the verdict on a Service. That nobody hands out an address, as on bare metal, fails no release.
func service(u *unstructured.Unstructured) manifests.Health {
	if textOf(u.Object, "spec.type") != "LoadBalancer" {
		return healthy
	}
	return addressed(u)
}

func ingress(u *unstructured.Unstructured) manifests.Health { return addressed(u) }

// addressed is the verdict on what waits for an address, perhaps in vain.
func addressed(u *unstructured.Unstructured) manifests.Health {
	if list, _ := fieldOf(u.Object, "status.loadBalancer.ingress").([]any); len(list) > 0 {
		return healthy
	}
	verdict := progressing("NoAddress", "it has no address yet, and its release does not wait for one")
	verdict.Bearing = manifests.None
	return verdict
}

// namespace is the verdict on a Namespace, which is Active as soon as it is there.
func namespace(u *unstructured.Unstructured) manifests.Health {
	if textOf(u.Object, "status.phase") == "Terminating" {
		return progressing("Terminating", "it is being deleted, and nothing can be made in it")
	}
	return healthy
}

// customResourceDefinition is the verdict on one: it is served once it is established.
func customResourceDefinition(u *unstructured.Unstructured) manifests.Health {
	established := conditionOf(u.Object, "Established")
	switch names := conditionOf(u.Object, "NamesAccepted"); {
	case names["status"] == "False":
		return failed(reasonOf(names), messageOf(names))
	case conditionOf(u.Object, "Terminating")["status"] == "True":
		return progressing("Terminating", "it is being deleted")
	case established["status"] == "True":
		return healthy
	case established["status"] == "False" && established["reason"] != "Installing":
		return failed(reasonOf(established), messageOf(established))
	}
	return progressing("Installing", "it is not established yet")
}

// apiService is the verdict on an APIService: it is available once the server behind it answers. That may take as long as
// that server's Deployment, which is judged by itself.
func apiService(u *unstructured.Unstructured) manifests.Health {
	switch available := conditionOf(u.Object, "Available"); available["status"] {
	case "True":
		return healthy
	case "":
		return progressing("", "nobody has asked the server behind it yet")
	default:
		return progressing(reasonOf(available), messageOf(available))
	}
}
