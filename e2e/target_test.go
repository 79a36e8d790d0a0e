package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	gosync "sync"
	"testing"
)

// target is a cluster to test on, as `cluster start` describes it.
type target struct {
	Kubeconfig string `json:"kubeconfig"`
	Git        string `json:"git"`
	GitRoot    string `json:"gitRoot"`
	Registry   string `json:"registry"`
	Control    string `json:"control"`
	AuditLog   string `json:"auditLog"` // empty where there is none to read
	Kubectl    string `json:"kubectl"`
	Node       string `json:"node"`
	program    string // the cluster command, for making images

	// Paths that the agent is told of, where it is: a folder such as containerd's certs.d, and a Docker config.
	certsD, dockerConfig string
}

// startCluster starts a cluster that ends with the test, or takes the one that E2E_CLUSTER names. Tests on a real node
// are skipped where there can be none, with what is missing; so are those that need a cluster with arguments of its own.
func startCluster(t *testing.T, node string, args ...string) target {
	t.Helper()
	program := clusterProgram(t)
	if os.Getenv("E2E_CLUSTER") != "" {
		if len(args) > 0 {
			t.Skipf("this needs a cluster of its own, with %s", strings.Join(args, " "))
		}
		return otherCluster(t, program, node)
	}
	if node == "real" {
		if out, err := exec.Command(program, "check", "--node=real").CombinedOutput(); err != nil {
			t.Skipf("no real node here; `make test` as root installs what it needs:\n%s", out)
		}
	}
	return started(t, program, append([]string{"start", "--node=" + node, "--until-stdin-closes"}, args...)...)
}

// startSimulated starts a cluster of simulated nodes that knows Syncs.
func startSimulated(t *testing.T, args ...string) target {
	t.Helper()
	c := startCluster(t, "simulated", args...)
	kubectl(t, c, string(belay(t, "install", "--crds-only")), "apply", "-f", "-")
	return c
}

// otherCluster is a cluster that somebody else started, as E2E_CLUSTER says: see README.md.
func otherCluster(t *testing.T, program, node string) target {
	t.Helper()
	which := os.Getenv("E2E_CLUSTER")
	if text, err := os.ReadFile(which); err == nil {
		c := target{program: program}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatalf("reading E2E_CLUSTER=%s: %v", which, err)
		}
		if c.Node != node {
			t.Skipf("E2E_CLUSTER names a cluster with %s nodes; this needs %s ones", c.Node, node)
		}
		return c
	}
	if node != "real" {
		t.Skip("pods run on the cluster of KUBECONFIG; this needs simulated nodes")
	}
	address := os.Getenv("E2E_ADDRESS")
	if which == "kind" && address == "" {
		address = strings.TrimSpace(output(t, "docker", "network", "inspect", "kind", "--format", "{{range .IPAM.Config}}{{.Gateway}}\n{{end}}"))
		address, _, _ = strings.Cut(address, "\n")
	}
	if address == "" {
		t.Fatal("E2E_ADDRESS is not set: this machine's address as the cluster's nodes reach it")
	}
	c := started(t, program, "services", "--address="+address, "--until-stdin-closes")
	c.Kubeconfig, c.Kubectl, c.Node = os.Getenv("KUBECONFIG"), "kubectl", "real"
	if which == "kind" {
		c.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
		output(t, "kind", "export", "kubeconfig", "--kubeconfig", c.Kubeconfig)
		allowPlainHTTP(t, c.Registry)
	}
	return c
}

// allowPlainHTTP has the nodes of a kind cluster pull from a registry without TLS.
func allowPlainHTTP(t *testing.T, registry string) {
	t.Helper()
	for _, node := range strings.Fields(output(t, "kind", "get", "nodes")) {
		dir := "/etc/containerd/certs.d/" + registry
		output(t, "docker", "exec", node, "sh", "-c", fmt.Sprintf("mkdir -p %s && echo '[host.\"http://%s\"]' > %s/hosts.toml", dir, registry, dir))
	}
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", program, strings.Join(args, " "), err)
	}
	return string(out)
}

// started runs a command of the cluster program that prints a target and goes on until its input ends.
func started(t *testing.T, program string, args ...string) target {
	t.Helper()
	cmd := exec.Command(program, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = logWriter{t.Name() + " cluster"}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the cluster: %v", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the cluster did not stop cleanly: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the cluster did not start: %v", err)
	}
	go io.Copy(io.Discard, stdout) //nolint:errcheck // nothing more is expected
	c := target{program: program}
	if err := json.Unmarshal(line, &c); err != nil {
		t.Fatalf("reading what the cluster says of itself: %v", err)
	}
	return c
}

// programs is the folder of what the tests build.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "belay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// built makes a program once for all tests, under a name.
func built(name, dir, pkg string, args ...string) func() (string, error) {
	return gosync.OnceValues(func() (string, error) {
		out := filepath.Join(programs, name)
		cmd := exec.Command("go", append(append([]string{"build", "-o", out}, args...), pkg)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build %s: %v\n%s", pkg, err, text)
		}
		return out, nil
	})
}

var (
	clusterBuilt   = built("cluster", "cluster", "./cmd/cluster")
	belayBuilt     = built("belay", "..", "./cmd/belay", "-trimpath", "-ldflags=-s -w")
	failpointBuilt = built("belay-failpoint", "..", "./cmd/belay", "-trimpath", "-ldflags=-s -w", "-tags=failpoint")
)

func clusterProgram(t *testing.T) string { return must(t, clusterBuilt) }

func belayProgram(t *testing.T) string { return must(t, belayBuilt) }

func must(t *testing.T, build func() (string, error)) string {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// belay runs the built binary without a cluster.
func belay(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(belayProgram(t), args...).Output()
	if err != nil {
		t.Fatalf("belay %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// kubectl runs kubectl as the cluster's administrator.
func kubectl(t *testing.T, c target, stdin string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(c.Kubectl, append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// logWriter shows what a background program says as it happens: t.Log would keep it until the end.
type logWriter struct{ who string }

func (w logWriter) Write(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		fmt.Fprintf(os.Stderr, "[%s] %s", w.who, line)
	}
	return len(text), nil
}
