package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mirror is a registry that has small images under the names of others, for an agent that is told so in its folder of
// containerd's kind.
type mirror struct {
	c      target
	pushed map[string]string // digests, by names
}

// mirrored pushes the application's images.
func (a *realApp) mirrored(t *testing.T, m *mirror) {
	t.Helper()
	a.digests = map[string]string{}
	for _, image := range a.images {
		if !strings.Contains(image, "@") {
			a.digests[image] = m.push(t, image)
		}
	}
}

// push makes an image of its own for a name with a tag, once, and answers its digest.
func (m *mirror) push(t *testing.T, name string) (digest string) {
	t.Helper()
	if known, ok := m.pushed[name]; ok {
		return known
	}
	host, path, found := strings.Cut(name, "/")
	if !found || !strings.ContainsAny(host, ".:") {
		host, path = "docker.io", name
		if !found {
			path = "library/" + name
		}
	}
	m.declare(t, host)
	out, err := exec.Command(m.c.program, "image", "--registry", m.c.Registry, "--name", path, "--builtin", "pause", "--env", "NAME="+name).Output()
	if err != nil {
		t.Fatalf("making an image for %s: %v", name, err)
	}
	m.pushed[name] = strings.TrimSpace(string(out))
	return m.pushed[name]
}

// declare says where a registry's images are to be had, and that nobody answers where they belong.
func (m *mirror) declare(t *testing.T, host string) {
	t.Helper()
	dir := filepath.Join(m.c.certsD, host)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("server = \"https://%s.invalid\"\n[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\n", host, "http://"+m.c.Registry)
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
