package cluster

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// podSpecs is where Kubernetes' own kinds have the spec of pods.
var podSpecs = map[schema.GroupKind][]string{
	{Kind: "Pod"}:                        {"spec"},
	{Kind: "PodTemplate"}:                {"template", "spec"},
	{Kind: "ReplicationController"}:      {"spec", "template", "spec"},
	{Group: "apps", Kind: "Deployment"}:  {"spec", "template", "spec"},
	{Group: "apps", Kind: "ReplicaSet"}:  {"spec", "template", "spec"},
	{Group: "apps", Kind: "DaemonSet"}:   {"spec", "template", "spec"},
	{Group: "apps", Kind: "StatefulSet"}: {"spec", "template", "spec"},
	{Group: "batch", Kind: "Job"}:        {"spec", "template", "spec"},
	{Group: "batch", Kind: "CronJob"}:    {"spec", "jobTemplate", "spec", "template", "spec"},
}

// accountName and its alias are fields of a pod's spec.
const (
	accountName  = "serviceAccountName"
	accountAlias = "serviceAccount"
)

// leavesAccount answers where the spec of an object's pods is if applying it takes away the ServiceAccount that belay gave
// them, and nil otherwise.
//
// The API server keeps a copy of serviceAccountName in the deprecated serviceAccount, which nobody has applied and which
// therefore stays. A serviceAccountName that is gone is filled from it again
// (https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/apis/core/v1/conversion.go, Convert_v1_PodSpec_To_core_PodSpec),
// so that both have to be emptied at once.
func leavesAccount(object, live *unstructured.Unstructured) []string {
	path, known := podSpecs[object.GroupVersionKind().GroupKind()]
	if !known || nameAt(object, path, accountName) != "" || nameAt(object, path, accountAlias) != "" || nameAt(live, path, accountAlias) == "" {
		return nil
	}
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && owns(entry, path, accountName) {
			return path
		}
	}
	return nil
}

func nameAt(u *unstructured.Unstructured, path []string, field string) string {
	name, _, _ := unstructured.NestedString(u.Object, append(append([]string(nil), path...), field)...)
	return name
}

// owns tells whether an entry of managedFields has a field.
func owns(entry metav1.ManagedFieldsEntry, path []string, field string) bool {
	var fields map[string]any
	if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return false
	}
	at := make([]string, 0, len(path)+1)
	for _, name := range append(append([]string(nil), path...), field) {
		at = append(at, "f:"+name)
	}
	_, found, err := unstructured.NestedFieldNoCopy(fields, at...)
	return found && err == nil
}

// withoutAccount is an object whose pods have no ServiceAccount, in so many words.
func withoutAccount(object map[string]any, path []string) (map[string]any, error) {
	u := (&unstructured.Unstructured{Object: object}).DeepCopy()
	for _, field := range []string{accountName, accountAlias} {
		if err := unstructured.SetNestedField(u.Object, "", append(append([]string(nil), path...), field)...); err != nil {
			return nil, err
		}
	}
	return u.Object, nil
}
