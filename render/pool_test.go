package render_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	gosync "sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/render"
)

// children are a [render.Process] or a [render.Pool] of them.
type children interface {
	Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error)
}

// everyWay has a tree built in a child of its own, in one that has built before, and by one that has built the same before.
func everyWay(t *testing.T, p render.Process) map[string]children {
	t.Helper()
	pool := &render.Pool{Process: p}
	t.Cleanup(pool.Close)
	if _, err := pool.Build(t.Context(), plainApp(), "base"); err != nil {
		t.Fatal(err)
	}
	return map[string]children{"a child": p, "a warm child": pool, "a child with a memo": remembering{pool}}
}

// counted is a pool, and the PIDs of the children that it has started so far.
func counted(t *testing.T) (*render.Pool, func() []int) {
	t.Helper()
	p := process(t)
	file := filepath.Join(t.TempDir(), "pids")
	script := fmt.Sprintf("echo $$ >> %s; exec %s render-child", file, p.Command[0])
	p.Command = []string{"/bin/sh", "-c", script}
	pool := &render.Pool{Process: p, Idle: time.Hour}
	t.Cleanup(pool.Close)
	return pool, func() []int {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // none was started
			t.Fatal(err)
		}
		var pids []int
		for line := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		return pids
	}
}

func builds(t *testing.T, in children, tree fs.FS, dir string) string {
	t.Helper()
	set, err := in.Build(t.Context(), tree, dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(listed(set), "\n") + "\n" + string(text)
}

// gone waits until there is no such process.
func gone(t *testing.T, pid int) {
	t.Helper()
	for start := time.Now(); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("the child %d is still there", pid)
		}
	}
}

func TestAChildCanBeStartedBeforeItIsNeeded(t *testing.T) {
	t.Parallel()
	pool, started := counted(t)
	pool.Warm()
	for start := time.Now(); len(started()) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("no child was started")
		}
	}
	if want, got := builds(t, process(t), app(), "overlay"), builds(t, pool, app(), "overlay"); got != want {
		t.Errorf("built\n%s\nwant\n%s", got, want)
	}
	if pids := started(); len(pids) != 1 {
		t.Errorf("the build has another child: %v", pids)
	}
}

func TestAChildServesOneBuildAfterTheOther(t *testing.T) {
	t.Parallel()
	pool, started := counted(t)
	want := builds(t, process(t), app(), "overlay")
	for range 20 {
		same(t, builds(t, pool, app(), "overlay"), want)
		builds(t, pool, plainApp(), "base")
	}
	if pids := started(); len(pids) != 1 {
		t.Errorf("40 builds started %d children", len(pids))
	}
	pool.Close()
	gone(t, started()[0])
}

func TestAnIdleChildIsEnded(t *testing.T) {
	t.Parallel()
	pool, started := counted(t)
	pool.Idle = time.Millisecond
	builds(t, pool, app(), "overlay")
	gone(t, started()[0])
	builds(t, pool, app(), "overlay")
	if pids := started(); len(pids) != 2 {
		t.Errorf("started %d children", len(pids))
	}
}

func TestBuildsAtOnceHaveAChildEach(t *testing.T) {
	t.Parallel()
	pool, started := counted(t)
	want := builds(t, process(t), app(), "overlay")
	const atOnce = 4
	var wait gosync.WaitGroup
	got := make([]string, atOnce*10)
	for i := range atOnce {
		wait.Go(func() {
			for j := range 10 {
				set, err := pool.Build(t.Context(), app(), "overlay")
				if err != nil {
					t.Error(err)
					return
				}
				text, _ := set.MarshalJSON()
				got[i*10+j] = strings.Join(listed(set), "\n") + "\n" + string(text)
			}
		})
	}
	wait.Wait()
	for _, text := range got {
		same(t, text, want)
	}
	if pids := started(); len(pids) > atOnce {
		t.Errorf("started %d children", len(pids))
	}
}

// A child may be ended from outside while it rests, and a build that dies in one is not to blame for what others left.
func TestABuildThatDiesInAWarmChildHasAnotherTry(t *testing.T) {
	t.Parallel()
	pool, started := counted(t)
	want := builds(t, pool, app(), "overlay")
	if err := syscall.Kill(started()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	same(t, builds(t, pool, app(), "overlay"), want)
	if pids := started(); len(pids) != 2 {
		t.Errorf("started %d children", len(pids))
	}
}

func TestABuildThatDiesInANewChildTooIsNotTriedForEver(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector's own memory is over any limit")
	}
	pool, started := counted(t)
	pool.Process.Memory = 256 << 20
	pool.Process.Limits = render.Limits{Bytes: 1 << 40, Objects: 1 << 30, ObjectBytes: 1 << 30}
	want := builds(t, pool, app(), "overlay")
	big := configMap("big") + "data:\n  k: [" + strings.Repeat("x,", 16<<20) + "x]\n"
	_, err := pool.Build(t.Context(), fstest.MapFS{"a.yaml": {Data: []byte(big)}}, "")
	fails(t, err, render.OutOfMemory, "rendering took more than the 256 MiB of memory it may have")
	if pids := started(); len(pids) != 2 {
		t.Errorf("started %d children", len(pids))
	}
	same(t, builds(t, pool, app(), "overlay"), want)
}

