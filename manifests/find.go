package manifests

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// found is an image in an object.
type found struct {
	site   *site
	image  string
	prefix string // what stands before the image in the site's text
	label  string // for [Image.Container]: no two of an object are the same
	left   string // why the image is to be left as it is; empty for those that are not
}

// find lists the images of an object in the order of its kind's places. It writes to nothing.
func (l lookup) find(u *unstructured.Unstructured) []found {
	kind := u.GroupVersionKind().GroupKind()
	places := l[kind]
	if len(places) == 0 {
		return nil
	}
	all := finder{at: map[string]int{}, labels: map[string]bool{}, custom: !kubernetesGroups[kind.Group]}
	root := &site{value: u.Object}
	for _, p := range places {
		p.path.walk(root, func(at *site) {
			if p.podSpec {
				all.podSpec(at, p)
			} else {
				all.add(at, p, at.readable())
			}
		})
	}
	return all.found
}

// finder gathers the images of one object.
type finder struct {
	found  []found
	at     map[string]int // the index in found of each exact path
	labels map[string]bool
	custom bool // the kind is not one of Kubernetes' own
}

func (a *finder) podSpec(spec *site, p place) {
	_, isPodSpec := spec.value.(map[string]any)
	if !isPodSpec {
		return
	}
	for _, images := range podImages {
		images.walk(spec, func(at *site) { a.add(at, p, p.label(at)) })
	}
	for _, annotation := range templateAnnotations {
		annotation.walk(spec.holder, func(at *site) { a.add(at, p, p.label(at)) })
	}
}

// add takes up an image, unless a place has named it before. A place that somebody has added counts more than a row of
// [tagged].
func (a *finder) add(at *site, p place, label string) {
	text, _ := at.value.(string)
	image, begins := strings.CutPrefix(text, p.prefix)
	if image == "" || !begins {
		return
	}
	left := p.left
	switch {
	case left != "":
	case image == "auto" && isInjected(at):
		left = "Istio writes the image when it makes the pod"
	case at.key == annotationProxy && !strings.Contains(image, "/"):
		left = "Istio adds its own registry and tag"
	case isFilledIn(image) && (a.custom || !p.podSpec):
		left = "it is filled in when it runs"
	}
	exact := at.exact()
	if i, twice := a.at[exact]; twice {
		if a.found[i].left != "" && left == "" {
			a.found[i] = found{site: at, image: image, prefix: p.prefix, label: a.found[i].label}
		}
		return
	}
	a.at[exact] = len(a.found)
	a.found = append(a.found, found{site: at, image: image, prefix: p.prefix, label: a.unique(label, exact), left: left})
}

// unique is the label, or where another image has that already, the path.
func (a *finder) unique(label, exact string) string {
	text := label
	for i := 0; a.labels[text]; i++ {
		text = exact
		if i > 0 {
			text += " (" + strconv.Itoa(i) + ")"
		}
	}
	a.labels[text] = true
	return text
}

// label is how an image of a pod spec is called. Where a kind has many pod specs, a container's name says too little.
func (p place) label(at *site) string {
	for _, s := range p.path {
		if s.kind != toField {
			return at.readable()
		}
	}
	entry := at.holder // the container
	switch {
	case at.key == "reference":
		return "volume " + entry.holder.nameOr(strconv.Itoa(entry.holder.index))
	case at.key == "image":
		return entry.nameOr(entry.holder.key + "[" + strconv.Itoa(entry.index) + "]")
	}
	return "annotation " + at.key
}

func (at *site) nameOr(otherwise string) string {
	if name := textAt(at.value, "name"); name != "" {
		return name
	}
	return otherwise
}

// isFilledIn tells what is no image yet: the parameters of Tekton, $(params.image), and of Argo,
// {{inputs.parameters.image}}, and the variables of a container's args.
func isFilledIn(image string) bool {
	return strings.Contains(image, "$(") || strings.Contains(image, "${") || strings.Contains(image, "{{")
}

// isInjected tells the containers that Istio's webhook fills in, as those of its gateways: by their name, since a
// label of the namespace may ask for it, or by what the pod template asks for
// (https://istio.io/latest/docs/reference/config/analysis/ist0146/).
func isInjected(at *site) bool {
	if textAt(at.holder.value, "name") == "istio-proxy" {
		return true
	}
	for s := at; s != nil; s = s.holder {
		template, _ := s.value.(map[string]any)
		metadata, isTemplate := template["metadata"].(map[string]any)
		if !isTemplate {
			continue
		}
		labels, _ := metadata["labels"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		return labels["sidecar.istio.io/inject"] != nil || annotations["inject.istio.io/templates"] != nil
	}
	return false
}

// of is the image with what pulls it.
func (f found) of(o Object) Image {
	image := Image{Object: o, Container: f.label, Image: f.image}
	hasSecrets := false
	for s := f.site.puller(); s != nil; s = s.holder {
		fields, _ := s.value.(map[string]any)
		if list, ok := fields["imagePullSecrets"].([]any); ok && !hasSecrets {
			image.PullSecrets, hasSecrets = secretNames(list), true
		}
		for _, field := range []string{"serviceAccountName", "serviceAccount"} {
			if image.ServiceAccount == "" {
				image.ServiceAccount = textAt(s.value, field)
			}
		}
	}
	if image.ServiceAccount == "default" {
		image.ServiceAccount = ""
	}
	return image
}

// puller is the site whose fields, or whose holders', say what pulls the image at a site: for an annotation of a pod
// template, the pod spec.
func (at *site) puller() *site {
	for s := at; s.holder != nil; s = s.holder {
		if s.key == "metadata" {
			template, _ := s.holder.value.(map[string]any)
			return &site{value: template["spec"], holder: s.holder, key: "spec"}
		}
	}
	return at
}

// secretNames reads imagePullSecrets, which Kubernetes writes [{name: registry}] and Spark's operator [registry].
func secretNames(list []any) []string {
	var names []string
	for _, entry := range list {
		name, ok := entry.(string)
		if !ok {
			name = textAt(entry, "name")
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}
