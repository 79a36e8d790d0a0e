package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// provisioning are the annotations by which Kubernetes says that somebody is to make a volume for a claim. A claim of a
// class that waits for the first consumer gets them once a pod that mounts it has a node; until then, and perhaps for
// ever, it is Pending without harm. Such a claim has no bearing on its release: the pods that need it say so themselves.
// (https://kubernetes.io/docs/reference/labels-annotations-taints/#volume-kubernetes-io-storage-provisioner)
var provisioning = []string{
	"volume.kubernetes.io/selected-node", "volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner",
}

// claim is the verdict on a PersistentVolumeClaim.
func claim(u *unstructured.Unstructured) manifests.Health {
	switch phase := textOf(u.Object, "status.phase"); phase {
	case "Bound":
		return healthy
	case "Lost":
		return failed("ClaimLost", "the volume that it was bound to is gone, and the data with it")
	}
	verdict := progressing("Unbound", "it is not bound to a volume")
	if textOf(u.Object, "spec.volumeName") != "" {
		return verdict
	}
	for _, name := range provisioning {
		if u.GetAnnotations()[name] != "" {
			return verdict
		}
	}
	verdict.Message += ", and nobody has been asked for one: that is for the pods that mount it"
	verdict.Bearing = manifests.None
	return verdict
}

// volume is the verdict on a PersistentVolume.
func volume(u *unstructured.Unstructured) manifests.Health {
	switch phase := textOf(u.Object, "status.phase"); phase {
	case "Failed":
		return told(u, failed("VolumeFailed", ""))
	case "Pending", "":
		return progressing("", "it is not available yet")
	}
	return healthy
}
