package cluster

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// drift tells whether a change touched what belay owns of an object. Who takes a field over or removes it takes it
// out of belay's entry in managedFields, so that this entry need only be compared: status updates, and fields that
// others add, leave it alone.
func drift(old, now client.Object) bool {
	return ourFields(old) != ourFields(now) || ownerOf(old.GetLabels()) != ownerOf(now.GetLabels())
}

func ourFields(object client.Object) string {
	for _, entry := range object.GetManagedFields() {
		if ours(entry) && entry.FieldsV1 != nil {
			return string(entry.FieldsV1.GetRawBytes())
		}
	}
	return ""
}

func ours(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// keepOurFields drops everybody else's entries of managedFields: they are half of an object's size.
func keepOurFields(event any) (any, error) {
	object, ok := event.(client.Object)
	if !ok {
		return event, nil
	}
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range object.GetManagedFields() {
		if ours(entry) {
			kept = append(kept, entry)
		}
	}
	object.SetManagedFields(kept)
	return object, nil
}

func isComplete(job *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(job.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] == "Complete" && condition["status"] == "True" {
			return true
		}
	}
	return false
}

// older compares resource versions, which are ordered since Kubernetes 1.35 and were so in practice before. Those
// that are no numbers count as older when they differ.
func older(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	if errX != nil || errY != nil {
		return a != b
	}
	return x < y
}