func TestAChildThatHasGrownIsReplaced(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector's own memory is over any limit")
	}
	pool, started := counted(t)
	pool.Process.Limits = render.Limits{Bytes: 1 << 30, ObjectBytes: 1 << 30}
	big := configMap("big") + "data:\n  k: " + strings.Repeat("x", 20<<20) + "\n"
	builds(t, pool, fstest.MapFS{"a.yaml": {Data: []byte(big)}}, "")
	builds(t, pool, plainApp(), "base")
	builds(t, pool, plainApp(), "base")
	if pids := started(); len(pids) != 2 {
		t.Errorf("started %d children", len(pids))
	}
}

// sensitive has a list that is merged as the OpenAPI schema says, and kinds whose scope it knows.
const sensitive = `
-- a/kustomization.yaml --
namespace: shop
resources: [a.yaml]
patches: [{path: p.yaml}]
-- a/a.yaml --
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  template:
    spec:
      containers: [{name: one, image: one:1}, {name: two, image: two:1}]
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: a}
spec: {parts: [{name: one, n: 1}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: a}
-- a/p.yaml --
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  template:
    spec:
      containers: [{name: two, env: [{name: A, value: b}]}]
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: a}
spec: {parts: [{name: two, n: 2}]}
`

// schemaOfTheirOwn makes lists of things merge by name, and those of Deployments not.
const schemaOfTheirOwn = `{"definitions": {
"io.k8s.api.apps.v1.Deployment": {"x-kubernetes-group-version-kind": [{"group": "apps", "kind": "Deployment", "version": "v1"}],
  "properties": {"spec": {"properties": {"template": {"properties": {"spec": {"properties": {"containers": {"type": "array", "items": {"type": "object"}}}}}}}}}},
"com.example.v1.Thing": {"x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Thing", "version": "v1"}],
  "properties": {"spec": {"properties": {"parts": {"type": "array", "items": {"type": "object"}, "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}}}}}},
"paths": {"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/clusterroles": {"get": {"x-kubernetes-group-version-kind": {"group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "version": "v1"}}}}}
`

// What changes what kustomize keeps in its packages' variables must change nothing in the next build.
func TestNothingOfABuildIsSeenInTheNext(t *testing.T) {
	t.Parallel()
	a := repository(sensitive)
	want := builds(t, process(t), a, "a")
	for name, hostile := range map[string]string{
		"a schema": "-- b/kustomization.yaml --\nopenapi: {path: schema.json}\nresources: [../a]\n",
		"a schema in a base": "-- b/kustomization.yaml --\nresources: [../c]\n-- c/schema.json --\n" + schemaOfTheirOwn +
			"-- c/kustomization.yaml --\nopenapi: {path: schema.json}\nresources: [../a]\n",
		"a schema, and an error": "-- b/kustomization.yaml --\nopenapi: {path: schema.json}\nresources: [../a]\npatches: [{path: p.yaml}]\n" +
			"-- b/p.yaml --\n" + configMap("nobody"),
		"a schema that is none": "-- b/kustomization.yaml --\nopenapi: {path: no.json}\nresources: [../a]\npatches: [{path: ../a/p.yaml}]\n" +
			"-- b/no.json --\n{\"definitions\": {\"x\": 1}, \"swagger\": []}\n",
		"a version":              "-- b/kustomization.yaml --\nopenapi: {version: v1.21.2}\nresources: [../a]\npatches: [{path: ../a/p.yaml}]\n",
		"a version that is none": "-- b/kustomization.yaml --\nopenapi: {version: v0}\nresources: [../a]\n",
		"configurations and CRDs": "-- b/kustomization.yaml --\nconfigurations: [c.yaml]\ncrds: [crd.json]\nnamePrefix: b-\nresources: [../a]\n" +
			"-- b/c.yaml --\nnamespace: [{kind: ClusterRole, path: metadata/namespace, create: true}]\nnamePrefix: [{kind: Thing, path: spec/x}]\n" +
			"-- b/crd.json --\n{\"example.com/v1.Thing\": {\"Schema\": {\"properties\": {\"spec\": {\"x-kubernetes-object-ref-kind\": \"Secret\"}}}}}\n",
		"the same names": "-- b/kustomization.yaml --\nresources: [a.yaml]\n-- b/a.yaml --\n" + configMap("a"),
		"a bomb":         "-- b/a.yaml --\n" + aliasBomb(),
		"no YAML":        "-- b/a.yaml --\n\t: [\n",
		"nothing":        "-- b/README.md --\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := repository(sensitive + hostile)
			b["b/schema.json"] = &fstest.MapFile{Data: []byte(schemaOfTheirOwn)}
			own, ownErr := process(t).Build(t.Context(), b, "b")
			pool, started := counted(t)
			for range 2 { // before a schema was ever parsed, and with one
				set, err := pool.Build(t.Context(), b, "b")
				if fmt.Sprint(err) != fmt.Sprint(ownErr) || err == nil && set.Digest() != own.Digest() {
					t.Errorf("b itself differs: %v, %v", err, ownErr)
				}
				same(t, builds(t, pool, a, "a"), want)
			}
			if pids := started(); len(pids) != 1 {
				t.Errorf("started %d children", len(pids))
			}
		})
	}
}
