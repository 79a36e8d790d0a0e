package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is one manifest: what is to be in the cluster, and the file that says so.
// The zero Object is not valid; make one with [NewObject].
type Object struct {
	// File is where in the repository the object stands, for messages: "deploy/cart.yaml". It is empty for
	// an object that was read back from a stored release.
	File string

	// content is shared by every Object and [Set] that it is part of, and so are the maps and lists in it: whatever
	// changes an object changes a copy, of the whole or of the maps on the way to the change (see copied). A caller
	// is only ever given copies.
	content *unstructured.Unstructured
	id      ID // of content
}

// serverFields are written by the API server alone; in Git they are left-overs of `kubectl get -o yaml`.
var serverFields = [][]string{
	{"status"},
	{"metadata", "uid"},
	{"metadata", "resourceVersion"},
	{"metadata", "generation"},
	{"metadata", "creationTimestamp"},
	{"metadata", "managedFields"},
	{"metadata", "selfLink"},
	{"metadata", "ownerReferences"},
}

// NewObject checks that content names an object that can be applied, and keeps a copy of it without the fields
// that only the API server writes.
func NewObject(content *unstructured.Unstructured, file string) (Object, error) {
	return Take(content.DeepCopy(), file)
}

// Take is [NewObject] for content that nobody else has, as what was just read from a text: it is not copied. The caller
// lets go of it.
func Take(u *unstructured.Unstructured, file string) (Object, error) {
	for _, field := range serverFields {
		unstructured.RemoveNestedField(u.Object, field...)
	}
	switch {
	case u.GetAPIVersion() == "":
		return Object{}, fmt.Errorf("%s: an object without apiVersion", file)
	case u.GetKind() == "":
		return Object{}, fmt.Errorf("%s: an object without kind", file)
	case u.GetGenerateName() != "":
		return Object{}, fmt.Errorf("%s: %s has generateName: write metadata.name, so that the next commit finds the same object", file, u.GetKind())
	case u.GetName() == "":
		return Object{}, fmt.Errorf("%s: %s without metadata.name", file, u.GetKind())
	}
	for _, field := range []string{"labels", "annotations"} {
		if err := textsOnly(u.Object, "metadata", field); err != nil {
			return Object{}, fmt.Errorf("%s: %s/%s: %w", file, u.GetKind(), u.GetName(), err)
		}
	}
	if _, err := schema.ParseGroupVersion(u.GetAPIVersion()); err != nil {
		return Object{}, fmt.Errorf("%s: %s/%s: apiVersion %q is not group/version", file, u.GetKind(), u.GetName(), u.GetAPIVersion())
	}
	for _, named := range []struct{ field, value string }{{"metadata.name", u.GetName()}, {"metadata.namespace", u.GetNamespace()}} {
		if problems := path.IsValidPathSegmentName(named.value); len(problems) > 0 {
			return Object{}, fmt.Errorf("%s: %s: %s %q %s", file, u.GetKind(), named.field, named.value, problems[0])
		}
	}
	return objectOf(u, file), nil
}

// objectOf is the Object of content that is as it is to be.
func objectOf(u *unstructured.Unstructured, file string) Object {
	gvk := u.GroupVersionKind()
	return Object{File: file, content: u, id: ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}}
}

// copied is the object with a copy of the maps that path leads through, to change the last of them: the first one is the
// content itself. Where a field of path is missing, or is no map, an empty map takes its place. All else is shared.
func (o Object) copied(path ...string) (changed Object, last map[string]any) {
	root := maps.Clone(o.content.Object)
	last = root
	for _, field := range path {
		inner, _ := last[field].(map[string]any)
		if inner = maps.Clone(inner); inner == nil {
			inner = map[string]any{}
		}
		last[field], last = inner, inner
	}
	o.content = &unstructured.Unstructured{Object: root}
	return o, last
}

// textsOnly wants a map of texts, or nothing, at path. YAML makes numbers and booleans of unquoted values, which the
// API server would refuse later with less to go by.
func textsOnly(root map[string]any, path ...string) error {
	value, _, err := unstructured.NestedFieldNoCopy(root, path...)
	name := strings.Join(path, ".")
	if err != nil {
		return fmt.Errorf("%s is not a map", name)
	}
	if value == nil {
		unstructured.RemoveNestedField(root, path...)
		return nil
	}
	texts, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is not a map", name)
	}
	for key, value := range texts {
		if _, ok := value.(string); !ok {
			return fmt.Errorf("%s: the value of %q is not a text: put it into quotes", name, key)
		}
	}
	return nil
}

// ID names the object.
func (o Object) ID() ID { return o.id }

// GroupVersionKind is the version that the manifest is written in.
func (o Object) GroupVersionKind() schema.GroupVersionKind { return o.content.GroupVersionKind() }

// Annotation is the value of one of the object's annotations, or "".
func (o Object) Annotation(key string) string {
	value, _ := o.annotation(key)
	return value
}

// annotation reads one annotation; all of them are texts (see textsOnly).
func (o Object) annotation(key string) (value string, has bool) {
	annotations, _ := nestedMap(o.content.Object, "metadata", "annotations")
	value, has = annotations[key].(string)
	return value, has
}

// Field is a copy of what is at path in the object's content; nil where there is nothing.
func (o Object) Field(path ...string) any {
	value, _, err := unstructured.NestedFieldCopy(o.content.Object, path...)
	if err != nil {
		return nil
	}
	return value
}

// JSON is the object's content as text, with the keys of its maps sorted: for a request, without a copy to make it of.
func (o Object) JSON() ([]byte, error) { return json.Marshal(o.content.Object) }

// Wave is the object's belay.dev/wave; 0 without one.
func (o Object) Wave() int {
	wave, _ := strconv.Atoi(o.Annotation(AnnotationWave)) // anything but a number is refused when the object is placed
	return wave
}

// Unstructured is a copy of the object's content.
func (o Object) Unstructured() *unstructured.Unstructured { return o.content.DeepCopy() }

// With is a copy of the object with change applied to it.
func (o Object) With(change func(*unstructured.Unstructured)) Object {
	u := o.Unstructured()
	change(u)
	return objectOf(u, o.File)
}

// String names the object and its file: "Deployment/shop/cart (deploy/cart.yaml)".
func (o Object) String() string {
	if o.File == "" {
		return o.ID().String()
	}
	return o.ID().String() + " (" + o.File + ")"
}
