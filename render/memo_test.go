package render_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/render"
)

// identified is a tree that tells contents apart as Git does, and which files were read since the last call of wasRead.
type identified struct {
	fs.FS
	files []string
}

func (i *identified) ReadFile(name string) ([]byte, error) {
	i.files = append(i.files, name)
	return fs.ReadFile(i.FS, name)
}

func (i *identified) Stat(name string) (fs.FileInfo, error) { return fs.Stat(i.FS, name) }

func (i *identified) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(i.FS, name)
	for j, e := range entries {
		entries[j] = identifiedEntry{e, i.FS, strings.TrimPrefix(name+"/"+e.Name(), "./")}
	}
	return entries, err
}

func (i *identified) wasRead() []string {
	files := i.files
	i.files = nil
	slices.Sort(files)
	return files
}

type identifiedEntry struct {
	fs.DirEntry
	tree fs.FS
	path string
}

func (e identifiedEntry) Identity() string {
	content, err := fs.ReadFile(e.tree, e.path)
	return fmt.Sprint(sha256.Sum256(content), err)
}

// remembering builds each tree twice, with a memo, and answers what came of it the second time.
type remembering struct{ pool *render.Pool }

func (r remembering) Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error) {
	memo := &render.Memo{AtLeast: 1}
	_, _ = r.pool.Rebuild(ctx, &identified{FS: tree}, dir, memo) // what is wrong is so a second time
	return r.pool.Rebuild(ctx, &identified{FS: tree}, dir, memo)
}

func TestFilesThatHaveNotChangedAreNotParsedAgain(t *testing.T) {
	t.Parallel()
	const app = `
-- app/a.yaml --
` + "# of two\n" + `
-- app/b.yaml --
{apiVersion: v1, kind: ConfigMap, metadata: {name: b1}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b2}}
-- app/c/c.yaml --
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
-- app/d/kustomization.yaml --
resources: [d.yaml]
nameSuffix: -x
-- app/d/d.yaml --
{apiVersion: v1, kind: ConfigMap, metadata: {name: d}}
-- app/e.yaml --
{apiVersion: v1, kind: ConfigMap, metadata: {name: e}}
-- other/b.yaml --
{apiVersion: v1, kind: ConfigMap, metadata: {name: b1}}
`
	kustomized := []string{"app/d/d.yaml", "app/d/kustomization.yaml"}
	for _, test := range []struct {
		name    string
		change  func(tree fstest.MapFS)
		read    []string // beside what is kustomized, and a.yaml, which holds nothing
		refusal string
	}{
		{"nothing has changed", func(fstest.MapFS) {}, nil, ""},
		{"one has changed", func(tree fstest.MapFS) {
			tree["app/c/c.yaml"].Data = []byte(configMap("other"))
		}, []string{"app/c/c.yaml"}, ""},
		{"one is new, with what another had", func(tree fstest.MapFS) {
			tree["app/f.yaml"], tree["app/e.yaml"] = tree["app/e.yaml"], &fstest.MapFile{Data: []byte(configMap("new"))}
		}, []string{"app/e.yaml", "app/f.yaml"}, ""},
		{"one is gone", func(tree fstest.MapFS) { delete(tree, "app/b.yaml") }, nil, ""},
		{"one has what another has", func(tree fstest.MapFS) {
			tree["app/e.yaml"].Data = []byte(configMap("b2"))
		}, []string{"app/e.yaml"}, "defined twice"},
		{"one is no YAML any more", func(tree fstest.MapFS) { tree["app/e.yaml"].Data = []byte("a: b: c") }, []string{"app/e.yaml"}, "app/e.yaml"},
		{"a directory has become a kustomization", func(tree fstest.MapFS) {
			tree["app/c/kustomization.yaml"] = &fstest.MapFile{Data: []byte("resources: [c.yaml]\nnamePrefix: p-\n")}
		}, []string{"app/c/c.yaml", "app/c/kustomization.yaml"}, ""},
		{"a kustomization has become a directory", func(tree fstest.MapFS) { delete(tree, "app/d/kustomization.yaml") }, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pool, memo := &render.Pool{Process: process(t)}, &render.Memo{AtLeast: 1}
			t.Cleanup(pool.Close)
			files := repository(app)
			tree := &identified{FS: files}
			if _, err := pool.Rebuild(t.Context(), tree, "app", memo); err != nil {
				t.Fatal(err)
			}
			tree.wasRead()
			test.change(files)
			got, err := pool.Rebuild(t.Context(), tree, "app", memo)
			read := tree.wasRead()
			want, wantErr := render.Build(tree, "app", render.Limits{})
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !strings.Contains(fmt.Sprint(err), test.refusal) {
				t.Fatalf("got %v, want %v with %q", err, wantErr, test.refusal)
			}
			if err != nil {
				return
			}
			same(t, listed(got), listed(want))
			if got.Digest() != want.Digest() {
				t.Error("the objects differ")
			}
			expected := append([]string{"app/a.yaml"}, test.read...)
			if _, still := files["app/d/kustomization.yaml"]; still {
				expected = append(expected, kustomized...)
			} else {
				expected = append(expected, "app/d/d.yaml")
			}
			slices.Sort(expected)
			if diff := cmp.Diff(expected, read); diff != "" {
				t.Errorf("was read: %s", diff)
			}
		})
	}
}

