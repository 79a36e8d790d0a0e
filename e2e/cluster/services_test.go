package cluster_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func git(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustGit(t *testing.T, args ...string) string {
	t.Helper()
	out, err := git(t, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func post(t *testing.T, url string) {
	t.Helper()
	resp, err := http.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s", url, resp.Status)
	}
}

func requests(t *testing.T, url string) map[string]int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var counts struct{ Requests map[string]int }
	if err := json.NewDecoder(resp.Body).Decode(&counts); err != nil {
		t.Fatal(err)
	}
	return counts.Requests
}

// commit makes a repository with one commit of a file that does not compress.
func commit(t *testing.T, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	content := make([]byte, size)
	rand.Read(content) //nolint:errcheck // it never fails
	if err := os.WriteFile(filepath.Join(dir, "file"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	mustGit(t, "-C", dir, "init", "--quiet")
	mustGit(t, "-C", dir, "add", "file")
	mustGit(t, "-C", dir, "commit", "--quiet", "--message=one")
	return dir
}

func TestWhatIsPushedToGitCanBeClonedAndOutagesArePlayed(t *testing.T) {
	r := startCluster(t)
	mustGit(t, "init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(r.GitRoot, "app.git"))
	dir, clone := commit(t, 3<<20), t.TempDir()
	mustGit(t, "-C", dir, "push", "--quiet", r.Git+"/app.git", "HEAD:main")
	mustGit(t, "clone", "--quiet", r.Git+"/app.git", clone)
	if diff := cmp.Diff(mustGit(t, "-C", dir, "rev-parse", "HEAD"), mustGit(t, "-C", clone, "rev-parse", "HEAD")); diff != "" {
		t.Errorf("HEAD (-pushed +cloned):\n%s", diff)
	}
	if requests(t, r.Control+"/git/requests")["POST /app.git/git-receive-pack"] == 0 {
		t.Error("the push was not counted")
	}

	post(t, r.Control+"/git/down")
	if out, err := git(t, "-C", clone, "fetch"); err == nil {
		t.Errorf("fetching during an outage: no error\n%s", out)
	}
	post(t, r.Control+"/git/up")
	mustGit(t, "-C", clone, "fetch")
}

func TestPrivateRepositoriesNeedThePassword(t *testing.T) {
	r := startCluster(t)
	mustGit(t, "init", "--quiet", "--bare", filepath.Join(r.GitRoot, "private", "app.git"))
	url := r.Git + "/private/app.git"
	if _, err := git(t, "ls-remote", url); err == nil {
		t.Error("reading without a password: no error")
	}
	mustGit(t, "ls-remote", strings.Replace(url, "http://", "http://belay:rope@", 1))
}

func TestImagesHaveADigestForEachContent(t *testing.T) {
	r := startCluster(t)
	v1, again, v2 := r.pushHello(t, "hello:v1", "v1"), r.pushHello(t, "hello:again", "v1"), r.pushHello(t, "hello:v2", "v2")
	if v1 != again || v1 == v2 {
		t.Errorf("digests of v1, v1 and v2: %s, %s, %s", v1, again, v2)
	}
	if crash := r.pushHello(t, "hello:crash", "v1", "--crash"); crash == v1 {
		t.Error("crashing and working images have the same digest")
	}
	url := "http://" + r.Registry + "/v2/hello/manifests/v1"
	resp, err := http.Head(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if diff := cmp.Diff(v1, resp.Header.Get("Docker-Content-Digest")); diff != "" {
		t.Errorf("digest (-printed +registry's):\n%s", diff)
	}
	post(t, r.Control+"/registry/down")
	if resp, err := http.Head(url); err == nil {
		t.Errorf("HEAD during an outage: %s", resp.Status)
	}
}
