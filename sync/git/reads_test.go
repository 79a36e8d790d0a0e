package git_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	gosync "sync"
	"testing"

	"github.com/belay-gitops/belay/sync/git"
)

func TestReadsAreUnchangedWhereNothingThatWasReadIs(t *testing.T) {
	identify := func(dir string) func(fs.FS) {
		return func(tree fs.FS) {
			entries, _ := fs.ReadDir(tree, dir)
			for _, e := range entries {
				if e.Type().IsRegular() {
					e.(interface{ Identity() string }).Identity()
				}
			}
		}
	}
	// overlay reads as a build would: it lists, looks for what is not there, and reads a base outside of its own directory.
	overlay := func(tree fs.FS) {
		_, _ = fs.ReadDir(tree, "apps/cart")
		_, _ = fs.Stat(tree, "apps/cart/kustomization.yml")
		_, _ = fs.ReadFile(tree, "apps/cart/app.yaml")
		_, _ = fs.ReadFile(tree, "base/web.yaml")
		_, _ = fs.ReadFile(tree, "linked/values.yaml") // linked → shared/prod
		_, _ = fs.Stat(tree, "apps/cart/patches")
	}
	list := func(dir string) func(fs.FS) { return func(tree fs.FS) { _, _ = fs.ReadDir(tree, dir) } }
	write := func(name, content string) func(source) {
		return func(s source) { s.commit("write "+name, map[string]string{name: content}) }
	}
	remove := func(name string) func(source) {
		return func(s source) {
			if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		read   func(fs.FS)
		change func(source)
		want   bool
	}{
		{"nothing", overlay, func(source) {}, true},
		{"another directory", overlay, write("apps/web/app.yaml", "b"), true},
		{"a new directory beside", overlay, write("apps/new/app.yaml", "b"), true},
		{"the root", overlay, write("README.md", "b"), true},
		{"a file that was not read, of a directory that was listed", overlay, write("apps/cart/README.md", "b"), true},
		{"a file below a directory that was only looked at", overlay, write("apps/cart/patches/p.yaml", "b"), true},
		{"a file that was read", overlay, write("apps/cart/app.yaml", "b"), false},
		{"a file that comes to a directory that was listed", overlay, write("apps/cart/new.yaml", "b"), false},
		{"a file that goes from a directory that was listed", overlay, remove("apps/cart/README.md"), false},
		{"a file that was missing", func(tree fs.FS) { _, _ = fs.Stat(tree, "base/kustomization.yaml") }, write("base/kustomization.yaml", "b"), false},
		{"a directory that was missing", func(tree fs.FS) { _, _ = fs.Stat(tree, "later/deploy/x") }, write("later/y", "b"), false},
		{"another where one is missing", func(tree fs.FS) { _, _ = fs.Stat(tree, "base/kustomization.yaml") }, write("base/other.yaml", "b"), true},
		{"a base outside of the path", overlay, write("base/web.yaml", "b"), false},
		{"what a link leads to", overlay, write("shared/prod/values.yaml", "b"), false},
		{"a neighbour of what a link leads to", overlay, write("shared/prod/other.yaml", "b"), true},
		{"a link on the way", overlay, func(s source) { remove("linked")(s); s.link("shared/test", "linked") }, false},
		{"a link's content behind another", func(tree fs.FS) { _, _ = fs.ReadFile(tree, "twice/values.yaml") },
			func(s source) { remove("linked")(s); s.link("shared/test", "linked") }, false},
		{"a link that led nowhere", func(tree fs.FS) { _, _ = fs.Stat(tree, "dangling") }, write("nowhere", "b"), false},
		{"a directory that becomes a file", overlay, func(s source) { remove("apps/cart/patches")(s); write("apps/cart/patches", "b")(s) }, false},
		{"a file that becomes executable", overlay, func(s source) {
			if err := os.Chmod(filepath.Join(s.dir, "apps/cart/app.yaml"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"a parent that becomes a link to the same", overlay, func(s source) {
			if err := os.Rename(filepath.Join(s.dir, "base"), filepath.Join(s.dir, "moved")); err != nil {
				t.Fatal(err)
			}
			s.link("moved", "base")
		}, false},
		{"below a listed directory", list("apps"), write("apps/cart/app.yaml", "b"), true},
		{"a file whose identity was asked for", identify("apps/cart"), write("apps/cart/app.yaml", "b"), false},
		{"beside a file whose identity was asked for", identify("apps/cart"), write("apps/cart/patches/p.yaml", "b"), true},
		{"in a listed root", list("."), write("new", "b"), false},
		{"where nothing was read", func(fs.FS) {}, func(source) {}, false},
		{"names that sort between a directory and what is in it", func(tree fs.FS) {
			_, _ = fs.ReadFile(tree, "a/x")
			_, _ = fs.ReadFile(tree, "a.b")
			_, _ = fs.ReadFile(tree, "a-c")
		}, func(s source) { write("a/other", "b")(s); write("a-c", "b")(s) }, false},
		{"files beside those", func(tree fs.FS) {
			_, _ = fs.ReadFile(tree, "a/x")
			_, _ = fs.ReadFile(tree, "a.b")
		}, func(s source) { write("a/other", "b")(s); write("a-c", "b")(s) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSource(t)
			s.link("shared/prod", "linked")
			s.link("linked", "twice")
			s.link("nowhere", "dangling")
			s.commit("first", map[string]string{
				"apps/cart/app.yaml": "a", "apps/cart/README.md": "a", "apps/cart/patches/p.yaml": "a", "apps/web/app.yaml": "a",
				"base/web.yaml": "a", "shared/prod/values.yaml": "a", "shared/test/values.yaml": "a2",
				"a/x": "a", "a.b": "a", "a-c": "a",
			})
			r := open(t, serve(t, s).options())
			var reads git.Reads
			tree, err := r.Record(t.Context(), head(t, r), &reads)
			if err != nil {
				t.Fatal(err)
			}
			test.read(tree)
			test.change(s)
			s.commit("changed", nil)
			for range 2 { // it stays so
				if got, err := r.Unchanged(t.Context(), &reads, head(t, r)); err != nil || got != test.want {
					t.Errorf("unchanged %t, %v", got, err)
				}
			}
		})
	}
}

// apps is a repository of so many directories of four files each.
func apps(t *testing.T, n int) source {
	s := newSource(t)
	files := map[string]string{}
	for i := range n {
		for j := range 4 {
			files[fmt.Sprintf("apps/%04d/%d.yaml", i, j)] = fmt.Sprintf("app: %d\nobject: %d\n", i, j)
		}
	}
	s.commit("first", files)
	s.git("gc", "--quiet")
	return s
}

// readApp reads one of them as a plain directory is read, and answers what was read.
func readApp(t testing.TB, r *git.Repository, commit string, app int) *git.Reads {
	reads := &git.Reads{}
	tree, err := r.Record(t.Context(), commit, reads)
	if err != nil {
		t.Fatal(err)
	}
	dir := fmt.Sprintf("apps/%04d", app)
	entries, err := fs.ReadDir(tree, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := fs.Stat(tree, dir+"/"+e.Name()); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.ReadFile(tree, dir+"/"+e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	return reads
}

func TestAThousandReadsAreComparedWithoutReadingAThousandDirectories(t *testing.T) {
	s := apps(t, 1000)
	opts := serve(t, s).options()
	opts.CacheDir = t.TempDir()
	r := open(t, opts)
	first := head(t, r)
	all := make([]*git.Reads, 1000)
	for i := range all {
		all[i] = readApp(t, r, first, i)
	}
	second := s.commit("second", map[string]string{"apps/0417/1.yaml": "app: new\n"})
	var changed []int
	for i, reads := range all {
		same, err := r.Unchanged(t.Context(), reads, second)
		if err != nil {
			t.Fatal(err)
		}
		if !same {
			changed = append(changed, i)
		}
	}
	if !slices.Equal(changed, []int{417}) {
		t.Errorf("changed: %v", changed)
	}
	allocs := testing.AllocsPerRun(5, func() {
		for _, reads := range all {
			_, _ = r.Unchanged(t.Context(), reads, second)
		}
	})
	if allocs > 30_000 { // the newest tree is parsed once, not a thousand times
		t.Errorf("%.0f allocations to compare a thousand", allocs)
	}
}

func TestManyGoroutinesReadWhatIsFetchedMeanwhile(t *testing.T) {
	for name, dir := range caches(t) {
		t.Run(name, func(t *testing.T) {
			s := apps(t, 20)
			server := serve(t, s)
			opts := server.options()
			opts.CacheDir = dir
			r := open(t, opts)
			first := head(t, r)
			server.reset()
			var work gosync.WaitGroup
			for i := range 20 {
				work.Go(func() { readApp(t, r, first, i) })
			}
			work.Wait()
			if len(server.requests) != 1 {
				t.Errorf("what all missed took the requests %q", server.requests)
			}
			for round := range 5 {
				next := s.commit("next", map[string]string{"apps/0003/1.yaml": fmt.Sprint("round: ", round)})
				for i := range 20 {
					work.Go(func() { readApp(t, r, first, i) })
					work.Go(func() {
						if same, err := r.Unchanged(t.Context(), readApp(t, r, first, i), next); err != nil || same != (i != 3) {
							t.Errorf("app %d: unchanged %t, %v", i, same, err)
						}
					})
				}
				work.Wait()
			}
		})
	}
}
