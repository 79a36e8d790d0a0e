package manifests

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Place says where the objects of a kind name images, in any version of it. A [table] of places is built in; a Sync and
// the agent's configuration add to it. Those that [CheckPlace] refuses name nothing.
type Place struct {
	Group string
	Kind  string
	// Path leads through fields to an image, as in "spec.tasks[*].steps[*].image". Dots separate fields, and
	//
	//	[*]            is every entry of a list,
	//	[3]            one entry, counted from 0,
	//	[name=VALUE]   the entries whose field name, or another one, is the text VALUE,
	//	.*             every value of a map,
	//	[a.b/c]        the field a.b/c: in brackets stands what is more than letters, digits, - and _,
	//	["3"], ['a=b'] a field too: in quotes stands what would be something else without.
	//
	// "spec.template.metadata.annotations[sidecar.istio.io/proxyImage]", "spec.env[name=RUNNER].value".
	Path string
	// PodSpec says that Path leads to a pod spec, all of whose images are meant.
	PodSpec bool
	// Prefix is what stands before the image in the text that Path leads to, as in "--image=". What does not begin with
	// it is no image; the image is all that follows, so that a text that goes on behind the image names none.
	Prefix string
}

// CheckPlace says what is wrong with a place, and what would be right.
func CheckPlace(p Place) error {
	_, err := parsePlace(p)
	return err
}

// place is a [Place] that has been read.
type place struct {
	path    fieldPath
	podSpec bool
	prefix  string
	left    string // why images are to be left as they are; empty for those that are not
}

func parsePlace(p Place) (place, error) {
	wrong := func(format string, args ...any) (place, error) {
		return place{}, fmt.Errorf("images of %s: %w", strings.TrimPrefix(p.Group+"/"+p.Kind, "/"), fmt.Errorf(format, args...))
	}
	group, version, hasVersion := strings.Cut(p.Group, "/")
	switch {
	case p.Kind == "":
		return wrong("the kind is missing")
	case hasVersion:
		return wrong("write the group without its version: %s, not %s/%s", group, group, version)
	case p.Group == "v1":
		return wrong("v1 is a version: leave the group of the core kinds empty")
	case p.Group == "" && p.Kind == "Secret":
		return wrong("what is in Secrets is not looked at: keep images elsewhere")
	case p.PodSpec && p.Prefix != "":
		return wrong("a pod spec has no prefix: take it away, or lead to one field")
	}
	path, err := parsePath(p.Path)
	if err != nil {
		return wrong("%w", err)
	}
	switch first := path[0].key; {
	case first == "apiVersion" || first == "kind" || first == "status":
		return wrong("path %q: %s says of no image what is to run", p.Path, first)
	case first == "metadata" && (len(path) < 3 || path[1].key != "annotations"):
		return wrong("path %q: of an object's metadata, only metadata.annotations[KEY] may name images", p.Path)
	}
	return place{path: path, podSpec: p.PodSpec, prefix: p.Prefix}, nil
}

// lookup is the places of each kind.
type lookup map[schema.GroupKind][]place

// withBuiltin is what more names, behind what is built in.
func withBuiltin(more []Place) lookup {
	if len(more) == 0 {
		return builtin
	}
	all := lookup{}
	for _, m := range more {
		p, err := parsePlace(m)
		if err != nil {
			continue
		}
		gk := schema.GroupKind{Group: m.Group, Kind: m.Kind}
		if all[gk] == nil {
			all[gk] = append(all[gk], builtin[gk]...)
		}
		all[gk] = append(all[gk], p)
	}
	for gk, places := range builtin {
		if all[gk] == nil {
			all[gk] = places
		}
	}
	return all
}
