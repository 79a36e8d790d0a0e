package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// script is what belongs to one script.
type script struct {
	target
	namespace  string
	repository string // URL
	clone      string // path
	kubeconfig string // path; names the script's namespace
	api        api
	private    *privateRegistry // nil until the script starts it
	marked     int64            // the end of the audit log at the last mark
	started    time.Time

	markedRequests map[string]map[string]int // what each service had been asked at the last mark, by "METHOD PATH"
}

type scriptKey struct{}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

func newScript(c target, name, dir string) (*script, error) {
	s := &script{
		target:     c,
		namespace:  name,
		repository: c.Git + "/" + name + ".git",
		clone:      filepath.Join(dir, "repo"),
		kubeconfig: filepath.Join(dir, "kubeconfig"),
	}
	text, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if s.api, err = newAPI(c.Kubeconfig); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.kubeconfig, text, 0o600); err != nil {
		return nil, err
	}
	for _, command := range [][]string{
		{"git", "init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(c.GitRoot, name+".git")},
		{"git", "init", "--quiet", "--initial-branch=main", s.clone},
		{"git", "-C", s.clone, "remote", "add", "origin", s.repository},
		{"git", "-C", s.clone, "config", "user.name", "Ana"},
		{"git", "-C", s.clone, "config", "user.email", "ana@example.com"},
		{c.Kubectl, "--kubeconfig", s.kubeconfig, "config", "set-context", "--current", "--namespace=" + name},
		{c.Kubectl, "--kubeconfig", s.kubeconfig, "create", "namespace", name},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	return s, nil
}

// cleanup takes the script's Syncs away, so that the agent has nothing to do for a namespace of the past.
func (s *script) cleanup() {
	exec.Command(s.Kubectl, "--kubeconfig", s.kubeconfig, "delete", "syncs", "--all", "--wait=false").Run() //nolint:errcheck // the cluster goes anyway
}

// git runs git in the script's clone.
func (s *script) git(args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", s.clone}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// commit commits what is in the clone, and pushes it.
func (s *script) commit(t *testing.T, message string) {
	t.Helper()
	for _, args := range [][]string{{"add", "-A"}, {"commit", "--quiet", "-m", message}} {
		if _, err := s.git(args...); err != nil {
			t.Fatal(err)
		}
	}
	s.send(t)
}

// send pushes what is committed.
func (s *script) send(t *testing.T) {
	t.Helper()
	if _, err := s.git("push", "--quiet", "origin", "HEAD:main"); err != nil {
		t.Fatal(err)
	}
}
