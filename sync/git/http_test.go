package git_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belay-gitops/belay/sync/git"
)

// answer opens a repository whose server answers so.
func answer(t *testing.T, handler http.HandlerFunc) *git.Repository {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return open(t, git.Options{URL: server.URL + "/repo", AllowHTTP: true, Auth: git.Auth{Username: "ana", Password: "hunter2"}})
}

func TestCredentialsOpenTheDoorOrAreToldApart(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", map[string]string{"a": "1"})
	server := serve(t, s)
	server.user, server.password = "ana", "hunter2"
	opts := server.options()

	_, err := open(t, opts).Head(t.Context())
	if e := wantReason(t, err, git.AuthenticationFailed); !strings.Contains(e.Error(), "none are set") {
		t.Errorf("error %q", e)
	}
	opts.Auth = git.Auth{Username: "ana", Password: "wrong"}
	_, err = open(t, opts).Head(t.Context())
	e := wantReason(t, err, git.AuthenticationFailed)
	if strings.Contains(e.Error(), "wrong") || e.RetryAfter != time.Minute {
		t.Errorf("error %q, retry after %v", e, e.RetryAfter)
	}
	opts.Auth.Password = "hunter2"
	r := open(t, opts)
	if got := head(t, r); got != want {
		t.Errorf("Head = %s, want %s", got, want)
	}
	readFile(t, r, want, "a")
}

func TestABearerTokenIsSent(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		got = req.Header.Get("Authorization")
	}))
	defer server.Close()
	r := open(t, git.Options{URL: server.URL, AllowHTTP: true, Auth: git.Auth{BearerToken: "t0ken"}})
	_, _ = r.Head(t.Context())
	if got != "Bearer t0ken" {
		t.Errorf("Authorization: %q", got)
	}
}

func TestARedirectToAnotherHostIsRefusedBeforeItHearsAnything(t *testing.T) {
	var heard []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		heard = append(heard, req.Header.Get("Authorization"))
	}))
	defer other.Close()
	r := answer(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.URL+req.URL.Path, http.StatusMovedPermanently)
	})
	_, err := r.Head(t.Context())
	e := wantReason(t, err, git.Redirected)
	if len(heard) > 0 {
		t.Errorf("the other host heard %q", heard)
	}
	if !strings.Contains(e.Error(), other.URL) {
		t.Errorf("error %q does not say where to", e)
	}
}

func TestARedirectOnTheSameHostIsFollowedOnce(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", map[string]string{"a": "1"})
	server := serve(t, s)
	backend := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if rest, ok := strings.CutPrefix(req.URL.Path, "/old"); ok {
			http.Redirect(w, req, "/shop.git/.git"+rest+"?"+req.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		backend.ServeHTTP(w, req)
	})
	opts := server.options()
	opts.URL = server.URL + "/old"
	r := open(t, opts)
	readFile(t, r, want, "a")
	server.reset()
	if got := head(t, r); got != want || len(server.requests) != 1 {
		t.Errorf("Head = %s, want %s; requests %q", got, want, server.requests)
	}
}

func TestARedirectThatMovesOnIsFollowedAnew(t *testing.T) {
	s := newSource(t)
	want := s.commit("first", map[string]string{"a": "1"})
	server := serve(t, s)
	backend, alias := server.Config.Handler, "/one"
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if rest, ok := strings.CutPrefix(req.URL.Path, "/old"); ok {
			http.Redirect(w, req, alias+rest+"?"+req.URL.RawQuery, http.StatusFound)
			return
		}
		rest, ok := strings.CutPrefix(req.URL.Path, alias)
		if !ok {
			http.NotFound(w, req)
			return
		}
		req.URL.Path = "/shop.git/.git" + rest
		backend.ServeHTTP(w, req)
	})
	opts := server.options()
	opts.URL = server.URL + "/old"
	r := open(t, opts)
	head(t, r)
	alias = "/two" // and /one is gone
	if got := head(t, r); got != want {
		t.Errorf("Head = %s, want %s", got, want)
	}
}

func TestAnErrorsBodyIsNeitherReadNorShown(t *testing.T) {
	written := make(chan int, 1)
	r := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		total := 0
		for range 50 << 10 {
			n, err := io.WriteString(w, strings.Repeat("hunter2 ", 128))
			total += n
			if err != nil {
				break
			}
		}
		written <- total
	})
	_, err := r.Head(t.Context())
	e := wantReason(t, err, git.AuthenticationFailed)
	if strings.Contains(e.Error(), "hunter2") {
		t.Errorf("the error shows what the server says")
	}
	if total := <-written; total >= 50<<20 {
		t.Error("the whole body was read")
	}
}

