package manifests

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Image is one place in a set that names an image.
type Image struct {
	Object Object
	// Container tells the image from the others of the object: the container's name, "volume NAME" for an image volume,
	// or the path of the field: "spec.image", "spec.tasks[name=build].taskSpec.steps[0].image".
	Container string
	Image     string // as it is written
	// PullSecrets and ServiceAccount are what the pod spec around the image names, or the custom resource, in the field's
	// object or the nearest one around it. They are empty where there is none; the latter where that is "default", too.
	PullSecrets    []string
	ServiceAccount string
}

// Where is how messages name the image's place in its object: "container web", "volume model", or the path of the field.
func (i Image) Where() string {
	if strings.ContainsAny(i.Container, ".[ ") {
		return i.Container
	}
	return "container " + i.Container
}

// Images lists every image in the set, in order, but for those that are to be left as they are: of objects that say so,
// and those that [Set.Unpinned] gives a reason of their own for. More are places beside the built-in ones.
func (s Set) Images(more []Place) []Image {
	var images []Image
	places := withBuiltin(more)
	for _, o := range s.objects {
		if o.resolveDisabled() {
			continue
		}
		for _, f := range places.find(o.content) {
			if f.left == "" {
				images = append(images, f.of(o))
			}
		}
	}
	return images
}

// Named lists every image that the set names, in order: those of [Set.Images], those that it leaves out, and what reads
// like an image in custom resources of a kind that belay does not know.
func (s Set) Named(more []Place) []Image {
	var images []Image
	places := withBuiltin(more)
	for _, o := range s.objects {
		named := map[string]bool{}
		for _, f := range places.find(o.content) {
			named[f.site.exact()] = true
			images = append(images, f.of(o))
		}
		for _, at := range o.likelyImages() {
			if image, _ := at.value.(string); !named[at.exact()] {
				images = append(images, found{site: at, image: image, label: at.readable()}.of(o))
			}
		}
	}
	return images
}

// Pins says for images, as Git has them, what to run instead: "ghcr.io/acme/cart:2.0" →
// "ghcr.io/acme/cart@sha256:8704…". An image without a pin is left as it is.
type Pins map[string]string

// Pin is the set with every pinned image of [Set.Images] replaced; what Git had is kept in [AnnotationImages], by
// [Image.Container].
func (s Set) Pin(pins Pins, more []Place) (Set, error) {
	for _, m := range more {
		if err := CheckPlace(m); err != nil {
			return Set{}, err
		}
	}
	places := withBuiltin(more)
	return s.each(func(o Object) (Object, error) {
		written := map[string]string{}
		toPin := func(f found) bool {
			pinned, ok := pins[f.image]
			return ok && pinned != f.image && f.left == ""
		}
		if o.resolveDisabled() || !slices.ContainsFunc(places.find(o.content), toPin) {
			return o, nil
		}
		u := o.Unstructured()
		for _, f := range places.find(u) {
			if toPin(f) {
				f.site.replace(f.prefix + pins[f.image])
				written[f.label] = f.image
			}
		}
		text, err := json.Marshal(written)
		if err != nil {
			return Object{}, err
		}
		setAnnotation(u, AnnotationImages, string(text))
		return objectOf(u, o.File), nil
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

func (o Object) resolveDisabled() bool { return o.Annotation(AnnotationResolve) == "disabled" }

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