// What is known counts as if it were read.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{}
	for i := range 10 {
		tree[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: []byte(configMap(fmt.Sprint("cm-", i)))}
	}
	size := int64(len(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm-0"}}`)) // more than as YAML
	for name, limits := range map[string]render.Limits{
		"files":   {Files: 10},
		"bytes":   {Bytes: 10*size + size/2},
		"objects": {Objects: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := process(t)
			p.Limits = limits
			pool, memo := &render.Pool{Process: p}, &render.Memo{AtLeast: 1}
			t.Cleanup(pool.Close)
			if _, err := pool.Rebuild(t.Context(), &identified{FS: tree}, "", memo); err != nil {
				t.Fatal(err)
			}
			more := fstest.MapFS{"more.yaml": {Data: []byte(configMap("more"))}}
			for name, file := range tree {
				more[name] = file
			}
			_, want := render.Build(more, "", limits)
			if want == nil {
				t.Fatal("there is room for one more")
			}
			if _, err := pool.Rebuild(t.Context(), &identified{FS: more}, "", memo); fmt.Sprint(err) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

func TestASmallApplicationIsNotRemembered(t *testing.T) {
	t.Parallel()
	pool, memo := &render.Pool{Process: process(t)}, &render.Memo{}
	t.Cleanup(pool.Close)
	tree := &identified{FS: plainApp()}
	for range 2 {
		if _, err := pool.Rebuild(t.Context(), tree, "base", memo); err != nil {
			t.Fatal(err)
		}
		if len(tree.wasRead()) == 0 {
			t.Error("no file was read")
		}
	}
}

// What was not used for longest goes where there is no room for more.
func TestMemosHoldNoMoreTogetherThanTheyMay(t *testing.T) {
	t.Parallel()
	object := int64(len(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`))
	pool := &render.Pool{Process: process(t), Remember: 3 * object}
	t.Cleanup(pool.Close)
	memos := map[string]*render.Memo{}
	reads := func(names ...string) int { // of an application of so many files
		tree := &identified{FS: fstest.MapFS{}}
		for _, name := range names {
			tree.FS.(fstest.MapFS)[name+".yaml"] = &fstest.MapFile{Data: []byte(configMap(name))}
		}
		app := strings.Join(names, "")
		if memos[app] == nil {
			memos[app] = &render.Memo{AtLeast: 1}
		}
		if _, err := pool.Rebuild(t.Context(), tree, "", memos[app]); err != nil {
			t.Fatal(err)
		}
		return len(tree.wasRead())
	}
	for _, step := range []struct {
		app  []string
		read int
	}{
		{[]string{"a"}, 1}, {[]string{"b"}, 1}, {[]string{"c"}, 1},
		{[]string{"a"}, 0}, // and b was used before all others now
		{[]string{"d"}, 1},
		{[]string{"a"}, 0}, {[]string{"c"}, 0}, {[]string{"d"}, 0},
		{[]string{"b"}, 1},
		{[]string{"e", "f", "g"}, 3}, // all there is room for
		{[]string{"e", "f", "g"}, 0},
		{[]string{"h", "i", "j", "k"}, 4}, // more than that
		{[]string{"h", "i", "j", "k"}, 4},
		{[]string{"e", "f", "g"}, 0},
	} {
		if read := reads(step.app...); read != step.read {
			t.Errorf("%v: %d files were read, want %d", step.app, read, step.read)
		}
	}
}
