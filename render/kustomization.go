package render

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
)

// kustomization checks a kustomization file, and returns what kustomize is to read in its place.
func (f *filesystem) kustomization(name string, content []byte) ([]byte, error) {
	if f.tree.kustomizations++; f.tree.kustomizations > f.tree.limits.Kustomizations {
		return nil, fail(TooLarge, name, "is one kustomization too many: at most %d are read, each time a base is used counts", f.tree.limits.Kustomizations)
	}
	d, err := single(name, content)
	if err != nil {
		return nil, err
	}
	k := kustomization{filesystem: f, document: d, dir: path.Dir(name)}
	for _, check := range []func() error{k.isKustomize, k.decode, k.unsupported, k.references, k.inline} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if k.dir == f.dir {
		f.start, f.keepOrigins = name, slices.Contains(k.content.BuildMetadata, types.OriginAnnotations)
	}
	f.setsSchema = f.setsSchema || len(k.content.OpenAPI) > 0
	// Kustomize notes where each object comes from, and reads what was checked, not what another parser may see.
	k.content.BuildMetadata = append(k.content.BuildMetadata, types.OriginAnnotations)
	return json.Marshal(k.content)
}

// single parses a file that must have one document: kustomize silently reads only the first.
func single(name string, content []byte) (document, error) {
	documents, err := parse(name, content)
	if err != nil {
		return document{}, err
	}
	documents = slices.DeleteFunc(documents, document.empty)
	switch {
	case len(documents) == 0:
		return document{}, fail(NothingRendered, name, "is empty")
	case len(documents) > 1:
		return document{}, documents[1].fail(InvalidKustomization, "a second document begins here: a kustomization has one")
	case documents[0].root.Kind != yaml.MappingNode:
		return document{}, documents[0].fail(InvalidKustomization, "is not a kustomization: want fields such as resources")
	}
	return documents[0], nil
}

// kustomization is one file under check.
type kustomization struct {
	*filesystem
	document
	dir     string
	content types.Kustomization
}

// isKustomize explains files that other tools keep under kustomize's file name.
func (k *kustomization) isKustomize() error {
	apiVersion, at := field(k.root, "apiVersion"), k.line(k.root, "apiVersion")
	group, _, _ := strings.Cut(apiVersion, "/")
	switch group {
	case "", "kustomize.config.k8s.io":
		return nil
	case "kustomize.toolkit.fluxcd.io":
		return at.fail(Unsupported, "is a Kustomization of Flux (%s), not one of kustomize: take it out, or point the Sync at the directory in its spec.path", printableName(apiVersion))
	}
	return at.fail(Unsupported, "is an object of %s, not a kustomization: rename the file", printableName(apiVersion))
}

var (
	unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)
	wrongType    = regexp.MustCompile(`cannot unmarshal (\w+).* into Go struct field [\w.]*?\.?([\w.]+) of type`)
)

// decode reads the file as kustomize does.
func (k *kustomization) decode() error {
	err := k.content.Unmarshal(k.text)
	if err == nil {
		return nil
	}
	if match := unknownField.FindStringSubmatch(err.Error()); match != nil {
		return k.line(k.root, match[1]).fail(InvalidKustomization, "kustomize knows no field %s here", printableName(match[1]))
	}
	if match := wrongType.FindStringSubmatch(err.Error()); match != nil {
		name := match[2][strings.LastIndex(match[2], ".")+1:]
		return k.line(k.root, name).fail(InvalidKustomization, "the field %s cannot be a %s", printableName(name), match[1])
	}
	return k.fail(InvalidKustomization, "a field has a value of the wrong type")
}

// unsupported refuses what would run programs or fetch charts.
func (k *kustomization) unsupported() error {
	const helm = "helm is not run: render the chart in CI and commit what comes out"
	const plugins = "generator and transformer configurations can start plugins and are not run: use kustomize's own fields"
	for _, refused := range []struct {
		field, why string
		used       bool
	}{
		{"helmCharts", helm, len(k.content.HelmCharts) > 0},
		{"helmGlobals", helm, k.content.HelmGlobals != nil},
		{"helmChartInflationGenerator", helm, len(k.content.HelmChartInflationGenerator) > 0},
		{"generators", plugins, len(k.content.Generators) > 0},
		{"transformers", plugins, len(k.content.Transformers) > 0},
		{"validators", plugins, len(k.content.Validators) > 0},
	} {
		if refused.used {
			return k.line(k.root, refused.field).fail(Unsupported, "%s: %s", refused.field, refused.why)
		}
	}
	return nil
}

// inline checks the patches in the file as if they were files: kustomize decodes them just the same.
func (k *kustomization) inline() error {
	for _, patch := range inlinePatches(k.content) {
		at := k.line(k.root, patch)
		if err := k.manifest(k.file, []byte(patch)); err != nil {
			e := *err.(*Error)
			return at.fail(e.Reason, "in line %d of the patch here: %s", max(e.Line, 1), e.Detail)
		}
	}
	return nil
}

// line is where the key or the text is written first, anywhere under n.
func (k *kustomization) line(n *yaml.Node, text string) place {
	if n.Kind == yaml.ScalarNode && strings.EqualFold(n.Value, text) {
		return place{k.file, n.Line}
	}
	for _, child := range n.Content {
		if at := k.line(child, text); at.line > 0 {
			return at
		}
	}
	return place{file: k.file}
}

// field is the text of a field of a mapping, or "".
func field(mapping *yaml.Node, name string) string {
	if value := member(mapping, name); value != nil && value.Kind == yaml.ScalarNode {
		return value.Value
	}
	return ""
}

func member(mapping *yaml.Node, name string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// printableName leaves out a name that is none.
func printableName(name string) string {
	if fieldName.MatchString(name) {
		return name
	}
	return "(unprintable)"
}
