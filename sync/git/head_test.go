package git_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/belay-gitops/belay/sync/git"
	"github.com/google/go-cmp/cmp"
)

func asError(err error) (*git.Error, bool) { return errors.AsType[*git.Error](err) }

func head(t *testing.T, r *git.Repository) string {
	t.Helper()
	commit, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func TestAPollIsOneSmallRequestHoweverManyRefsThereAre(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", map[string]string{"a.yaml": "a: 1\n"})
	var refs strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&refs, "%s refs/heads/feature-%d\n", want, i)
	}
	if err := os.WriteFile(filepath.Join(s.dir, ".git", "packed-refs"), []byte(refs.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	server := serve(t, s)
	var wire atomic.Int64
	opts := server.options()
	opts.Ref.Branch = "main"
	opts.Auth = git.Auth{Username: "belay", Password: "ghp_" + strings.Repeat("x", 36)}
	server.user, server.password = opts.Auth.Username, opts.Auth.Password
	opts.Transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return countingConn{conn, &wire}, err
	}}
	r := open(t, opts)

	if got := head(t, r); got != want {
		t.Errorf("Head = %s, want %s", got, want)
	}
	if n := len(server.requests); n != 2 {
		t.Errorf("the first poll took the requests %q, want 2", server.requests)
	}
	server.reset()
	wire.Store(0)
	head(t, r)
	if diff := cmp.Diff([]string{"POST /shop.git/.git/git-upload-pack"}, server.requests); diff != "" {
		t.Errorf("requests of the second poll (-want +got):\n%s", diff)
	}
	if n := len(server.connections); n != 1 {
		t.Errorf("%d connections were made for two polls", n)
	}
	if total := wire.Load(); total == 0 || total >= 1000 {
		t.Errorf("the second poll took %d bytes, with headers", total)
	}
}

// countingConn counts what goes either way.
type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

func TestABranchThatManyOthersBeginWithIsFound(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", nil)
	var refs strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&refs, "%s refs/heads/main-%d\n", want, i)
	}
	if err := os.WriteFile(filepath.Join(s.dir, ".git", "packed-refs"), []byte(refs.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	want = s.commit("second", nil)
	opts := serve(t, s).options()
	opts.Ref.Branch = "main"
	r := open(t, opts)
	for range 3 {
		if got := head(t, r); got != want {
			t.Errorf("Head = %s, want %s", got, want)
		}
	}
}

func TestAServerWithoutVersion2IsReadThroughItsAdvertisement(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", nil)
	s.git("tag", "--annotate", "--message", "one", "v1")
	server := serve(t, s)
	server.version1 = true
	for _, ref := range []git.Ref{{}, {Branch: "main"}, {Tag: "v1"}} {
		opts := server.options()
		opts.Ref = ref
		if got := head(t, open(t, opts)); got != want {
			t.Errorf("Head of %v = %s, want %s", ref, got, want)
		}
	}
}

func TestAServerThatForgetsVersion2IsAskedAnew(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", nil)
	server := serve(t, s)
	r := open(t, server.options())
	head(t, r)
	server.version1 = true
	if got := head(t, r); got != want {
		t.Errorf("Head = %s, want %s", got, want)
	}
}

func TestHeadFollowsEachKindOfRef(t *testing.T) {
	s := newSource(t)
	first := s.commit("first", map[string]string{"a": "1"})
	s.git("tag", "light")
	s.git("tag", "--annotate", "--message", "one", "v1")
	s.git("tag", "--annotate", "--message", "a tag of a tag", "v1-signed", "v1")
	s.git("branch", "main-2")
	second := s.commit("second", map[string]string{"a": "2"})
	server := serve(t, s)
	for _, test := range []struct {
		ref  git.Ref
		want string
	}{
		{git.Ref{}, second},
		{git.Ref{Branch: "main"}, second},
		{git.Ref{Branch: "main-2"}, first},
		{git.Ref{Tag: "light"}, first},
		{git.Ref{Tag: "v1"}, first},
		{git.Ref{Tag: "v1-signed"}, first},
	} {
		opts := server.options()
		opts.Ref = test.ref
		if got := head(t, open(t, opts)); got != test.want {
			t.Errorf("Head of %v = %s, want %s", test.ref, got, test.want)
		}
	}
}

func TestACommitIsReturnedWithoutAsking(t *testing.T) {
	server := serve(t, newSource(t))
	opts := server.options()
	opts.Ref.Commit = strings.Repeat("ab", 20)
	if got := head(t, open(t, opts)); got != opts.Ref.Commit {
		t.Errorf("Head = %s", got)
	}
	if len(server.requests) > 0 {
		t.Errorf("the server was asked %q", server.requests)
	}
}

func TestAMissingRefIsNamedAndAnEmptyRepositoryToldApart(t *testing.T) {
	empty, full := newSource(t), newSource(t)
	full.commit("first", nil)
	full.git("branch", "gone")
	for _, version1 := range []bool{false, true} {
		server := serve(t, full)
		server.version1 = version1
		opts := server.options()
		opts.Ref.Branch = "gone"
		r := open(t, opts)
		full.git("branch", "--force", "gone", "main")
		head(t, r)
		full.git("branch", "--delete", "--force", "gone")

		_, err := r.Head(t.Context())
		e := wantReason(t, err, git.RefNotFound)
		if want := "resolve branch gone of " + opts.URL + `: the remote has no branch "gone"`; e.Error() != want {
			t.Errorf("error %q, want %q", e, want)
		}
		if !e.Temporary {
			t.Error("a deleted branch may come back")
		}

		server = serve(t, empty)
		server.version1 = version1
		for _, ref := range []git.Ref{{}, {Branch: "main"}, {Tag: "v1"}} {
			opts := server.options()
			opts.Ref = ref
			_, err = open(t, opts).Head(t.Context())
			wantReason(t, err, git.EmptyRepository)
		}
	}
}

func TestADanglingHeadAsksForABranch(t *testing.T) {
	s := newSource(t)
	s.commit("first", nil)
	s.git("symbolic-ref", "HEAD", "refs/heads/trunk")
	_, err := open(t, serve(t, s).options()).Head(t.Context())
	wantReason(t, err, git.RefNotFound)
}

func TestAFileURLIsReadWithoutAServer(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", map[string]string{"a": "1"})
	r := open(t, git.Options{URL: "file://" + s.dir, AllowHTTP: true})
	if got := head(t, r); got != want {
		t.Errorf("Head = %s, want %s", got, want)
	}
	if got := readFile(t, r, want, "a"); got != "1" {
		t.Errorf("a = %q", got)
	}
	next := s.commit("second", map[string]string{"a": "2"})
	if got := readFile(t, r, next, "a"); got != "2" {
		t.Errorf("a = %q", got)
	}

	s.commit("third", map[string]string{"big": noise(1_000_000)})
	r = open(t, git.Options{URL: "file://" + s.dir, AllowHTTP: true, Limits: git.Limits{PackBytes: 10_000}})
	_, err := r.Tree(t.Context(), head(t, r))
	wantReason(t, err, git.TooLarge)

	_, err = open(t, git.Options{URL: "file:///does/not/exist", AllowHTTP: true}).Head(t.Context())
	wantReason(t, err, git.RepositoryNotFound)
	_, err = open(t, git.Options{URL: "file://" + newSource(t).dir, AllowHTTP: true}).Head(t.Context())
	wantReason(t, err, git.EmptyRepository)
}
