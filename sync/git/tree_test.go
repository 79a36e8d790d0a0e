package git_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/belay-gitops/belay/sync/git"
	"github.com/google/go-cmp/cmp"
)

// tree serves what was committed, and opens the last commit's tree.
func (s source) tree(limits git.Limits) fs.FS {
	s.t.Helper()
	opts := serve(s.t, s).options()
	opts.Limits = limits
	r := open(s.t, opts)
	tree, err := r.Tree(s.t.Context(), head(s.t, r))
	if err != nil {
		s.t.Fatal(err)
	}
	return tree
}

// plant commits a tree of lines `<mode> <name>`, as no git command would write
// it; each is a file that holds content, or a tree with one file in it.
func (s source) plant(content string, lines ...string) {
	s.t.Helper()
	blob := s.pipe(content, "hash-object", "-w", "--stdin")
	subtree := s.pipe("100644 blob "+blob+"\tfile\n", "mktree")
	var raw strings.Builder
	for _, line := range lines {
		hash := blob
		if strings.HasPrefix(line, "40000 ") {
			hash = subtree
		}
		raw.WriteString(line + "\x00")
		for i := 0; i < len(hash); i += 2 {
			var b byte
			fmt.Sscanf(hash[i:i+2], "%02x", &b)
			raw.WriteByte(b)
		}
	}
	tree := s.pipe(raw.String(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	s.git("update-ref", "refs/heads/main", s.git("commit-tree", "-m", "planted", tree))
}

func (s source) link(target, name string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		s.t.Fatal(err)
	}
}

func TestASaneTreeIsAFileSystem(t *testing.T) {
	s := newSource(t)
	s.link("../base/a.yaml", "prod/a.yaml")
	s.link("base", "also")
	s.commit("first", map[string]string{"base/a.yaml": "a: 1\n", "base/deep/er/b": "", "x.sh": "#!"})
	tree := s.tree(git.Limits{})
	if err := fstest.TestFS(tree, "base/a.yaml", "base/deep/er/b", "prod/a.yaml", "also", "x.sh"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"prod/a.yaml", "also/a.yaml"} {
		if got, err := fs.ReadFile(tree, name); err != nil || string(got) != "a: 1\n" {
			t.Errorf("%s = %q, %v", name, got, err)
		}
	}
	entries, err := fs.ReadDir(tree, "also")
	if err != nil || len(entries) != 2 {
		t.Errorf("also holds %v, %v", entries, err)
	}
}

func TestWhatIsNotThereDoesNotExist(t *testing.T) {
	s := newSource(t)
	s.link("nowhere", "dangling")
	s.link("a/..", "odd")
	s.commit("first", map[string]string{"a": "1", "d/b": "2"})
	tree := s.tree(git.Limits{})
	for _, name := range []string{"b", "a/b", "d/b/c", "dangling", "dangling/x", "odd"} {
		if _, err := fs.Stat(tree, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for _, name := range []string{"", "/a", "../a", "d/", "./a"} {
		if _, err := tree.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: error %v", name, err)
		}
	}
	if _, err := fs.ReadFile(tree, "d"); err == nil {
		t.Error("a directory was read as a file")
	}
	if _, err := fs.ReadDir(tree, "a"); err == nil {
		t.Error("a file was read as a directory")
	}
}

func TestLinksOutOfTheTreeAreNamed(t *testing.T) {
	s := newSource(t)
	s.link("../../etc/passwd", "d/up")
	s.link("/etc/passwd", "absolute")
	s.link("loop", "loop")
	s.link("d/up", "twice")
	s.commit("first", nil)
	tree := s.tree(git.Limits{})
	for name, want := range map[string]string{
		"d/up":     `"d/up" leads out of the repository`,
		"absolute": `"absolute" is a symbolic link out of the repository, to "/etc/passwd"`,
		"loop":     `"loop" leads through more than 10 symbolic links`,
		"twice":    `"twice" leads out of the repository`,
	} {
		_, err := fs.ReadFile(tree, name)
		if e := wantReason(t, err, git.UnsupportedEntry); !strings.Contains(e.Error(), want) {
			t.Errorf("%s: error %q, want %q in it", name, e, want)
		}
		if target, err := fs.ReadLink(tree, name); err != nil || target == "" {
			t.Errorf("%s links to %q, %v", name, target, err)
		}
	}
}

func TestASubmoduleIsListedAndNamedWhenOpened(t *testing.T) {
	s := newSource(t)
	commit := s.commit("first", map[string]string{"a": "1"})
	s.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",libs/sub")
	s.git("commit", "--quiet", "--message", "submodule")
	tree := s.tree(git.Limits{})
	entries, err := fs.ReadDir(tree, "libs")
	if err != nil || len(entries) != 1 || entries[0].Type() != fs.ModeIrregular {
		t.Errorf("libs holds %v, %v", entries, err)
	}
	for _, name := range []string{"libs/sub", "libs/sub/a"} {
		_, err := tree.Open(name)
		if e := wantReason(t, err, git.UnsupportedEntry); !strings.Contains(e.Error(), `"libs/sub" is a submodule`) {
			t.Errorf("%s: error %q", name, e)
		}
	}
}

func TestAnLFSPointerIsNamed(t *testing.T) {
	s := newSource(t)
	s.commit("first", map[string]string{"big.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n"})
	_, err := fs.ReadFile(s.tree(git.Limits{}), "big.bin")
	if e := wantReason(t, err, git.UnsupportedEntry); !strings.Contains(e.Error(), `"big.bin" is a Git LFS pointer`) {
		t.Errorf("error %q", e)
	}
}

func TestALargeFileIsToldWithItsSize(t *testing.T) {
	s := newSource(t)
	s.commit("first", map[string]string{"big": strings.Repeat("x", 5000), "small": "1"})
	tree := s.tree(git.Limits{BlobBytes: 4999})
	_, err := tree.Open("big")
	if e := wantReason(t, err, git.TooLarge); !strings.Contains(e.Error(), `"big" has 5000 bytes, more than the limit of 4999`) {
		t.Errorf("error %q", e)
	}
	if _, err := fs.ReadFile(tree, "small"); err != nil {
		t.Error(err)
	}
}

func TestAHostileNameFailsItsDirectoryAlone(t *testing.T) {
	for _, name := range []string{".git", ".GiT", "..", ".", "a/b", "/etc", "\xff\xfe"} {
		s := newSource(t)
		s.plant("x", "100644 "+name)
		planted := s.git("rev-parse", "main^{tree}")
		fine := s.pipe("x", "hash-object", "-w", "--stdin")
		top := s.pipe("100644 blob "+fine+"\tfine\n040000 tree "+planted+"\tsub\n", "mktree")
		s.git("update-ref", "refs/heads/main", s.git("commit-tree", "-m", "nested", top))
		tree := s.tree(git.Limits{})

		if _, err := fs.ReadFile(tree, "fine"); err != nil {
			t.Errorf("%q: its neighbour: %v", name, err)
		}
		_, err := fs.ReadDir(tree, "sub")
		e := wantReason(t, err, git.UnsupportedEntry)
		if want := fmt.Sprintf(`directory "sub" holds an entry named %q`, name); !strings.Contains(e.Error(), want) {
			t.Errorf("error %q, want %q in it", e, want)
		}
		_, err = fs.ReadFile(tree, "sub/file")
		wantReason(t, err, git.UnsupportedEntry)
	}
}

func TestTwoEntriesOfOneNameFailTheirDirectory(t *testing.T) {
	for _, lines := range [][]string{
		{"100644 a", "100644 a"},
		{"100644 a", "100644 b", "40000 a"},
	} {
		s := newSource(t)
		s.plant("x", lines...)
		_, err := fs.ReadDir(s.tree(git.Limits{}), ".")
		if e := wantReason(t, err, git.UnsupportedEntry); !strings.Contains(e.Error(), `two entries named "a"`) {
			t.Errorf("error %q", e)
		}
	}
}

func TestAnEntryOfUnknownModeIsNamed(t *testing.T) {
	s := newSource(t)
	s.plant("x", "100600 odd", "100664 old")
	tree := s.tree(git.Limits{})
	_, err := fs.ReadFile(tree, "odd")
	wantReason(t, err, git.UnsupportedEntry)
	if got, err := fs.ReadFile(tree, "old"); err != nil || string(got) != "x" {
		t.Errorf("old = %q, %v", got, err)
	}
}

func TestAWalkEndsAtTheLimitOfEntries(t *testing.T) {
	s := newSource(t)
	s.commit("first", map[string]string{"a/1": "", "a/2": "", "b": ""})
	walk := func(tree fs.FS) (names []string, err error) {
		err = fs.WalkDir(tree, ".", func(name string, _ fs.DirEntry, err error) error {
			names = append(names, name)
			return err
		})
		return names, err
	}
	names, err := walk(s.tree(git.Limits{TreeEntries: 4}))
	slices.Sort(names)
	if diff := cmp.Diff([]string{".", "a", "a/1", "a/2", "b"}, names); err != nil || diff != "" {
		t.Errorf("walk: %v (-want +got):\n%s", err, diff)
	}
	_, err = walk(s.tree(git.Limits{TreeEntries: 3}))
	wantReason(t, err, git.TooLarge)
}

func TestTreesThatHoldEachOtherManyTimesAreNotWalkedForever(t *testing.T) {
	s := newSource(t)
	s.plant("x", "100644 file")
	tree := s.git("rev-parse", "main^{tree}")
	for range 12 {
		var lines strings.Builder
		for i := range 10 {
			fmt.Fprintf(&lines, "040000 tree %s\td%d\n", tree, i)
		}
		tree = s.pipe(lines.String(), "mktree")
	}
	s.git("update-ref", "refs/heads/main", s.git("commit-tree", "-m", "bomb", tree))
	err := fs.WalkDir(s.tree(git.Limits{TreeEntries: 5000}), ".", func(_ string, _ fs.DirEntry, err error) error { return err })
	wantReason(t, err, git.TooLarge)
}
