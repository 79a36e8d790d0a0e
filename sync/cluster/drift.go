package cluster

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// drift tells whether a change touched what belay owns of an object, or added to it what people add by hand. Who
// takes a field over or removes it takes it out of belay's entry in managedFields, so that this entry and theirs need
// only be compared: status updates, and fields that others add, leave them alone.
func drift(old, now client.Object) bool {
	return watchedFields(old) != watchedFields(now) || ownerOf(old.GetLabels()) != ownerOf(now.GetLabels())
}

func watchedFields(object client.Object) string {
	var text strings.Builder
	for _, entry := range object.GetManagedFields() {
		if ours(entry) && entry.FieldsV1 != nil || byHand(entry) {
			fmt.Fprintf(&text, "%s %s %s\n", entry.Manager, entry.Operation, entry.FieldsV1.GetRawBytes())
		}
	}
	return text.String()
}

func ours(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// keepWatchedFields drops all entries of managedFields but belay's and those of people's hands: they are half of an
// object's size.
func keepWatchedFields(event any) (any, error) {
	object, ok := event.(client.Object)
	if !ok {
		return event, nil
	}
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range object.GetManagedFields() {
		if ours(entry) || byHand(entry) {
			kept = append(kept, entry)
		}
	}
	object.SetManagedFields(kept)
	return object, nil
}
