package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// target is a running cluster, as belay-cluster describes it, that knows Syncs, and has an account for belay and one for the
// floor.
type target struct {
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
	Git        string `json:"git"`
	GitRoot    string `json:"gitRoot"`
	AuditLog   string `json:"auditLog"`
	Kubectl    string `json:"kubectl"`
	Control    string `json:"control"`
	Dir        string `json:"dir"`

	options
	dir     string // for files of our own
	command *exec.Cmd
	stdin   io.Closer
	admin   *api
	floor   *api
	agent   string // path of belay's kubeconfig
	git     *gitProxy
	syncs   *watcher
}

// namespace is where the accounts are.
const namespace = "bench"

// startTarget starts a cluster. It ends with stop, or when this process does.
func startTarget(ctx context.Context, o options) (*target, error) {
	dir, err := os.MkdirTemp("", "belay-bench-")
	if err != nil {
		return nil, err
	}
	t := &target{options: o, dir: dir}
	if err := t.start(ctx); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

func (t *target) start(ctx context.Context) error {
	t.command = exec.Command(t.cluster, "start", "--until-stdin-closes")
	// A Ctrl-C is for this process, which needs the cluster until it has stopped the agent.
	t.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := t.command.StdinPipe()
	if err != nil {
		return err
	}
	t.stdin = stdin
	stdout, err := t.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := t.command.Start(); err != nil {
		return fmt.Errorf("starting the cluster (make build): %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the cluster did not start; see `%s start`: %w", t.cluster, err)
	}
	if err := json.Unmarshal(line, t); err != nil {
		return fmt.Errorf("reading what the cluster says of itself: %w", err)
	}
	return t.prepare(ctx)
}

// prepare makes the kind Sync, the accounts and their flow schemas.
func (t *target) prepare(ctx context.Context) error {
	crds, err := exec.CommandContext(ctx, t.belay, "install", "--crds-only").Output()
	if err != nil {
		return fmt.Errorf("belay install (make build): %w", err)
	}
	apply := exec.CommandContext(ctx, t.Kubectl, "--kubeconfig", t.Kubeconfig, "apply", "-f", "-")
	apply.Stdin = bytes.NewReader(crds)
	if out, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("installing the kind Sync: %w: %s", err, out)
	}
	if t.admin, err = adminOf(t.Kubeconfig); err != nil {
		return err
	}
	var version struct{ GitVersion string }
	if err := t.admin.get(ctx, "/version", &version); err != nil {
		return err
	}
	*t.kubernetes = version.GitVersion
	if err := t.admin.create(ctx, "/api/v1/namespaces", `{"metadata":{"name":"`+namespace+`"}}`); err != nil {
		return err
	}
	tokens := map[string]string{}
	for _, account := range []string{"belay", "floor"} {
		if tokens[account], err = t.account(ctx, account); err != nil {
			return err
		}
	}
	t.floor = t.admin.as(tokens["floor"], t.http1, t.inFlight)
	t.agent = filepath.Join(t.dir, "kubeconfig")
	if err := t.admin.writeKubeconfig(t.agent, tokens["belay"]); err != nil {
		return err
	}
	if t.git, err = newGitProxy(strings.TrimPrefix(t.Git, "http://")); err != nil {
		return err
	}
	if err := t.served(ctx); err != nil {
		return err
	}
	t.syncs = watchSyncs(ctx, t.admin)
	return nil
}

// served waits until the API server serves Syncs.
func (t *target) served(ctx context.Context) error {
	var err error
	for range 600 {
		if _, err = t.admin.do(ctx, "GET", "/apis/belay.dev/v1alpha1/syncs", "", nil); err == nil {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("waiting for the kind Sync: %w", err)
}

// account makes a service account with all rights, as belay's has when it is installed, and its flow schemas. It answers
// the account's token.
func (t *target) account(ctx context.Context, name string) (token string, err error) {
	if err := t.admin.create(ctx, "/api/v1/namespaces/"+namespace+"/serviceaccounts", `{"metadata":{"name":"`+name+`"}}`); err != nil {
		return "", err
	}
	err = t.admin.create(ctx, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", fmt.Sprintf(`{"metadata":{"name":"bench-%s"},
		"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},
		"subjects":[{"kind":"ServiceAccount","name":%[1]q,"namespace":%q}]}`, name, namespace))
	if err != nil {
		return "", err
	}
	answer, err := t.admin.do(ctx, "POST", "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+name+"/token", jsonType,
		[]byte(`{"spec":{"expirationSeconds":86400}}`))
	if err != nil {
		return "", err
	}
	var request struct{ Status struct{ Token string } }
	if err := json.Unmarshal(answer, &request); err != nil {
		return "", err
	}
	return request.Status.Token, t.makeFlows(ctx, name, request.Status.Token)
}

// stop ends the cluster.
func (t *target) stop() {
	if t.syncs != nil {
		t.syncs.stop()
	}
	if t.git != nil {
		t.git.stop()
	}
	if t.stdin != nil {
		t.stdin.Close()
	}
	if t.command != nil && t.command.Process != nil {
		t.command.Wait() //nolint:errcheck // what it was for is over
	}
	os.RemoveAll(t.dir)
}
