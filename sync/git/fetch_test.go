package git_test

import (
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belay-gitops/belay/sync/git"
	"github.com/google/go-cmp/cmp"
)

func readFile(t *testing.T, r *git.Repository, commit, name string) string {
	t.Helper()
	tree, err := r.Tree(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	content, err := fs.ReadFile(tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// noise does not compress.
func noise(n int) string {
	b := make([]byte, n)
	for i, r := 0, rand.NewPCG(1, 2); i < n; i++ {
		b[i] = byte(r.Uint64())
	}
	return string(b)
}

// caches are the two places for what was fetched.
func caches(t *testing.T) map[string]string {
	return map[string]string{"memory": "", "disk": filepath.Join(t.TempDir(), "cache")}
}

func TestACommitIsDescribedForAPerson(t *testing.T) {
	s := newSource(t)
	hash := s.commit("Bump \x1b[31mcart "+strings.Repeat("é", 300)+"\n\nbody", nil)
	got, err := open(t, serve(t, s).options()).Commit(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	want := git.Commit{
		Hash:       hash,
		Author:     "Ana",
		AuthoredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Subject:    "Bump [31mcart " + strings.Repeat("é", 186),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Commit (-want +got):\n%s", diff)
	}
}

func TestAFetchBringsOnlyWhatIsNew(t *testing.T) {
	for name, dir := range caches(t) {
		for _, version1 := range []bool{false, true} {
			s := newSource(t)
			first := s.commit("first", map[string]string{"big": noise(200_000), "a": "1"})
			server := serve(t, s)
			server.version1 = version1
			opts := server.options()
			opts.CacheDir = dir
			r := open(t, opts)
			readFile(t, r, head(t, r), "a")
			if server.sent < 200_000 {
				t.Errorf("%s: the first fetch took %d bytes", name, server.sent)
			}

			second := s.commit("second", map[string]string{"a": "2"})
			server.reset()
			if got := readFile(t, r, head(t, r), "a"); got != "2" {
				t.Errorf("%s: a = %q, want 2", name, got)
			}
			if server.sent > 2000 {
				t.Errorf("%s: the second fetch took %d bytes", name, server.sent)
			}
			server.reset()
			if got := readFile(t, r, first, "a") + readFile(t, r, second, "a"); got != "12" {
				t.Errorf("%s: a was and is %q, want 12", name, got)
			}
			if len(server.requests) > 0 {
				t.Errorf("%s: what is here was asked for again: %q", name, server.requests)
			}
		}
	}
}

func TestARestartUsesTheCache(t *testing.T) {
	s := newSource(t)
	commit := s.commit("first", map[string]string{"a": "1"})
	server := serve(t, s)
	opts := server.options()
	opts.CacheDir = t.TempDir()
	readFile(t, open(t, opts), commit, "a")
	server.Close()
	left := filepath.Join(opts.CacheDir, "repository.git", "incoming-1")
	if err := os.WriteFile(left, []byte("PACK"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, open(t, opts), commit, "a"); got != "1" {
		t.Errorf("a = %q", got)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed process left is still there")
	}
}

func TestAnotherURLDoesNotSeeTheCache(t *testing.T) {
	s := newSource(t)
	commit := s.commit("first", map[string]string{"a": "1"})
	opts := serve(t, s).options()
	opts.CacheDir = t.TempDir()
	readFile(t, open(t, opts), commit, "a")

	other := newSource(t)
	other.commit("other", nil)
	opts.URL = serve(t, other).options().URL
	_, err := open(t, opts).Tree(t.Context(), commit)
	wantReason(t, err, git.CommitNotFound)
}

func TestAForcePushIsFollowed(t *testing.T) {
	for name, dir := range caches(t) {
		s := newSource(t)
		s.commit("base", map[string]string{"big": noise(100_000)})
		s.commit("first", map[string]string{"a": "1"})
		server := serve(t, s)
		opts := server.options()
		opts.CacheDir = dir
		r := open(t, opts)
		readFile(t, r, head(t, r), "a")

		s.git("reset", "--quiet", "--hard", "HEAD~1")
		s.commit("instead", map[string]string{"a": "3"})
		s.git("reflog", "expire", "--expire=now", "--all")
		s.git("gc", "--quiet", "--prune=now")
		server.reset()
		if got := readFile(t, r, head(t, r), "a"); got != "3" {
			t.Errorf("%s: a = %q, want 3", name, got)
		}
		if server.sent > 2000 {
			t.Errorf("%s: the fetch took %d bytes though the base was here", name, server.sent)
		}
	}
}

func TestACommitOffTheBranchIsFetchedByItsHash(t *testing.T) {
	s := newSource(t)
	old := s.commit("old", map[string]string{"a": "old"})
	s.git("checkout", "--quiet", "-b", "side")
	side := s.commit("side", map[string]string{"a": "side"})
	s.commit("further", nil)
	s.git("checkout", "--quiet", "main")
	s.commit("new", map[string]string{"a": "new"})
	for _, version1 := range []bool{false, true} {
		server := serve(t, s)
		server.version1 = version1
		opts := server.options()
		opts.Ref.Commit = old
		r := open(t, opts)
		if got := readFile(t, r, head(t, r), "a"); got != "old" {
			t.Errorf("version1=%t: a = %q, want old", version1, got)
		}
		if got := readFile(t, r, side, "a"); got != "side" {
			t.Errorf("version1=%t: a = %q, want side", version1, got)
		}
		_, err := r.Tree(t.Context(), strings.Repeat("ab", 20))
		wantReason(t, err, git.CommitNotFound)
	}
}

func TestATagsOwnHashIsNoCommit(t *testing.T) {
	s := newSource(t)
	s.commit("first", nil)
	s.git("tag", "--annotate", "--message", "one", "v1")
	_, err := open(t, serve(t, s).options()).Commit(t.Context(), s.git("rev-parse", "v1"))
	wantReason(t, err, git.InvalidRef)
}

func TestADamagedCacheIsMadeAnew(t *testing.T) {
	s := newSource(t)
	commit := s.commit("first", map[string]string{"a": "1", "big": noise(100_000)})
	opts := serve(t, s).options()
	for name, damage := range map[string]func(path string) error{
		"packs cut short": func(path string) error { return os.Truncate(path, 40) },
		"packs deleted":   os.Remove,
		"files zeroed":    func(path string) error { return os.WriteFile(path, make([]byte, 1000), 0o644) },
	} {
		for _, pattern := range []string{"objects/pack/*.pack", "objects/pack/*.idx", "refs/belay/*", "config", "HEAD"} {
			for _, restarted := range []bool{true, false} {
				opts.CacheDir = t.TempDir()
				r := open(t, opts)
				readFile(t, r, commit, "a")
				paths, _ := filepath.Glob(filepath.Join(opts.CacheDir, "repository.git", pattern))
				if len(paths) == 0 {
					t.Fatalf("no %s", pattern)
				}
				for _, path := range paths {
					if err := os.Chmod(path, 0o644); err != nil {
						t.Fatal(err)
					}
					if err := damage(path); err != nil {
						t.Fatal(err)
					}
				}
				if restarted {
					r = open(t, opts)
				}
				if got := readFile(t, r, commit, "a"); got != "1" {
					t.Errorf("%s, %s, restarted=%t: a = %q", name, pattern, restarted, got)
				}
			}
		}
	}
}

func TestADamagedBlobIsToldAndTheNextTreeIsWhole(t *testing.T) {
	s := newSource(t)
	commit := s.commit("first", map[string]string{"a": noise(100_000)})
	opts := serve(t, s).options()
	opts.CacheDir = t.TempDir()
	r := open(t, opts)
	tree, err := r.Tree(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	packs, _ := filepath.Glob(filepath.Join(opts.CacheDir, "repository.git/objects/pack/*.pack"))
	content, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 0xff // stored uncompressed, in the middle of the noise
	if err := os.Chmod(packs[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packs[0], content, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = fs.ReadFile(tree, "a")
	if e := wantReason(t, err, git.Corrupt); !e.Temporary {
		t.Error("a damaged cache heals")
	}
	if got := readFile(t, r, commit, "a"); got != noise(100_000) {
		t.Errorf("a is still damaged")
	}
}

func TestALargeHistoryIsStoppedAtItsLimits(t *testing.T) {
	s := newSource(t)
	commit := s.commit("first", map[string]string{"noise": noise(50_000), "zeros": strings.Repeat("0", 2_000_000)})
	for name, limits := range map[string]git.Limits{
		"10000 bytes":   {PackBytes: 10_000},
		"1000000":       {ObjectBytes: 1_000_000},
		"of 1500000":    {ObjectBytes: 1_500_000},
		"2000000 bytes": {ObjectBytes: 1_999_999},
	} {
		for _, dir := range caches(t) {
			opts := serve(t, s).options()
			opts.Limits, opts.CacheDir = limits, dir
			_, err := open(t, opts).Tree(t.Context(), commit)
			e := wantReason(t, err, git.TooLarge)
			if e.Temporary || !strings.Contains(e.Error(), name) {
				t.Errorf("got %v, want a lasting error that names %s", e, name)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "repository.git", "incoming-*"))
			if dir != "" && len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		}
	}
}

func TestDeltasAreMeasuredByTheirResults(t *testing.T) {
	s := newSource(t)
	content := noise(20_000)
	var commit string
	for i := range 5 {
		content = content[:10_000+i] + "changed" + content[10_000+i:]
		commit = s.commit("next", map[string]string{"a": content})
	}
	s.git("gc", "--quiet")
	packs, _ := filepath.Glob(filepath.Join(s.dir, ".git/objects/pack/*.idx"))
	if chains := s.git("verify-pack", "-v", packs[0]); !strings.Contains(chains, "chain length") {
		t.Fatalf("no deltas were made:\n%s", chains)
	}
	for name, dir := range caches(t) {
		opts := serve(t, s).options()
		opts.CacheDir = dir
		opts.Limits.ObjectBytes = int64(len(content))
		if got := readFile(t, open(t, opts), commit, "a"); got != content {
			t.Errorf("%s: a is wrong", name)
		}
	}
}

// go-git holds all objects of a chain at once, so that a few bytes of deltas can ask for gigabytes.
func TestAChainOfDeltasIsMeasuredAsAWhole(t *testing.T) {
	s := newSource(t)
	long := noise(1_000_000)
	var commit, content string
	for i := range 8 { // each is most like the one before
		content = long[i*25_000 : i*25_000+100_000]
		commit = s.commit("next", map[string]string{"a": content})
	}
	s.git("repack", "-adfq", "--depth=50")
	packs, _ := filepath.Glob(filepath.Join(s.dir, ".git/objects/pack/*.idx"))
	if chains := s.git("verify-pack", "-v", packs[0]); !strings.Contains(chains, "chain length = 3") {
		t.Fatalf("no chain was made:\n%s", chains)
	}
	for name, dir := range caches(t) {
		opts := serve(t, s).options()
		opts.CacheDir = dir
		opts.Limits.ObjectBytes = int64(len(content)) // any one fits; three in a chain do not
		_, err := open(t, opts).Tree(t.Context(), commit)
		if e := wantReason(t, err, git.TooLarge); e.Temporary || !strings.Contains(e.Detail, "chain of deltas") {
			t.Errorf("%s: got %v", name, e)
		}
		opts.Limits.ObjectBytes *= 4
		if got := readFile(t, open(t, opts), commit, "a"); got != content {
			t.Errorf("%s: a is wrong", name)
		}
	}
}

// panicky is a transport whose answers make who reads them panic, while it is set.
type panicky struct {
	http.RoundTripper
	on atomic.Bool
}

func (p *panicky) RoundTrip(req *http.Request) (*http.Response, error) {
	if p.on.Load() {
		panic("malformed")
	}
	return p.RoundTripper.RoundTrip(req)
}

func TestAPanicOverAnAnswerIsAnErrorAndHoldsUpNobody(t *testing.T) {
	s := newSource(t)
	first := s.commit("first", map[string]string{"a": "1"})
	opts := serve(t, s).options()
	transport := &panicky{RoundTripper: http.DefaultTransport}
	opts.Transport = transport
	r := open(t, opts)
	head(t, r)
	transport.on.Store(true)
	_, err := r.Head(t.Context())
	wantReason(t, err, git.InvalidResponse)
	_, err = r.Commit(t.Context(), first)
	wantReason(t, err, git.InvalidResponse)
	transport.on.Store(false)
	if _, err := r.Commit(t.Context(), first); err != nil {
		t.Error(err)
	}
}
