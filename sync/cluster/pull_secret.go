package cluster

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// secret fills in what a Secret holds, or why that is of no use.
func (r *pullSecretReading) secret(ctx context.Context, id manifests.ID, into *PullSecret) error {
	own, comes := r.applied(id)
	if comes && !own.CreatedOnly() {
		into.fill(own.Unstructured())
		return nil
	}
	if id.Namespace == "" {
		into.Problem = "the object that names it is in no namespace"
		return nil
	}
	u, problem, err := r.read(ctx, secrets, id)
	switch {
	case u != nil:
		into.fill(u)
	case comes && problem.missing:
		into.fill(own.Unstructured())
		return nil
	}
	into.Problem = cmp.Or(into.Problem, problem.text)
	return err
}

// fill takes what the kubelet would take: https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
func (s *PullSecret) fill(secret *unstructured.Unstructured) {
	kind, _, _ := unstructured.NestedString(secret.Object, "type")
	key := corev1.DockerConfigJsonKey
	switch corev1.SecretType(kind) {
	case corev1.SecretTypeDockerConfigJson:
	case corev1.SecretTypeDockercfg:
		key, s.Legacy = corev1.DockerConfigKey, true
	default:
		s.Problem = fmt.Sprintf("its type is %q, and nodes use only %s and %s", cmp.Or(kind, "Opaque"),
			corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg)
		return
	}
	encoded, _, _ := unstructured.NestedString(secret.Object, "data", key)
	text, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case encoded == "":
		s.Problem = "it has no key " + key
	case err != nil:
		s.Problem = "its key " + key + " is not base64"
	default:
		s.Config = text
	}
}

// unread is why an object was not read, though the API server answered.
type unread struct {
	text    string
	missing bool
}

// read reads an object that may not be there, or not be for these eyes. An error is about the way to the API server.
func (r *pullSecretReading) read(ctx context.Context, resource schema.GroupVersionResource, id manifests.ID) (*unstructured.Unstructured, unread, error) {
	if len(path.IsValidPathSegmentName(id.Name))+len(path.IsValidPathSegmentName(id.Namespace)) > 0 {
		return nil, unread{text: "no object can have that name"}, nil // the client would not even ask
	}
	u, err := r.cluster.own.Resource(resource).Namespace(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	switch {
	case err == nil:
		return u, unread{}, nil
	case apierrors.IsNotFound(err):
		return nil, unread{text: "it is not there", missing: true}, nil
	case apierrors.IsForbidden(err):
		return nil, unread{text: fmt.Sprintf("it may not be read; add to a Role of %s: {apiGroups: [\"\"], resources: [%s], verbs: [get]}",
			id.Namespace, resource.Resource)}, nil
	}
	return nil, unread{}, describe(id.String(), id.Kind, err)
}

// sourceName is how messages name where credentials are.
func sourceName(id manifests.ID) string { return id.Kind + " " + id.Namespace + "/" + id.Name }
