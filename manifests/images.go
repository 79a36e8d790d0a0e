package manifests

import (
	"encoding/json"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// podSpecs is what counts as having images: the kinds that hold a pod spec, and where.
var podSpecs = map[schema.GroupKind][]string{
	{Kind: "Pod"}:                        {"spec"},
	{Kind: "PodTemplate"}:                {"template", "spec"},
	{Kind: "ReplicationController"}:      {"spec", "template", "spec"},
	{Group: "apps", Kind: "Deployment"}:  {"spec", "template", "spec"},
	{Group: "apps", Kind: "StatefulSet"}: {"spec", "template", "spec"},
	{Group: "apps", Kind: "DaemonSet"}:   {"spec", "template", "spec"},
	{Group: "apps", Kind: "ReplicaSet"}:  {"spec", "template", "spec"},
	{Group: "batch", Kind: "Job"}:        {"spec", "template", "spec"},
	{Group: "batch", Kind: "CronJob"}:    {"spec", "jobTemplate", "spec", "template", "spec"},
}

// containerLists are the fields of a pod spec that list containers.
var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

// Image is one place in a set that names an image.
type Image struct {
	Object    Object
	Container string // the container's name, or "volume NAME" for an image volume
	Image     string // as it is written
	// PullSecrets and ServiceAccount are what the pod spec around it names; the latter is empty where that is "default",
	// or where the image stands in no pod spec.
	PullSecrets    []string
	ServiceAccount string
}

// Images lists every image in the set, in order, but for the objects whose images are to be left alone. More are places
// beside the built-in ones.
func (s Set) Images(more []Place) []Image {
	var images []Image
	for _, o := range s.objects {
		if o.Annotation(AnnotationResolve) == "disabled" {
			continue
		}
		visitImages(o.content, func(container, image string) string {
			images = append(images, Image{Object: o, Container: container, Image: image})
			return image
		})
	}
	return images
}

// Pins says for images, as Git has them, what to run instead: "ghcr.io/acme/cart:2.0" →
// "ghcr.io/acme/cart@sha256:8704…". An image without a pin is left as it is.
type Pins map[string]string

// Pin is the set with every pinned image replaced; what Git had is kept in [AnnotationImages].
func (s Set) Pin(pins Pins, more []Place) (Set, error) {
	return s.Map(func(u *unstructured.Unstructured) error {
		if u.GetAnnotations()[AnnotationResolve] == "disabled" {
			return nil
		}
		written := map[string]string{}
		visitImages(u, func(container, image string) string {
			pinned, ok := pins[image]
			if !ok || pinned == image {
				return image
			}
			written[container] = image
			return pinned
		})
		if len(written) == 0 {
			return nil
		}
		text, err := json.Marshal(written)
		if err != nil {
			return err
		}
		setAnnotation(u, AnnotationImages, string(text))
		return nil
	})
}

// ImageNames is every distinct image of a list, sorted.
func ImageNames(images []Image) []string {
	var names []string
	for _, image := range images {
		names = append(names, image.Image)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// visitImages calls visit for each image of an object and writes back what it answers.
func visitImages(u *unstructured.Unstructured, visit func(container, image string) string) {
	path, ok := podSpecs[u.GroupVersionKind().GroupKind()]
	if !ok {
		return
	}
	spec, ok := nestedMap(u.Object, path...)
	if !ok {
		return
	}
	for _, list := range containerLists {
		eachMap(spec[list], func(i int, container map[string]any) {
			visitField(container, "image", nameOr(container, list+"["+strconv.Itoa(i)+"]"), visit)
		})
	}
	eachMap(spec["volumes"], func(i int, volume map[string]any) {
		if source, ok := volume["image"].(map[string]any); ok {
			visitField(source, "reference", "volume "+nameOr(volume, strconv.Itoa(i)), visit)
		}
	})
}

func visitField(holder map[string]any, field, container string, visit func(container, image string) string) {
	image, ok := holder[field].(string)
	if !ok || image == "" {
		return
	}
	if instead := visit(container, image); instead != image { // a set that is only read must not be written to
		holder[field] = instead
	}
}

func eachMap(list any, visit func(int, map[string]any)) {
	items, _ := list.([]any)
	for i, item := range items {
		if m, ok := item.(map[string]any); ok {
			visit(i, m)
		}
	}
}

func nameOr(holder map[string]any, otherwise string) string {
	if name, ok := holder["name"].(string); ok && name != "" {
		return name
	}
	return otherwise
}

// nestedMap is the map at path itself, not a copy of it as [unstructured.NestedMap] would give.
func nestedMap(root map[string]any, path ...string) (map[string]any, bool) {
	for _, field := range path {
		next, ok := root[field].(map[string]any)
		if !ok {
			return nil, false
		}
		root = next
	}
	return root, true
}

func setAnnotation(u *unstructured.Unstructured, key, value string) {
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	u.SetAnnotations(annotations)
}
