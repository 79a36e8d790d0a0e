package manifests

import (
	"encoding/base64"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// EncodeSecrets is the set with each Secret's stringData moved into its data, where it ends up anyway. The API server
// knows an applied key by the field that it was applied in, so that one that has left stringData would stay in data
// for ever (https://github.com/kubernetes/kubernetes/issues/108008).
func (s Set) EncodeSecrets() (Set, error) {
	return s.Map(func(u *unstructured.Unstructured) error {
		if u.GroupVersionKind().Group != "" || u.GetKind() != "Secret" {
			return nil
		}
		texts, found, err := unstructured.NestedStringMap(u.Object, "stringData")
		written, isMap := u.Object["data"].(map[string]any)
		if !found || err != nil || u.Object["data"] != nil && !isMap {
			return nil // what is no map of texts is for the API server to refuse
		}
		data := maps.Clone(written)
		if data == nil {
			data = map[string]any{}
		}
		for key, text := range texts {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
		delete(u.Object, "stringData")
		u.Object["data"] = data
		return nil
	})
}
