package render_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/belay-gitops/belay/render"
)

func TestAChildRendersWhatThisProcessWould(t *testing.T) {
	t.Parallel()
	tree := repository(`
-- plain/a.yaml --
` + configMap("a") + `data: {n: "1"}
spec: {n: 1, f: 1.5}
-- kustomization.yaml --
resources: [plain/a.yaml]
nameSuffix: -x
`)
	for _, dir := range []string{"", "plain"} {
		here, err := render.Build(tree, dir, render.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for way, child := range everyWay(t, process(t)) {
			there, err := child.Build(t.Context(), tree, dir)
			if err != nil {
				t.Fatal(err)
			}
			same(t, listed(there), listed(here))
			if here.Digest() != there.Digest() {
				t.Errorf("%q: the objects of %s differ", dir, way)
			}
		}
	}
}

// manyObjects takes kustomize long, and much memory.
func manyObjects(n int) fs.FS {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "---\n%s", configMap(fmt.Sprint("cm-", i)))
	}
	return fstest.MapFS{
		"a.yaml":             {Data: []byte(text.String())},
		"kustomization.yaml": {Data: []byte("resources: [a.yaml]\n")},
	}
}

func TestAChildThatTakesTooLongIsKilled(t *testing.T) {
	t.Parallel()
	p := process(t)
	p.Timeout = 500 * time.Millisecond
	for way, child := range everyWay(t, p) {
		start := time.Now()
		_, err := child.Build(t.Context(), manyObjects(9000), "")
		fails(t, err, render.TimedOut, "rendering took more than 500ms")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %s", way, took)
		}
	}
}

func TestACallerWhoGivesUpGetsTheirOwnError(t *testing.T) {
	t.Parallel()
	for way, child := range everyWay(t, process(t)) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		if _, err := child.Build(ctx, manyObjects(9000), ""); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", way, err)
		}
	}
}

func TestAChildThatTakesTooMuchMemoryIsReported(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector's own memory is over any limit")
	}
	p := process(t)
	p.Memory = 192 << 20
	p.Limits = render.Limits{Bytes: 1 << 40, Objects: 1 << 30, ObjectBytes: 1 << 30}
	big := configMap("big") + "data:\n  k: [" + strings.Repeat("x,", 8<<20) + "x]\n"
	for _, child := range everyWay(t, p) {
		_, err := child.Build(t.Context(), fstest.MapFS{"a.yaml": {Data: []byte(big)}}, "")
		fails(t, err, render.OutOfMemory, "rendering took more than the 192 MiB of memory it may have")
	}
}

// A kill from outside says nothing of the tree.
func TestAChildThatIsKilledMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	killed := render.Process{Command: []string{"/bin/sh", "-c", "kill -9 $$"}}
	_, err := killed.Build(t.Context(), fstest.MapFS{}, "deploy")
	fails(t, err, render.Killed, "deploy: the renderer was killed; the node or the agent's Pod may be short of memory")
	var e *render.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if _, temporary, _ := e.Describe(); !temporary {
		t.Error("it is not to be tried again")
	}
}

func TestAChildThatSaysNothingIsReported(t *testing.T) {
	t.Parallel()
	_, err := render.Process{Command: []string{"/bin/false"}}.Build(t.Context(), fstest.MapFS{}, "deploy")
	fails(t, err, render.Crashed, "deploy: the renderer stopped without a result")
	if _, err := (render.Process{Command: []string{"/does/not/exist"}}).Build(t.Context(), fstest.MapFS{}, ""); err == nil {
		t.Error("a command that does not exist was started")
	}
}
