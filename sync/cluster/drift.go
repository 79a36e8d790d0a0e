package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// drift tells whether a change touched what belay owns of an object, or added to it what people add by hand. Who
// takes a field over or removes it takes it out of belay's entry in managedFields, so that this entry and theirs need
// only be compared: status updates, and fields that others add, leave them alone. Another object of the same name, which
// was made while a watch was away, is drift as well.
func drift(old, now client.Object) bool {
	return watchedFields(old.GetManagedFields()) != watchedFields(now.GetManagedFields()) ||
		ownerOf(old.GetLabels()) != ownerOf(now.GetLabels()) || old.GetUID() != now.GetUID()
}

// digested is the operation of the entry that stands for the others in managedFields that were let go of. Its manager is
// their digest.
const digested metav1.ManagedFieldsOperationType = "Digested"

// watchedFields is a digest of belay's entry in managedFields and of those of people's hands; empty where there are none.
func watchedFields(entries []metav1.ManagedFieldsEntry) string {
	hash, found := sha256.New(), false
	for _, entry := range entries {
		switch {
		case entry.Operation == digested:
			return entry.Manager
		case entry.FieldsV1 == nil || !ours(entry) && !byHand(entry):
			continue
		}
		found = true
		fmt.Fprintf(hash, "%s %s ", entry.Manager, entry.Operation)
		// A watch on whole objects has read the fields and writes them in an order of its own.
		var fields map[string]any
		text := entry.FieldsV1.GetRawBytes()
		if json.Unmarshal(text, &fields) == nil {
			text, _ = json.Marshal(fields) // what was read can be written
		}
		hash.Write(append(text, '\n'))
	}
	if !found {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func ours(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// keepWatchedFields keeps of managedFields what is asked of the watches: a digest of belay's entry and of those of
// people's hands, and who holds the replicas. The whole is the greater half of an object in memory.
func keepWatchedFields(event any) (any, error) {
	object, ok := event.(client.Object)
	if !ok {
		return event, nil
	}
	var kept []metav1.ManagedFieldsEntry
	entries := object.GetManagedFields() // which takes a while, of an object that is not typed
	if digest := watchedFields(entries); digest != "" {
		kept = append(kept, metav1.ManagedFieldsEntry{Manager: digest, Operation: digested})
	}
	for _, entry := range entries {
		scales := holdsReplicas(entry)
		if !ours(entry) && !(isScaler(entry) && scales) {
			continue
		}
		if entry.Time, entry.FieldsV1 = nil, nil; scales {
			entry.FieldsV1 = onlyReplicas()
		}
		kept = append(kept, entry)
	}
	object.SetManagedFields(kept)
	return object, nil
}

func onlyReplicas() *metav1.FieldsV1 {
	text, _ := fieldpath.NewSet(replicasField).ToJSON() // a set of one field can be written
	fields := &metav1.FieldsV1{}
	fields.SetRawBytes(text)
	return fields
}
