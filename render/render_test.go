package render_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/render"
)

// TestMain lets the test binary be the child of a [render.Process] too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "render-child" {
		if err := render.Serve(os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func process(t testing.TB) render.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := render.Process{Command: []string{self, "render-child"}, Timeout: time.Minute}
	if raceEnabled {
		p.Memory = 1 << 50 // the race detector's shadow memory counts
	}
	return p
}

// repository is a tree written as a txtar archive.
func repository(archive string) fstest.MapFS {
	tree := fstest.MapFS{}
	for _, file := range txtar.Parse([]byte(archive)).Files {
		tree[file.Name] = &fstest.MapFile{Data: file.Data, Mode: 0o444}
	}
	return tree
}

// build returns each object and its file, in order.
func build(t *testing.T, tree fs.FS, dir string) []string {
	t.Helper()
	set, err := render.Build(tree, dir, render.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return listed(set)
}

func listed(set manifests.Set) []string {
	var list []string
	for _, o := range set.Objects() {
		list = append(list, o.String())
	}
	return list
}

// fails wants an [render.Error] with the reason, and with the text if there is any.
func fails(t *testing.T, err error, reason render.Reason, text string) {
	t.Helper()
	e, ok := errors.AsType[*render.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want %s", err, err, reason)
	}
	if e.Reason != reason {
		t.Errorf("got %s (%v), want %s", e.Reason, e, reason)
	}
	if text != "" && e.Error() != text {
		t.Errorf("wrong text:\n got %s\nwant %s", e, text)
	}
	if len(e.Error()) > 1<<10 || strings.ContainsAny(e.Error(), "\n\r\t\x1b") {
		t.Errorf("not one line of 1 KiB: %q", e.Error())
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAMissingDirectoryIsToldFromAnEmptyOne(t *testing.T) {
	tree := repository("-- deploy/README.md --\nhello\n-- deploy/empty.yaml --\n# nothing\n---\n---\n")
	_, err := render.Build(tree, "prod", render.Limits{})
	fails(t, err, render.PathNotFound, "prod: there is no such directory in the repository")
	_, err = render.Build(tree, "../etc", render.Limits{})
	fails(t, err, render.PathNotFound, "")
	_, err = render.Build(tree, "deploy/README.md", render.Limits{})
	fails(t, err, render.PathNotFound, "deploy/README.md: is a file: name the directory it is in")
	_, err = render.Build(tree, "deploy", render.Limits{})
	fails(t, err, render.NothingRendered, "deploy: there is no object in it")
}

func TestLimitsAreNamedWhenTheyAreHit(t *testing.T) {
	tree := repository(`
-- a.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {text: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
-- b.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
`)
	for _, test := range []struct {
		limits render.Limits
		want   string
	}{
		{render.Limits{Objects: 1}, "b.yaml:1: there are more than 1 objects"},
		{render.Limits{Files: 1}, "b.yaml: is one file too many: at most 1 are read"},
		{render.Limits{ObjectBytes: 100}, "a.yaml:1: ConfigMap/a has 148 bytes, more than the limit of 100"},
		{render.Limits{Bytes: 150}, "b.yaml: with its 51 bytes more than 150 are read"},
	} {
		_, err := render.Build(tree, "", test.limits)
		fails(t, err, render.TooLarge, test.want)
	}
}

// refusing is a tree that has a file and will not open it, as for a Git LFS pointer.
type refusing struct {
	fstest.MapFS
	name string
	err  error
}

func (r refusing) ReadFile(name string) ([]byte, error) {
	if name == r.name {
		return nil, &fs.PathError{Op: "read", Path: name, Err: r.err}
	}
	return r.MapFS.ReadFile(name)
}

func TestAnErrorOfTheTreeIsPassedOn(t *testing.T) {
	t.Parallel()
	pointer := errors.New("is a Git LFS pointer")
	for name, archive := range map[string]string{
		"plain":     "-- app/a.yaml --\nx\n",
		"kustomize": "-- app/a.yaml --\nx\n-- app/kustomization.yaml --\nresources: [a.yaml]\n",
		// kustomize takes a kustomization that cannot be read for one that is not there
		"kustomization": "-- app/kustomization.yaml --\nresources: [a.yaml]\n",
	} {
		file := "app/a.yaml"
		if name == "kustomization" {
			file = "app/kustomization.yaml"
		}
		tree := refusing{repository(archive), file, pointer}
		_, inProcess := render.Build(tree, "app", render.Limits{})
		errs := []error{inProcess}
		for _, child := range everyWay(t, process(t)) {
			_, err := child.Build(t.Context(), tree, "app")
			errs = append(errs, err)
		}
		for _, err := range errs {
			fails(t, err, render.Unreadable, file+": is a Git LFS pointer")
			if !errors.Is(err, pointer) {
				t.Errorf("%s: %v does not wrap the tree's error", name, err)
			}
		}
	}
}
