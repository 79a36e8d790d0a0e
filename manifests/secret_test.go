package manifests

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestEncodeSecretsMovesStringDataIntoData(t *testing.T) {
	for name, test := range map[string]struct{ given, want map[string]any }{
		"alone": {
			map[string]any{"stringData": map[string]any{"a": "x"}},
			map[string]any{"data": map[string]any{"a": "eA=="}},
		},
		"over data, as the API server does": {
			map[string]any{"stringData": map[string]any{"a": "x"}, "data": map[string]any{"a": "eQ==", "b": "eg=="}},
			map[string]any{"data": map[string]any{"a": "eA==", "b": "eg=="}},
		},
		"not what is no text": {
			map[string]any{"stringData": map[string]any{"a": int64(1)}},
			map[string]any{"stringData": map[string]any{"a": int64(1)}},
		},
		"nor into what is no map": {
			map[string]any{"stringData": map[string]any{"a": "x"}, "data": "y"},
			map[string]any{"stringData": map[string]any{"a": "x"}, "data": "y"},
		},
		"nor where there is none": {map[string]any{}, map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, content := range []map[string]any{test.given, test.want} {
				content["apiVersion"], content["kind"], content["metadata"] = "v1", "Secret", map[string]any{"name": "login"}
			}
			o, err := NewObject(&unstructured.Unstructured{Object: test.given}, "x.yaml")
			if err != nil {
				t.Fatal(err)
			}
			set, err := NewSet(o)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := set.EncodeSecrets()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, encoded.Objects()[0].Unstructured().Object); diff != "" {
				t.Error(diff)
			}
		})
	}
}
