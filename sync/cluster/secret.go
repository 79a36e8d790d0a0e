package cluster

import (
	"context"
	"encoding/base64"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Secret reads a Secret's data. It is asked for anew each time and kept nowhere.
func (c *Cluster) Secret(ctx context.Context, name types.NamespacedName) (map[string]string, error) {
	where := "Secret/" + name.String()
	u, err := c.own.Resource(secrets).Namespace(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, &Error{Reason: "SecretNotFound", Object: where, Detail: "it is not there; create it", Temporary: true}
	}
	if err != nil {
		return nil, describe(where, "Secret", err)
	}
	encoded, _, _ := unstructured.NestedStringMap(u.Object, "data")
	data := make(map[string]string, len(encoded))
	for key, value := range encoded {
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, &Error{Reason: "SecretInvalid", Object: where, Detail: "its key " + key + " is not base64"}
		}
		data[key] = string(text)
	}
	return data, nil
}
