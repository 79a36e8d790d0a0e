package render_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/belay-gitops/belay/render"
)

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n"
}

func TestPlainFilesAreReadInOrderAndOthersLeftOut(t *testing.T) {
	tree := repository(`
-- b.yml --
` + configMap("b") + `
-- a/z.yaml --
` + configMap("z") + `
-- a/y.json --
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "y"}}
-- a/README.md --
not: [yaml
-- .github/workflows/ci.yaml --
not: [yaml
-- .hidden.yaml --
not: [yaml
-- k/kustomization.yaml --
resources: [sub/x.yaml]
-- k/sub/x.yaml --
` + configMap("x") + `
-- k/unused.yaml --
` + configMap("unused"))
	same(t, build(t, tree, ""), []string{
		"ConfigMap/y (a/y.json)", "ConfigMap/z (a/z.yaml)", "ConfigMap/b (b.yml)", "ConfigMap/x (k/sub/x.yaml)",
	})
}

func TestDocumentsListsLineEndsAndByteOrderMarksAreTaken(t *testing.T) {
	text := "\uFEFF# first\n---\n" + configMap("a") + "--- # second\n" + configMap("b") + "---\n\n--- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n...\n---\n" +
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: d}}\n" +
		"- {apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: e}}]}\n"
	tree := fstest.MapFS{"all.yaml": {Data: []byte(strings.ReplaceAll(text, "\n", "\r\n"))}}
	same(t, build(t, tree, "."), []string{
		"ConfigMap/a (all.yaml)", "ConfigMap/b (all.yaml)", "ConfigMap/c (all.yaml)", "ConfigMap/d (all.yaml)", "Deployment/e (all.yaml)",
	})
}

func TestValuesAreThoseThatKubectlWouldSend(t *testing.T) {
	tree := repository(`
-- a.yaml --
apiVersion: example.com/v1
kind: Values
metadata: {name: a}
spec: {int: 3, big: 9007199254740993, float: 1.5, octal: 0644, yes: yes, quoted: "yes", date: 2024-01-01, base: &b {x: 1}, merged: {<<: *b, x: 2}}
`)
	set, err := render.Build(tree, "", render.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, set.Objects()[0].Unstructured().Object["spec"], map[string]any{
		"int": int64(3), "big": int64(9007199254740993), "float": 1.5, "octal": int64(420), "true": true, "quoted": "yes",
		"date": "2024-01-01", "base": map[string]any{"x": int64(1)}, "merged": map[string]any{"x": int64(2)},
	})
}

func TestWhatIsNotYAMLIsToldWithItsLineAndWithoutItsText(t *testing.T) {
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n"
	for name, test := range map[string]struct{ text, want string }{
		"tab":            {secret + "\tpassword: hunter2\n", "f.yaml:5: found a tab where indentation is expected"},
		"second doc tab": {configMap("a") + "---\n" + secret + "\tpassword: hunter2\n", "f.yaml:10: found a tab where indentation is expected"},
		"duplicate key":  {secret + "  password: hunter2\n  password: hunter2\n", "f.yaml:6: has the key password twice, the first time in line 5"},
		"odd key twice":  {secret + "  hunter2!: a\n  hunter2!: b\n", "f.yaml:6: has a key twice, the first time in line 5"},
		"UTF-8":          {secret + "  password: hunter2\xff\n", "f.yaml:5: is not UTF-8"},
		"alias":          {secret + "  password: *hunter2\n", "f.yaml:5: an alias has no anchor before it"},
		"colon":          {secret + "  password: hunter2: x\n", "f.yaml:5: found ': ' where no value can begin; check the indentation, or quote the text"},
		"quote":          {secret + "  password: \"hunter2\n", "f.yaml:5: a quote is not closed"},
		"brace":          {secret + "  a: {password: hunter2\n", "f.yaml:5: a bracket or brace is not closed, or a comma is missing"},
		"at sign":        {secret + "  password: @hunter2\n", "f.yaml:5: found a character that no value can begin with; quote the text"},
		"indentation":    {secret + "  password: hunter2\n b: c\n", "f.yaml:6: found no key where one is expected; check the indentation"},
		"scalar":         {"hunter2\n", "f.yaml:1: is not an object: want fields such as apiVersion and kind"},
		"list":           {configMap("a") + "---\n- hunter2\n", "f.yaml:5: is not an object: want fields such as apiVersion and kind"},
		"self":           {secret + "  a: &a [*a]\n", "f.yaml:5: the alias is part of what it stands for"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render.Build(fstest.MapFS{"f.yaml": {Data: []byte(test.text)}}, "", render.Limits{})
			fails(t, err, render.InvalidYAML, test.want)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the secret is shown: %v", err)
			}
		})
	}
}

func TestWhatIsNotAnObjectIsToldWithItsDocument(t *testing.T) {
	for text, want := range map[string]string{
		"kind: A\nmetadata: {name: a}\n":                                  "f.yaml:1: an object without apiVersion",
		"apiVersion: v1\nmetadata: {name: a}\n":                           "f.yaml:1: an object without kind",
		configMap("a") + "---\napiVersion: v1\nkind: ConfigMap\n":         "f.yaml:5: ConfigMap without metadata.name",
		"apiVersion: v1\nkind: A\nmetadata: {name: ../../x}\n":            `f.yaml:1: A: metadata.name "../../x" may not contain '/'`,
		"apiVersion: v1\nkind: List\nitems: [1]\n":                        "f.yaml:1: item 0 of the List is not an object",
		"apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n": "f.yaml:1: Job has generateName: write metadata.name, so that the next commit finds the same object",
	} {
		_, err := render.Build(fstest.MapFS{"f.yaml": {Data: []byte(text)}}, "", render.Limits{})
		fails(t, err, render.InvalidObject, want)
	}
}

func TestTheSameObjectTwiceNamesBothFiles(t *testing.T) {
	tree := repository("-- a.yaml --\n" + configMap("x") + "-- b.yaml --\n" + configMap("x"))
	_, err := render.Build(tree, "", render.Limits{})
	fails(t, err, render.DuplicateObject, "ConfigMap/x is defined twice, in a.yaml and in b.yaml: keep one")
}

// A stray link is nobody's business unless its name asks to be read.
func TestALinkToNothing(t *testing.T) {
	dir := t.TempDir()
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	if _, err := render.Build(os.DirFS(dir), "", render.Limits{}); err != nil {
		t.Errorf("beside the manifests: %v", err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err := render.Build(os.DirFS(dir), "", render.Limits{})
	fails(t, err, render.PathNotFound, "b.yaml: is a symbolic link to a file that does not exist")
}

// JSON is not quite a part of YAML; what kubectl takes is taken.
func TestJSONIsReadAsJSON(t *testing.T) {
	for name, text := range map[string]string{
		"escaped slash":     `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"a\/b"}}`,
		"surrogate halves":  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"\ud83d\ude00"}}`,
		"indented by tabs":  "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"data\": {\"k\": \"a\\/b\"}\n}",
		"a number as it is": `{"apiVersion":"example.com/v1","kind":"Rope","metadata":{"name":"a"},"spec":{"n":9007199254740993,"k":"a\/b"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := render.Build(fstest.MapFS{"a.json": {Data: []byte(text)}}, "", render.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := utiljson.Unmarshal([]byte(text), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, objects.Objects()[0].Unstructured().Object); diff != "" {
				t.Error(diff)
			}
		})
	}
}
