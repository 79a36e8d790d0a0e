package manifests

import (
	"encoding/base64"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// EncodeSecrets is the set with each Secret's stringData moved into its data, where it ends up anyway. The API server
// knows an applied key by the field that it was applied in, so that one that has left stringData would stay in data
// for ever (https://github.com/kubernetes/kubernetes/issues/108008).
func (s Set) EncodeSecrets() (Set, error) {
	return s.each(func(o Object) (Object, error) {
		if o.id.Group != "" || o.id.Kind != "Secret" {
			return o, nil
		}
		texts, found, err := unstructured.NestedStringMap(o.content.Object, "stringData")
		written := o.content.Object["data"]
		_, isMap := written.(map[string]any)
		if !found || err != nil || written != nil && !isMap {
			return o, nil // what is no map of texts is for the API server to refuse
		}
		encoded, data := o.copied("data")
		for key, text := range texts {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
		delete(encoded.content.Object, "stringData")
		return encoded, nil
	})
}