func TestAStatusBecomesAReason(t *testing.T) {
	for _, test := range []struct {
		status     int
		retryAfter string
		reason     git.Reason
		want       time.Duration
	}{
		{401, "", git.AuthenticationFailed, time.Minute},
		{403, "", git.PermissionDenied, time.Minute},
		{403, "120", git.RateLimited, 2 * time.Minute},
		{404, "", git.RepositoryNotFound, 0},
		{418, "", git.InvalidResponse, 0},
		{429, "30", git.RateLimited, 30 * time.Second},
		{429, "86400", git.RateLimited, time.Hour},
		{429, "-1", git.RateLimited, 0},
		{503, "Fri, 31 Dec 9999 23:59:59 GMT", git.RemoteUnavailable, time.Hour},
		{503, "Fri, 31 Dec 1999 23:59:59 GMT", git.RemoteUnavailable, 0},
		{500, "", git.RemoteUnavailable, 0},
		{200, "", git.InvalidResponse, 0},
	} {
		r := answer(t, func(w http.ResponseWriter, _ *http.Request) {
			if test.retryAfter != "" {
				w.Header().Set("Retry-After", test.retryAfter)
			}
			w.WriteHeader(test.status)
			fmt.Fprint(w, "<h1>hunter2</h1>")
		})
		_, err := r.Head(t.Context())
		e := wantReason(t, err, test.reason)
		if e.RetryAfter != test.want || !e.Temporary || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("HTTP %d, Retry-After %q: %v, temporary %t, retry after %v", test.status, test.retryAfter, e, e.Temporary, e.RetryAfter)
		}
	}
}

func TestASlowServerMeetsTheTimeout(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"says nothing": func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
		"drips": func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			fmt.Fprint(w, "001e# service=git-upload-pack\n")
			w.(http.Flusher).Flush()
			<-req.Context().Done()
		},
	} {
		server := httptest.NewServer(handler)
		defer server.Close()
		r := open(t, git.Options{URL: server.URL, AllowHTTP: true, Limits: git.Limits{Timeout: 50 * time.Millisecond}})
		_, err := r.Head(t.Context())
		if e := wantReason(t, err, git.Timeout); !e.Temporary {
			t.Errorf("%s: not temporary", name)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.Head(ctx)
		wantReason(t, err, git.Canceled)
	}
}

func TestAServerThatIsNotThereIsToldWithoutItsAddress(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	_, err := open(t, git.Options{URL: server.URL, AllowHTTP: true}).Head(t.Context())
	e := wantReason(t, err, git.RemoteUnavailable)
	if want := "resolve HEAD of " + server.URL + ": the connection: connection refused"; e.Error() != want {
		t.Errorf("error %q, want %q", e, want)
	}
}

func TestACertificateThatIsNotTrustedIsTold(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	server.Config.ErrorLog = nil
	_, err := open(t, git.Options{URL: server.URL}).Head(t.Context())
	if e := wantReason(t, err, git.RemoteUnavailable); !strings.Contains(e.Error(), "not trusted") {
		t.Errorf("error %q", e)
	}
}

func TestNonsenseFromAServerIsNotShown(t *testing.T) {
	for _, nonsense := range []string{
		"", "0000", "hunter2", "0005x", "000eversion 2\n0000",
		"001e# service=git-upload-pack\n0000", "0013ERR hunter2 hun",
	} {
		r := answer(t, func(w http.ResponseWriter, req *http.Request) {
			kind := "advertisement"
			if req.Method == http.MethodPost {
				kind = "result"
			}
			w.Header().Set("Content-Type", "application/x-git-upload-pack-"+kind)
			fmt.Fprint(w, nonsense)
		})
		_, err := r.Head(t.Context())
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %v", nonsense, err)
		}
		_, err = r.Commit(t.Context(), strings.Repeat("ab", 20))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %v", nonsense, err)
		}
	}
}

func TestAPackCutShortIsNotKept(t *testing.T) {
	for name, dir := range caches(t) {
		s := newSource(t)
		commit := s.commit("first", map[string]string{"a": noise(50_000)})
		server := serve(t, s)
		backend, cut := server.Config.Handler, true
		server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if cut && req.Method == http.MethodPost {
				w = &cutWriter{w, 30_000}
			}
			backend.ServeHTTP(w, req)
		})
		opts := server.options()
		opts.CacheDir = dir
		r := open(t, opts)
		_, err := r.Tree(t.Context(), commit)
		if e, ok := asError(err); !ok || !e.Temporary {
			t.Errorf("%s: error %v", name, err)
		}
		cut = false
		if got := readFile(t, r, commit, "a"); got != noise(50_000) {
			t.Errorf("%s: a is damaged", name)
		}
	}
}

// cutWriter swallows what comes after left bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	_, err := w.ResponseWriter.Write(p[:n])
	return len(p), err
}

// The refs come at once, the pack byte by byte.
func TestATransferThatTricklesIsEnded(t *testing.T) {
	s := newSource(t)
	commit := s.commit("first", map[string]string{"a": noise(20_000)})
	server := serve(t, s)
	backend := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		backend.ServeHTTP(&trickle{w, req}, req)
	})
	opts := server.options()
	opts.Limits.Timeout = 300 * time.Millisecond
	_, err := open(t, opts).Tree(t.Context(), commit)
	if e := wantReason(t, err, git.Timeout); !e.Temporary || !strings.Contains(e.Detail, "less than 1048576 bytes") {
		t.Errorf("got %v", e)
	}
}

// trickle writes two bytes at a time, each after a while, until the client has gone.
type trickle struct {
	http.ResponseWriter
	req *http.Request
}

func (t *trickle) Write(b []byte) (int, error) {
	for i := 0; i < len(b); i += 2 {
		select {
		case <-t.req.Context().Done():
			return i, t.req.Context().Err()
		case <-time.After(10 * time.Millisecond):
		}
		if _, err := t.ResponseWriter.Write(b[i:min(i+2, len(b))]); err != nil {
			return i, err
		}
		http.NewResponseController(t.ResponseWriter).Flush() //nolint:errcheck // a client that has gone
	}
	return len(b), nil
}
