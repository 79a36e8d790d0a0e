package render

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
)

// reference is a path in a kustomization file.
type reference struct {
	field string
	text  string // as it is written, to find its line
	path  string
	wants purpose
}

// purpose is what kustomize does with what a reference leads to.
type purpose int

const (
	asResource  purpose = iota // a file of objects, or a directory with a kustomization
	asComponent                // a directory with a kustomization
	asConfig                   // any other file that is decoded
	asData                     // a file whose content becomes a value
	asEnv                      // a file of key=value
)

// references lists every path that kustomize would follow.
func references(k types.Kustomization) []reference {
	var list []reference
	add := func(field string, wants purpose, paths ...string) {
		for _, p := range paths {
			if p != "" || wants == asResource || wants == asComponent {
				list = append(list, reference{field, p, p, wants})
			}
		}
	}
	add("resources", asResource, k.Resources...)
	add("bases", asResource, k.Bases...)
	add("components", asComponent, k.Components...)
	add("crds", asConfig, k.Crds...)
	add("configurations", asConfig, k.Configurations...)
	add("openapi", asConfig, k.OpenAPI["path"])
	for _, patch := range k.PatchesStrategicMerge {
		if !isInline(string(patch)) {
			add("patchesStrategicMerge", asConfig, string(patch))
		}
	}
	for _, patch := range k.PatchesJson6902 {
		add("patchesJson6902", asConfig, patch.Path)
	}
	for _, patch := range k.Patches {
		add("patches", asConfig, patch.Path)
	}
	for _, replacement := range k.Replacements {
		add("replacements", asConfig, replacement.Path)
	}
	for _, generator := range k.ConfigMapGenerator {
		list = append(list, dataReferences("configMapGenerator", generator.KvPairSources)...)
	}
	for _, generator := range k.SecretGenerator {
		list = append(list, dataReferences("secretGenerator", generator.KvPairSources)...)
	}
	return list
}

func dataReferences(field string, sources types.KvPairSources) []reference {
	var list []reference
	for _, source := range sources.FileSources {
		_, target, named := strings.Cut(source, "=")
		if !named {
			target = source
		}
		list = append(list, reference{field, source, target, asData})
	}
	for _, env := range append(sources.EnvSources, sources.EnvSource) {
		if env != "" {
			list = append(list, reference{field, env, env, asEnv})
		}
	}
	return list
}

// isInline tells a patch from the path of one.
func isInline(patch string) bool { return strings.ContainsAny(patch, "\n:{") }

// inlinePatches are the texts in a kustomization that kustomize decodes as YAML.
func inlinePatches(k types.Kustomization) []string {
	var list []string
	for _, patch := range k.PatchesStrategicMerge {
		if isInline(string(patch)) {
			list = append(list, string(patch))
		}
	}
	for _, patch := range append(k.Patches, k.PatchesJson6902...) {
		if patch.Patch != "" {
			list = append(list, patch.Patch)
		}
	}
	return list
}

// remote matches whatever kustomize would fetch (loader.IsRemoteFile, git.NewRepoSpecFromURL), whether or not the
// tree has something by that name, and what people may think it fetches.
var remote = regexp.MustCompile(`(?i)^(https?:|git::|github\.com[/:]|[a-z][a-z0-9-]*@|[^/]*://)|\?ref=`)

// references refuses paths that lead nowhere, or out of the repository.
func (k *kustomization) references() error {
	for _, r := range references(k.content) {
		at := k.line(k.root, r.text)
		target := path.Join(k.dir, r.path)
		switch {
		case remote.MatchString(r.path):
			return at.fail(RemoteBase, "%s: remote bases are not fetched: copy what it leads to into this repository", r.field)
		case r.path == "":
			return k.line(k.root, r.field).fail(InvalidKustomization, "%s has an empty entry", r.field)
		case path.IsAbs(r.path):
			return at.fail(InvalidKustomization, "%s: %q is absolute: write it relative to this file", r.field, r.path)
		case target == ".." || strings.HasPrefix(target, "../"):
			return at.fail(InvalidKustomization, "%s: %q leads out of the repository", r.field, r.path)
		}
		if err := k.follow(r, target, at); err != nil {
			return err
		}
		k.uses[use{target, r.wants}] = true
	}
	return nil
}

// follow checks that a reference leads to what it should.
func (k *kustomization) follow(r reference, target string, at place) error {
	info, err := k.tree.stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return at.fail(InvalidKustomization, "%s: %q does not exist", r.field, r.path)
	case err != nil:
		return err
	case !info.IsDir() && r.wants == asComponent:
		return at.fail(InvalidKustomization, "%s: %q is not a directory", r.field, r.path)
	case !info.IsDir():
		return nil
	case r.wants != asResource && r.wants != asComponent:
		return at.fail(InvalidKustomization, "%s: %q is a directory, not a file", r.field, r.path)
	case k.dir == target || strings.HasPrefix(k.dir+"/", target+"/") || target == ".":
		return at.fail(InvalidKustomization, "%s: %q is the directory of this file or one above it, and would include itself", r.field, r.path)
	}
	found, err := k.tree.kustomization(target)
	if err == nil && found == "" {
		return at.fail(InvalidKustomization, "%s: %q has no kustomization.yaml: add one, or name its files", r.field, r.path)
	}
	return err
}
