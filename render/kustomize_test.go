package render_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/render"
)

func TestAKustomizationReachesTheWholeRepositoryAndNamesFiles(t *testing.T) {
	tree := repository(`
-- base/kustomization.yaml --
resources: [a.yaml]
-- base/a.yaml --
` + configMap("a") + `
-- shared/values.yaml --
{{ not YAML, and it does not matter }}: [
-- apps/prod/kustomization.yaml --
namespace: prod
namePrefix: my-
resources: [../../base]
configMapGenerator:
- name: generated
  files: [values.yaml=../../shared/values.yaml]
  options: {disableNameSuffixHash: true}
`)
	set, err := render.Build(tree, "apps/prod", render.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, listed(set), []string{
		"ConfigMap/prod/my-a (base/a.yaml)", "ConfigMap/prod/my-generated (apps/prod/kustomization.yaml)",
	})
	for _, o := range set.Objects() {
		if annotations := o.Unstructured().GetAnnotations(); annotations != nil {
			t.Errorf("%s: annotations were added: %v", o, annotations)
		}
	}
}

func TestCRLFAndAByteOrderMarkPassThroughKustomize(t *testing.T) {
	windows := func(text string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("\uFEFF" + strings.ReplaceAll(text, "\n", "\r\n"))}
	}
	tree := fstest.MapFS{
		"kustomization.yaml": windows("# ours\nresources:\n- a.yaml\npatches:\n- path: p.yaml\n"),
		"a.yaml":             windows("# two\n---\n" + configMap("a") + "---\n" + configMap("b")),
		"p.yaml":             windows(configMap("a") + "data:\n  k: v\n"),
	}
	same(t, build(t, tree, ""), []string{"ConfigMap/a (a.yaml)", "ConfigMap/b (a.yaml)"})
}

func TestWhatKustomizeWouldFetchOrRunIsRefused(t *testing.T) {
	for text, want := range map[string]struct {
		reason render.Reason
		text   string
	}{
		"resources:\n- https://example.com/a.yaml\n":            {render.RemoteBase, "k/kustomization.yaml:2: resources: remote bases are not fetched: copy what it leads to into this repository"},
		"resources:\n- a.yaml\n- github.com/acme/base?ref=1\n":  {render.RemoteBase, "k/kustomization.yaml:3: resources: remote bases are not fetched: copy what it leads to into this repository"},
		"bases:\n- git@example.com:acme/base\n":                 {render.RemoteBase, ""},
		"resources:\n- HTTP:example.com\n":                      {render.RemoteBase, ""},
		"components:\n- git::https://example.com/x\n":           {render.RemoteBase, ""},
		"crds: [https://169.254.169.254/x]\n":                   {render.RemoteBase, ""},
		"openapi: {path: https://169.254.169.254/x}\n":          {render.RemoteBase, ""},
		"patches: [{path: https://example.com/x}]\n":            {render.RemoteBase, ""},
		"replacements: [{path: https://example.com/x}]\n":       {render.RemoteBase, ""},
		"secretGenerator: [{name: a, envs: [https://e/x]}]\n":   {render.RemoteBase, ""},
		"secretGenerator: [{name: a, files: [k=http://e/x]}]\n": {render.RemoteBase, ""},
		"configurations: [ssh://example.com/x]\n":               {render.RemoteBase, ""},
		"resources: [a.yaml]\nhelmCharts:\n- name: redis\n":     {render.Unsupported, "k/kustomization.yaml:2: helmCharts: helm is not run: render the chart in CI and commit what comes out"},
		"helmChartInflationGenerator: [{chartName: x}]\n":       {render.Unsupported, ""},
		"generators: [a.yaml]\n":                                {render.Unsupported, ""},
		"transformers: [a.yaml]\n":                              {render.Unsupported, ""},
		"validators: [a.yaml]\n":                                {render.Unsupported, ""},
		"apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {path: ./x}\n": {render.Unsupported,
			"k/kustomization.yaml:1: is a Kustomization of Flux (kustomize.toolkit.fluxcd.io/v1), not one of kustomize: take it out, or point the Sync at the directory in its spec.path"},
	} {
		tree := repository("-- k/a.yaml --\n" + configMap("a") + "-- k/github.com/acme/base/kustomization.yaml --\nresources: []\n")
		tree["k/kustomization.yaml"] = &fstest.MapFile{Data: []byte(text)}
		_, err := render.Build(tree, "k", render.Limits{})
		fails(t, err, want.reason, want.text)
	}
}

func TestAWrongKustomizationIsToldWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"resources:\n- a.yaml\nresorces: []\n":                  "k/kustomization.yaml:3: kustomize knows no field resorces here",
		"images:\n- name: a\n  newtags: x\n":                    "k/kustomization.yaml:3: kustomize knows no field newtags here",
		"resources: hunter2\n":                                  "k/kustomization.yaml:1: the field resources cannot be a string",
		"resources:\n- b.yaml\n":                                `k/kustomization.yaml:2: resources: "b.yaml" does not exist`,
		"resources:\n- ../../../x\n":                            `k/kustomization.yaml:2: resources: "../../../x" leads out of the repository`,
		"resources:\n- /etc/passwd\n":                           `k/kustomization.yaml:2: resources: "/etc/passwd" is absolute: write it relative to this file`,
		"resources:\n- plain\n":                                 `k/kustomization.yaml:2: resources: "plain" has no kustomization.yaml: add one, or name its files`,
		"resources:\n- .\n":                                     `k/kustomization.yaml:2: resources: "." is the directory of this file or one above it, and would include itself`,
		"resources:\n- loop\n":                                  `k/loop/kustomization.yaml:1: resources: ".." is the directory of this file or one above it, and would include itself`,
		"components:\n- a.yaml\n":                               `k/kustomization.yaml:2: components: "a.yaml" is not a directory`,
		"patches:\n- path: plain\n":                             `k/kustomization.yaml:2: patches: "plain" is a directory, not a file`,
		"resources: [a.yaml]\n---\nresources: []\n":             "k/kustomization.yaml:2: a second document begins here: a kustomization has one",
		"- hunter2\n":                                           "k/kustomization.yaml:1: is not a kustomization: want fields such as resources",
		"resources: [a.yaml]\npatches:\n- patch: '[hunter2]'\n": "k/kustomization.yaml: a patch is neither a strategic merge patch nor a list of JSON patch operations",
		"resources: [a.yaml]\npatches:\n- patch: |\n    kind: ConfigMap\n    apiVersion: v1\n    metadata: {name: z}\n":    "k/kustomization.yaml: there is no resource for the patch of ConfigMap.v1.[noGrp]/z.[noNs]",
		"resources: [a.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |\n    - op: remove\n      path: /hunter2\n": "k/kustomization.yaml: a JSON patch does not fit the object it is for",
		"secretGenerator:\n- name: s\n  literals: [hunter2]\n":                                                             "k/kustomization.yaml: a literal of a generator is not key=value",
		"secretGenerator:\n- name: s\n  envs: [env]\n":                                                                     "k/env:2: is not key=value",
		"kind: Hunter2\nresources: [a.yaml]\n":                                                                             "k/kustomization.yaml: a kustomization has a wrong kind or apiVersion: leave them out",
	} {
		tree := repository("-- k/a.yaml --\n" + configMap("a") + "-- k/plain/a.yaml --\n" + configMap("b") + "-- k/loop/kustomization.yaml --\nresources: [..]\n-- k/env --\na=b\nhunter2\n")
		tree["k/kustomization.yaml"] = &fstest.MapFile{Data: []byte(text)}
		_, err := render.Build(tree, "k", render.Limits{})
		fails(t, err, render.InvalidKustomization, want)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a value is shown: %v", err)
		}
	}
}

func TestTwoKustomizationsInOneDirectoryAreRefused(t *testing.T) {
	tree := repository("-- kustomization.yaml --\nresources: []\n-- Kustomization --\nresources: []\n")
	_, err := render.Build(tree, "", render.Limits{})
	fails(t, err, render.InvalidKustomization, "the repository's root: holds Kustomization and kustomization.yaml: keep one")
}

func TestFilesOfAKustomizationAreCheckedToo(t *testing.T) {
	for text, want := range map[string]struct {
		reason render.Reason
		text   string
	}{
		"kind: Secret\nstringData:\n\tpassword: hunter2\n":                  {render.InvalidYAML, "a.yaml:3: found a tab where indentation is expected"},
		configMap("a") + "data:\n  k: hunter2\n  k: hunter2\n":              {render.InvalidYAML, "a.yaml:7: has the key k twice, the first time in line 6"},
		configMap("a") + "---\nkind: ConfigMap\nmetadata: {namespace: x}\n": {render.InvalidObject, "a.yaml:5: is not an object: want kind and metadata.name"},
		configMap("a") + "---\n" + configMap("a"):                           {render.DuplicateObject, "kustomization.yaml: ConfigMap/a is defined twice, in a.yaml:1 and in a.yaml:5: keep one"},
		"# nothing\n": {render.NothingRendered, ""},
	} {
		tree := fstest.MapFS{"a.yaml": {Data: []byte(text)}, "kustomization.yaml": {Data: []byte("resources: [a.yaml]\n")}}
		_, err := render.Build(tree, "", render.Limits{})
		fails(t, err, want.reason, want.text)
	}
}

func TestTheSameTreeGivesTheSameOrder(t *testing.T) {
	tree := repository("-- kustomization.yaml --\nresources: [c.yaml, a.yaml, b.yaml]\ncommonLabels: {app: x}\n" +
		"-- a.yaml --\n" + configMap("a") + "-- b.yaml --\n" + configMap("b") + "-- c.yaml --\n" + configMap("c"))
	want := []string{"ConfigMap/c (c.yaml)", "ConfigMap/a (a.yaml)", "ConfigMap/b (b.yaml)"}
	for range 20 {
		if diff := cmp.Diff(want, build(t, tree, "")); diff != "" {
			t.Fatal(diff)
		}
	}
}
