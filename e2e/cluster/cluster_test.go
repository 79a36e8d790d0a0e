package cluster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belay-gitops/belay/e2e/cluster"
)

// command is the path of cmd/cluster, built once. The tests run it as others do.
var command string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "cluster-test-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		command = filepath.Join(dir, "cluster")
		if out, err := exec.Command("go", "build", "-o", command, "./cmd/cluster").CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

// running is a cluster that a test started by the command.
type running struct {
	cluster.Info
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *bytes.Buffer
}

func startCluster(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command(command, append([]string{"start", "--until-stdin-closes"}, args...)...), stderr: new(bytes.Buffer)}
	r.cmd.Stderr = io.MultiWriter(r.stderr, t.Output())
	stdin, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.stdin = stdin
	t.Cleanup(func() { r.stop(t) })
	if err := json.NewDecoder(stdout).Decode(&r.Info); err != nil {
		t.Fatalf("reading the cluster's line: %v", err)
	}
	return r
}

// stop ends the cluster as the death of its parent would, and fails the test if that leaves anything behind.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if r.cmd.ProcessState != nil {
		return
	}
	r.stdin.Close()
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	r.isGone(t)
}

func (r *running) isGone(t *testing.T) {
	t.Helper()
	if r.Dir == "" {
		return
	}
	if _, err := os.Stat(r.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder %s is left: %v", r.Dir, err)
	}
	eventually(t, "no process is left", func() bool { return len(processesOf(t, r.Dir)) == 0 })
}

func (r *running) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(r.Kubectl, append([]string{"--kubeconfig", r.Kubeconfig}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// pushHello pushes the builtin hello and returns its digest.
func (r *running) pushHello(t *testing.T, name, message string, more ...string) string {
	t.Helper()
	args := append([]string{"image", "--registry", r.Registry, "--name", name, "--builtin", "hello", "--message", message}, more...)
	cmd := exec.Command(command, args...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// processesOf returns the numbers of the processes that were called with the folder in an argument, by their
// command line. It finds none where there is no /proc.
func processesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		line, _ := os.ReadFile(file) // the process may have ended
		if bytes.Contains(line, []byte(dir)) {
			found[filepath.Base(filepath.Dir(file))] = string(line)
		}
	}
	return found
}
