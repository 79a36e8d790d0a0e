package cluster

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The user that may read and write repositories below gitRoot/private.
const (
	gitUser     = "belay"
	gitPassword = "rope"
)

// maxPush bounds what is kept in memory of one push.
const maxPush = 256 << 20

// newGitServer serves the bare repositories below root over Git's smart HTTP protocol, to be read and written
// by everyone. It is Git's own server, run for each request.
func newGitServer(root string, log io.Writer) (http.Handler, error) {
	if err := os.MkdirAll(filepath.Join(root, "private"), 0o755); err != nil {
		return nil, fmt.Errorf("making Git root: %w", err)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("finding Git: %w", err)
	}
	backend := &cgi.Handler{
		Path: git,
		Args: []string{"http-backend"},
		Env: append(gitConfig(
			"http.receivepack", "true", // writing is off otherwise, unless the user is known
			"safe.directory", "*", // a test may have made the repository as another user
		), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: log,
	}
	return protect(measured(backend)), nil
}

// gitConfig is the environment that sets these keys and values for one run of Git, over those of its files.
func gitConfig(pairs ...string) []string {
	env := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(pairs)/2)}
	for i := 0; i < len(pairs); i += 2 {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i/2, pairs[i]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i/2, pairs[i+1]))
	}
	return env
}

// protect asks for the password below /private/.
func protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		known := subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(gitUser+":"+gitPassword)) == 1
		if strings.HasPrefix(r.URL.Path, "/private/") && !known {
			w.Header().Set("WWW-Authenticate", `Basic realm="belay-cluster"`)
			http.Error(w, "401 unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// measured gives requests of unknown length one, by reading them: Git sends a push over 1 MiB in chunks, which
// net/http/cgi refuses.
func measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 0 {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
			if err != nil {
				http.Error(w, "reading body: "+err.Error(), http.StatusRequestEntityTooLarge)
				return
			}
			r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		}
		next.ServeHTTP(w, r)
	})
}
