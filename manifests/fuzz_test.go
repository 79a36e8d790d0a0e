package manifests

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fuzzedObject makes an object of a fuzzer's text, if it is one. Its numbers go through JSON once first, as those
// of every object from a renderer have.
func fuzzedObject(text string) (Object, bool) {
	var u unstructured.Unstructured
	if u.UnmarshalJSON([]byte(text)) != nil {
		return Object{}, false
	}
	body, err := json.Marshal(u.Object)
	if err != nil || u.UnmarshalJSON(body) != nil {
		return Object{}, false
	}
	o, err := NewObject(&u, "fuzz.yaml")
	return o, err == nil
}
