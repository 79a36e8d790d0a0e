package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ReplacesNoPods tells the workloads whose controllers keep running pods when their template changes, so that
// somebody else has to replace them: without that a new image reaches only the pods that happen to die.
func ReplacesNoPods(kind schema.GroupKind) bool {
	return kind == schema.GroupKind{Kind: "ReplicationController"} ||
		kind == schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}
}

// StampTemplates is the set with each pod template that [ReplacesNoPods] speaks of marked with a hash of itself
// ([AnnotationTemplate]). Its pods inherit the mark.
func (s Set) StampTemplates() (Set, error) {
	return s.each(func(o Object) (Object, error) {
		if _, ok := nestedMap(o.content.Object, "spec", "template"); !ok || !ReplacesNoPods(o.id.GroupKind()) {
			return o, nil
		}
		u := o.Unstructured()
		template, _ := nestedMap(u.Object, "spec", "template")
		annotations := unstamped(template)
		text, err := json.Marshal(template)
		if err != nil {
			return Object{}, err
		}
		sum := sha256.Sum256(text)
		annotations[AnnotationTemplate] = hex.EncodeToString(sum[:8])
		return objectOf(u, o.File), unstructured.SetNestedMap(template, annotations, "metadata", "annotations")
	})
}

// unstamped takes a template back to what it was before it was stamped, or could have been, and answers a copy of its
// annotations.
func unstamped(template map[string]any) map[string]any {
	metadata, _ := template["metadata"].(map[string]any)
	written, _ := metadata["annotations"].(map[string]any)
	annotations := map[string]any{}
	for key, value := range written {
		if key != AnnotationTemplate {
			annotations[key] = value
		}
	}
	if len(annotations) == 0 {
		delete(metadata, "annotations")
	} else {
		metadata["annotations"] = annotations
	}
	if len(metadata) == 0 {
		delete(template, "metadata")
	}
	return maps.Clone(annotations)
}
