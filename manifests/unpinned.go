package manifests

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Unpinned is an image that runs as it is written: whatever a node has under that name.
type Unpinned struct {
	Object Object
	Where  string // "container web", or the path of the field
	Image  string
	Reason string // for people: why it is not pinned
}

// Unpinned lists the images of a set that was pinned that have no digest, in order, and what reads like an image in custom
// resources of a kind that belay does not know. More are places beside the built-in ones. Why says of an image for what
// reason the caller has no pin, as in "it is excluded by spec.images.exclude", or nothing.
func (s Set) Unpinned(more []Place, why func(image string) string) []Unpinned {
	var all []Unpinned
	places := withBuiltin(more)
	for _, o := range s.objects {
		named := map[string]bool{}
		for _, f := range places.find(o.content) {
			named[f.site.exact()] = true
			if HasDigest(f.image) {
				continue
			}
			reason := f.left
			if reason == "" && why != nil {
				reason = why(f.image)
			}
			all = append(all, Unpinned{o, Image{Container: f.label}.Where(), f.image, reasonOr(reason, o, "it is not resolved")})
		}
		for _, at := range o.likelyImages() {
			image, _ := at.value.(string)
			if !named[at.exact()] && !HasDigest(image) {
				reason := reasonOr("", o, "belay does not know this field; name it in spec.images.paths")
				all = append(all, Unpinned{o, at.readable(), image, reason})
			}
		}
	}
	return all
}

// reasonOr is why an image is not pinned: what its object says comes first.
func reasonOr(reason string, o Object, otherwise string) string {
	switch {
	case o.resolveDisabled():
		return AnnotationResolve + " is disabled on the object"
	case reason != "":
		return reason
	}
	return otherwise
}

// HasDigest tells an image that names its bytes.
func HasDigest(image string) bool {
	_, digest, ok := strings.Cut(image, "@")
	return ok && strings.Contains(digest, ":")
}

// kubernetesGroups are the API groups of Kubernetes itself. Their kinds name images in pod specs only.
var kubernetesGroups = map[string]bool{
	"": true, "apps": true, "autoscaling": true, "batch": true, "extensions": true, "policy": true,
	"admissionregistration.k8s.io": true, "apiextensions.k8s.io": true, "apiregistration.k8s.io": true,
	"authentication.k8s.io": true, "authorization.k8s.io": true, "certificates.k8s.io": true, "coordination.k8s.io": true,
	"discovery.k8s.io": true, "events.k8s.io": true, "flowcontrol.apiserver.k8s.io": true, "internal.apiserver.k8s.io": true,
	"networking.k8s.io": true, "node.k8s.io": true, "rbac.authorization.k8s.io": true, "resource.k8s.io": true,
	"scheduling.k8s.io": true, "storage.k8s.io": true, "storagemigration.k8s.io": true,
}

// likelyImages are the fields of an object of an unknown kind that are called like an image and read like one, in the
// order of their paths. What args and variables say is not guessed at.
func (o Object) likelyImages() []*site {
	kind := o.ID().GroupKind()
	if kubernetesGroups[kind.Group] || known[kind] || kind.Group == "belay.dev" {
		return nil
	}
	var all []*site
	root := &site{value: o.content.Object}
	for _, key := range slices.Sorted(maps.Keys(o.content.Object)) {
		if key != "metadata" && key != "status" {
			all = append(all, likelyImages(&site{value: o.content.Object[key], holder: root, key: key})...)
		}
	}
	return all
}

func likelyImages(at *site) []*site {
	var all []*site
	switch value := at.value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			all = append(all, likelyImages(&site{value: value[key], holder: at, key: key})...)
		}
	case []any:
		for i, entry := range value {
			all = append(all, likelyImages(&site{value: entry, holder: at, index: i})...)
		}
	case string:
		if isImageField(at.key) && isLikelyImage(value) {
			all = append(all, at)
		}
	}
	return all
}

// isImageField tells the keys image, imageName and those that end in Image. An entry of a list has no key.
func isImageField(key string) bool {
	return key == "image" || key == "imageName" || strings.HasSuffix(key, "Image")
}

// imageGrammar is that of an image: a host with a port, names, a tag and a digest
// (https://github.com/distribution/reference/blob/main/reference.go), as far as it takes to tell one from other texts.
var imageGrammar = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?` +
	`([a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*)` +
	`(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@[a-z0-9]+:[a-f0-9]{32,})?$`)

// pictures are what texts end in that are called images and are no container's.
var pictures = []string{".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico", ".iso", ".img", ".qcow2", ".raw", ".vmdk"}

// isLikelyImage tells texts that are nothing but an image: they have a tag, a digest or a registry's host.
func isLikelyImage(text string) bool {
	if len(text) > 512 {
		return false
	}
	parts := imageGrammar.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	host, tag, digest := parts[1], parts[3], parts[4]
	hasHost := strings.ContainsAny(host, ".:") || host == "localhost/"
	isPicture := slices.ContainsFunc(pictures, func(ending string) bool { return strings.HasSuffix(text, ending) })
	return (hasHost || tag != "" || digest != "") && !isPicture
}
