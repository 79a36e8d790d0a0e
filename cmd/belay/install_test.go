package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests/install"
)

func TestTheAgentIsGivenFilesOfThisMachine(t *testing.T) {
	dir := t.TempDir()
	for _, host := range []string{"docker.io", "registry.local:5000"} {
		if err := os.MkdirAll(filepath.Join(dir, host), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, host, "hosts.toml"), []byte(host), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options := install.Options{Args: []string{"--allow-http"}, DockerConfigSecret: "registries"}
	paths := fileOf(t, "- {kind: Db, path: spec.image}")
	if err := (installFiles{hostsDir: dir, imagePaths: paths}).addTo(&options); err != nil {
		t.Fatal(err)
	}
	want := install.Options{
		Args: []string{"--allow-http", "--registry-hosts-dir=/etc/belay/files/certs.d", "--image-paths=/etc/belay/files/image-paths.yaml",
			"--docker-config=/etc/belay/docker/config.json"},
		Files: []install.File{{Path: "certs.d/docker.io/hosts.toml", Content: []byte("docker.io")},
			{Path: "certs.d/registry.local:5000/hosts.toml", Content: []byte("registry.local:5000")},
			{Path: "image-paths.yaml", Content: []byte("- {kind: Db, path: spec.image}")}},
		DockerConfigSecret: "registries",
	}
	if diff := cmp.Diff(want, options); diff != "" {
		t.Error(diff)
	}
}

func TestAFolderOfHostsMayBeASymbolicLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "certs.d")
	if err := os.Symlink(filepath.Dir(fileOf(t, "x")), link); err != nil {
		t.Fatal(err)
	}
	var options install.Options
	if err := (installFiles{hostsDir: link}).addTo(&options); err != nil || len(options.Files) != 1 {
		t.Errorf("got %v, %v", options.Files, err)
	}
}

func TestWhatIsOfNoUseToTheAgentIsNotInstalled(t *testing.T) {
	for _, test := range []struct {
		name  string
		files installFiles
		want  string
	}{
		{"a directory that is not there", installFiles{hostsDir: "/nowhere"}, "reading --registry-hosts-dir: "},
		{"one without files", installFiles{hostsDir: t.TempDir()}, "there is no file in it"},
		{"paths that are none", installFiles{imagePaths: fileOf(t, "- {kind: Db}")}, "entry 1: images of Db: "},
	} {
		if err := test.files.addTo(&install.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// The agent knows the flags that install gives it.
func TestTheAgentKnowsWhatItIsGiven(t *testing.T) {
	var options install.Options
	options.DockerConfigSecret = "registries"
	if err := (installFiles{hostsDir: filepath.Dir(fileOf(t, "x")), imagePaths: fileOf(t, "[]")}).addTo(&options); err != nil {
		t.Fatal(err)
	}
	root := newRoot()
	agent, _, err := root.Find([]string{"agent"})
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.ParseFlags(options.Args); err != nil {
		t.Error(err)
	}
}
