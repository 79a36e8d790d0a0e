package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// someObjects are files as people keep them.
const someObjects = `
-- one.yaml --
apiVersion: example.org/v1
kind: Db
metadata: {name: up, namespace: shop, generation: 2}
status: {observedGeneration: 2.0, phase: Running}
---
# nothing

---
apiVersion: example.org/v1
kind: Db
metadata: {name: down, namespace: shop}
status:
  conditions: [{type: Ready, status: "False", reason: CreateFailed, message: "no space\tleft\nhere"}]
-- broken.yaml --
kind: [
-- dir/b.json --
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lb"}, "spec": {"type": "LoadBalancer"}},
  7,
  {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
]}
-- dir/a.yml --
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, generation: 3}, status: {observedGeneration: 2}}
-- dir/notes.txt --
no objects
-- empty.yaml --
# nothing at all
-- kindless.yaml --
metadata: {name: x}
-- sync.yaml --
apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: app}
spec:
  health:
    expressions:
    - {apiVersion: example.org/v1, kind: Db, current: "status.phase == 'Up'", failed: "status.phase == 'Running'"}
-- wrong.yaml --
apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: app}
spec:
  health:
    expressions:
    - {apiVersion: example.org/v1, kind: Db, current: "status.phase =="}
`

// inFiles writes files into a directory of their own, and makes it the current one.
func inFiles(t *testing.T, archive string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, file := range txtar.Parse([]byte(archive)).Files {
		if err := os.MkdirAll(filepath.Dir(file.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file.Name, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// belayHealth runs the command, and gives what it prints.
func belayHealth(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newHealth()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// lines are the rows of a JSON answer, each in one line.
func lines(t *testing.T, text string) (all []string) {
	t.Helper()
	var rows []healthRow
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, r := range rows {
		line := fmt.Sprintf("%s %s %s/%s %s %s %s %s", r.File, r.Kind, r.Namespace, r.Name, r.Verdict, r.Reason, r.Message, r.Bearing)
		if r.Error != "" {
			line = r.File + " " + string(r.Verdict) + " error"
		}
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

func TestHealthOfFilesIsToldInTheirOrderAndAnUnreadableOneStopsNoOther(t *testing.T) {
	inFiles(t, someObjects)
	out, err := belayHealth(t, "", "-o", "json", "-f", "broken.yaml", "one.yaml", "missing.yaml", "dir", "empty.yaml", "kindless.yaml")
	if err == nil || !strings.Contains(err.Error(), "5 of 10") {
		t.Errorf("error %v, want it to say how many could not be read", err)
	}
	want := []string{
		"broken.yaml Unknown error",
		"one.yaml Db shop/up Healthy",
		"one.yaml Db shop/down Failed CreateFailed no space left here",
		"missing.yaml Unknown error",
		"dir/a.yml Deployment /web Progressing  its controller has not seen the change yet",
		"dir/b.json Service /lb Progressing NoAddress it has no address yet, and its release does not wait for one None",
		"dir/b.json Unknown error",
		"dir/b.json ConfigMap /c Healthy",
		"empty.yaml Unknown error",
		"kindless.yaml Unknown error",
	}
	if diff := cmp.Diff(want, lines(t, out)); diff != "" {
		t.Error(diff)
	}
}

func TestHealthReadsStandardInput(t *testing.T) {
	out, err := belayHealth(t, `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}`, "-f", "-", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"- ConfigMap /a Healthy", "- ConfigMap /b Healthy"}, lines(t, out)); diff != "" {
		t.Error(diff)
	}
}

func TestHealthAsATableAndAsYAML(t *testing.T) {
	inFiles(t, someObjects)
	for format, want := range map[string]string{
		"table": "one.yaml   Db/shop/down   Failed    CreateFailed   no space left here",
		"yaml":  "message: no space left here",
	} {
		out, err := belayHealth(t, "", "-f", "one.yaml", "-o", format)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v, and %s has no %q", format, err, out, want)
		}
	}
	if _, err := belayHealth(t, "", "-f", "one.yaml", "-o", "wide"); err == nil {
		t.Error("-o wide is taken")
	}
	if _, err := belayHealth(t, ""); err == nil {
		t.Error("no file is no error")
	}
}

func TestHealthCountsTheExpressionsOfASync(t *testing.T) {
	inFiles(t, someObjects)
	out, err := belayHealth(t, "", "--sync", "sync.yaml", "-f", "one.yaml", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"one.yaml Db shop/up Failed Failed its status does not say why", "one.yaml Db shop/down Progressing CreateFailed no space left here"}
	if diff := cmp.Diff(want, lines(t, out)); diff != "" {
		t.Error(diff)
	}
	for file, says := range map[string]string{"wrong.yaml": "spec.health.expressions[0].current", "one.yaml": "no Sync", "none.yaml": "none.yaml"} {
		if _, err := belayHealth(t, "", "--sync", file, "-f", "one.yaml"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--sync %s: %v, want it to say %q", file, err, says)
		}
	}
}
