package render

import (
	"bytes"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// asKubectl fails where a document is read in the short way, and kubectl would read something else.
func asKubectl(t *testing.T, d document) (short bool) {
	t.Helper()
	content, text, short := d.obvious()
	if !short {
		return false
	}
	want, err := sigsyaml.YAMLToJSON(d.text)
	if err != nil {
		t.Errorf("%s:%d: kubectl refuses it: %v", d.file, d.line, err)
		return true
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s:%d: %q\n got %s\nwant %s", d.file, d.line, d.text, text, want)
	}
	var values map[string]any
	if err := utiljson.Unmarshal(want, &values); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(values, content); diff != "" {
		t.Errorf("%s:%d: (-want +got)\n%s", d.file, d.line, diff)
	}
	return true
}

var scalars = []string{
	"", "~", "null", "Null", "NULL", "nULL", "y", "Y", "yes", "Yes", "yEs", "n", "N", "no", "NO", "on", "On", "off", "OFF", "true", "True", "TRUE", "tRue",
	"false", "False", "yess", "nope", "once", "nginx", "trues", "0", "-0", "+0", "00", "07", "08", "0o7", "0x1F", "0b1", "-1", "+1", "1", "12", "-12", "1_000", "_1",
	"123456789012345678", "1234567890123456789", "9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809",
	"1.0", "1.", ".5", "1e3", "1E3", "1e", "e1", "1d", "1h", "1s", "1m", "10Mi", "1Gi", "1.5Gi", "100m", "50%", "0x", "0m", "1k", "1M", "1e3m", ".inf", ".nan", "-.inf", ".", "..", "-", "-c", "-1c", "-e1", "-Inf", "--opt=1",
	"--", "1-1", "2020-01-01", "2020-01-01T00:00:00Z", "2001-12-14 21:59:43.10 -5", "12:30", "12:30:45", "190:20:30", "a", "a b", "a  b", "a: b", "a:b", "a #b", "a#b", "=", "==", "<<", "<", "<b>&",
	"/path", "http://x/y?z=1", "a!b", "#!/bin/sh", "! a", "! 1", "!", "!!str 1", "!!int '1'", "!x a", "&a b", "*a", "%a", "@a", "`a", "'1'", "'yes'", "''", "'it''s'", `"1"`, `"a\tb\u0041"`, `"a\
    b"`, "'a\n    b\n\n    c'", "a\n    b\n\n    c", "|\n    a\n    b\n", "|-\n    a\n\n    b\n\n", "|+\n    a\n\n\n", ">\n    a\n    b\n\n    c\n", ">-\n    a\n     b\n    c\n", "|2\n      a\n     b\n",
	"| # comment\n    a\n", "a # comment", "'a' # comment", "[]", "{}", "[a, 1, yes]", "{a: 1, b: [x]}", "[a, ]", "{a, b: c}", "[a: b]", "? a", "[! a]", "[!, a]", "{! a: b}", "é", "日本", "\"\\u2028\"", "\u00a0", "a\u0085b",
}

func FuzzTheShortWayReadsWhatKubectlReads(f *testing.F) {
	for _, s := range scalars {
		f.Add("k: " + s + "\n")
		f.Add(s + ": v\n")
		f.Add("k:\n  - " + s + "\n  - x\n")
		f.Add("k: [" + s + ", x]\n")
		f.Add("k: {a: " + s + "}\nz: " + s + "\n")
		f.Add("--- {k: " + s + "}\n--- # next\nk: v\n...\n---\n" + s + "\n")
		f.Add("\uFEFFa: 1\r\nk: " + s + "\r\n")
	}
	f.Add("%YAML 1.1\n---\na: yes\n")
	f.Add("%TAG ! tag:example.com,2000:\n---\na: !x b\n")
	f.Fuzz(func(t *testing.T, text string) {
		documents, err := parse("a.yaml", []byte(text))
		if err != nil {
			return
		}
		for _, d := range documents {
			if d.root.Kind == yaml.MappingNode {
				asKubectl(t, d)
			}
		}
	})
}

func TestWhatMostWriteIsReadInTheShortWay(t *testing.T) {
	text := `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: a # comment
  labels: {app: a, "quoted": 'yes'}
  annotations:
spec:
  replicas: 3
  paused: false
  template:
    spec:
      containers:
      - name: a
        image: ghcr.io/acme/a:2.0
        command: [sh, -c, "exit 1"]
        resources: {requests: {cpu: 10m, memory: 64Mi}}
        env:
        - name: SCRIPT
          value: |
            #!/bin/sh
            echo "hello!"
`
	documents, err := parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !asKubectl(t, documents[0]) {
		t.Error("it is parsed twice")
	}
}

func TestRealManifestsAreReadAsKubectlReadsThem(t *testing.T) {
	const corpora = "../../shared/corpora"
	if _, err := os.Stat(corpora); err != nil {
		t.Skipf("the corpus of applications is not here: %v", err)
	}
	tree := os.DirFS(corpora)
	var all, short int
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !isYAML(name) {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		documents, err := parse(name, content)
		if err != nil {
			return nil // not for kubectl either
		}
		for _, d := range documents {
			if d.root.Kind != yaml.MappingNode {
				continue
			}
			if all++; asKubectl(t, d) {
				short++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d documents are read in the short way", short, all)
	if short < all/2 {
		t.Errorf("only %d of %d documents are read in the short way", short, all)
	}
}
