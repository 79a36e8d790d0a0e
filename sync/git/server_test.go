package git_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	gosync "sync"
	"testing"

	"github.com/belay-gitops/belay/sync/git"
)

// A source is a repository made with the git binary.
type source struct {
	t   *testing.T
	dir string
}

func newSource(t *testing.T) source {
	t.Helper()
	s := source{t, filepath.Join(t.TempDir(), "shop.git")}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.git("init", "--quiet", "--initial-branch=main", ".")
	s.git("config", "gc.auto", "0")
	s.git("config", "core.fsync", "none")
	return s
}

// git runs one command in the repository, and returns what it prints.
func (s source) git(args ...string) string {
	s.t.Helper()
	return s.pipe("", args...)
}

func (s source) pipe(stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = s.dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), gitEnv...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

var gitEnv = []string{
	"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
	"GIT_AUTHOR_NAME=Ana", "GIT_AUTHOR_EMAIL=ana@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
	"GIT_COMMITTER_NAME=Ana", "GIT_COMMITTER_EMAIL=ana@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
}

// commit writes name=content pairs, and returns the new commit's hash.
func (s source) commit(message string, files map[string]string) string {
	s.t.Helper()
	for name, content := range files {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	s.git("add", "--all")
	s.git("commit", "--quiet", "--allow-empty", "--message", message)
	return s.git("rev-parse", "HEAD")
}

// A server is the real `git http-backend`, and counts what it is asked.
type server struct {
	*httptest.Server
	version1 bool // knows no protocol version 2
	user     string
	password string

	mu          gosync.Mutex // of what it counts
	requests    []string
	connections map[string]bool // by the client's address
	received    int64           // bytes of requests
	sent        int64           // bytes of answers
}

func serve(t *testing.T, s source) *server {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	server := &server{connections: map[string]bool{}}
	backend := &cgi.Handler{
		Path: path,
		Args: []string{"http-backend"},
		Env: append([]string{
			"GIT_PROJECT_ROOT=" + filepath.Dir(s.dir), "GIT_HTTP_EXPORT_ALL=1",
		}, gitEnv...),
		Stderr: io.Discard,
	}
	server.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		server.mu.Lock()
		server.requests = append(server.requests, req.Method+" "+req.URL.Path)
		server.connections[req.RemoteAddr] = true
		server.received += max(req.ContentLength, 0)
		server.mu.Unlock()
		if user, password, _ := req.BasicAuth(); user != server.user || password != server.password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler := *backend
		if version := req.Header.Get("Git-Protocol"); version != "" && !server.version1 {
			handler.Env = append(handler.Env[:len(handler.Env):len(handler.Env)], "GIT_PROTOCOL="+version)
		}
		handler.ServeHTTP(&countingWriter{w, server}, req)
	}))
	t.Cleanup(server.Close)
	return server
}

type countingWriter struct {
	http.ResponseWriter
	*server
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.sent += int64(len(p))
	w.mu.Unlock()
	return w.ResponseWriter.Write(p)
}

func (s *server) reset() { s.requests, s.received, s.sent = nil, 0, 0 }

// options read the served repository's HEAD.
func (s *server) options() git.Options {
	return git.Options{URL: s.URL + "/shop.git/.git", AllowHTTP: true}
}

func open(t *testing.T, opts git.Options) *git.Repository {
	t.Helper()
	r, err := git.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantReason checks that err is an Error of that reason, and returns it.
func wantReason(t *testing.T, err error, reason git.Reason) *git.Error {
	t.Helper()
	e, ok := asError(err)
	if !ok || e.Reason != reason {
		t.Fatalf("got error %v, want one with reason %s", err, reason)
	}
	return e
}
