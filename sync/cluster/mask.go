package cluster

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var secretKind = schema.GroupKind{Kind: "Secret"}

// annotationLastApplied is kubectl's copy of an object, values and all.
const annotationLastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// What stands for a Secret's value. Two values look alike, whatever they are, but where they are the two sides of a
// difference.
const (
	masked       = "***"
	maskedBefore = "*** (before)"
	maskedAfter  = "*** (after)"
)

// concealed are the places of a Secret that hold values, or all of the values once more.
var concealed = [][]string{{"data"}, {"stringData"}, {"metadata", "annotations"}}

// Mask is an object whose values, if it is a Secret, cannot be read; the keys stay.
func Mask(u *unstructured.Unstructured) *unstructured.Unstructured {
	return maskBeside(u, u, masked)
}

// maskPair masks the two sides of a difference, so that a value that differs can be seen to differ, and not how. A side
// that is not there is nil.
func maskPair(before, after *unstructured.Unstructured) (*unstructured.Unstructured, *unstructured.Unstructured) {
	return maskBeside(before, after, maskedBefore), maskBeside(after, before, maskedAfter)
}

func maskBeside(u, other *unstructured.Unstructured, differing string) *unstructured.Unstructured {
	if u == nil || u.GroupVersionKind().GroupKind() != secretKind {
		return u
	}
	u = u.DeepCopy()
	for _, place := range concealed {
		values, there, _ := unstructured.NestedFieldNoCopy(u.Object, place...)
		if !there {
			continue
		}
		held, isMap := values.(map[string]any)
		if !isMap && values != nil {
			_ = unstructured.SetNestedField(u.Object, masked, place...) // no Secret looks like this: show nothing of it
		}
		for key, value := range held {
			if len(place) > 1 && key != annotationLastApplied {
				continue
			}
			held[key] = masked
			if there, is := valueAt(other, place, key); is && !reflect.DeepEqual(value, there) {
				held[key] = differing
			}
		}
	}
	return u
}

func valueAt(u *unstructured.Unstructured, place []string, key string) (any, bool) {
	if u == nil {
		return nil, false
	}
	values, _, _ := unstructured.NestedFieldNoCopy(u.Object, place...)
	held, _ := values.(map[string]any)
	value, is := held[key]
	return value, is
}
