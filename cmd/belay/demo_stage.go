package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stage is the cluster of a demo, as the program that starts it describes it.
type stage struct {
	Kubeconfig string `json:"kubeconfig"`
	Server     string `json:"server"`
	Git        string `json:"git"`
	GitRoot    string `json:"gitRoot"`
	Registry   string `json:"registry"`
	Kubectl    string `json:"kubectl"`
	Node       string `json:"node"`

	program string // that started it, and makes images
	dir     string // the demo's own files
}

func (s stage) repository() string { return s.Git + "/hello.git" }

func (s stage) clone() string { return filepath.Join(s.dir, "hello") }

func (s stage) kubectl(ctx context.Context, args ...string) (string, error) {
	return outputOf(ctx, "", s.Kubectl, append([]string{"--kubeconfig", s.Kubeconfig}, args...)...)
}

func (s stage) git(ctx context.Context, args ...string) (string, error) {
	return outputOf(ctx, s.clone(), "git", append([]string{"-c", "user.name=Demo", "-c", "user.email=demo@example.com"}, args...)...)
}

// image makes an image that answers a message, or crashes, and pushes it.
func (s stage) image(ctx context.Context, name, message string, flags ...string) (digest string, err error) {
	out, err := outputOf(ctx, "", s.program, append([]string{"image", "--registry", s.Registry, "--name", name,
		"--builtin", "hello", "--message", message}, flags...)...)
	return strings.TrimSpace(out), err
}

// start starts the cluster and an empty repository.
func (d *demo) start(ctx context.Context, program, node string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("finding the program that starts the cluster: %w; `make demo` in belay's repository builds it", err)
	}
	if node == "auto" {
		node = "real"
		if missing, err := outputOf(ctx, "", program, "check", "--node=real"); err != nil {
			node = "simulated"
			d.say("simulated nodes: nothing runs in the pods, a simulation plays them. A real node needs Linux, root (who gets the\n"+
				"rest with `%s prepare --node=real`) and:\n%s%s", program, missing, problemsOf(err))
		}
	}
	cmd := exec.Command(program, "start", "--node="+node, "--until-stdin-closes")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = prefixed{d}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the cluster: %w", err)
	}
	d.stops = append(d.stops, func() {
		stdin.Close()
		_ = cmd.Wait() // it has said what went wrong, if anything
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return errors.New("the cluster did not start")
	}
	go io.Copy(io.Discard, stdout) //nolint:errcheck // nothing more is expected
	if err := json.Unmarshal(line, &d.stage); err != nil {
		return fmt.Errorf("reading what the cluster says of itself: %w", err)
	}
	d.stage.program = program
	return d.repository(ctx)
}

func (d *demo) repository(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "belay-demo-")
	if err != nil {
		return err
	}
	d.stage.dir = dir
	d.stops = append(d.stops, func() { _ = os.RemoveAll(dir) })
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(d.stage.GitRoot, "hello.git")},
		{"init", "--quiet", "--initial-branch=main", d.stage.clone()},
		{"-C", d.stage.clone(), "remote", "add", "origin", d.stage.repository()},
	} {
		if _, err := outputOf(ctx, dir, "git", args...); err != nil {
			return err
		}
	}
	return nil
}

// install installs belay the way people do, as a Pod, where containers run, and otherwise beside the cluster, as a
// process.
func (d *demo) install(ctx context.Context) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	access := []string{"--allow-http", "--insecure-registry=" + d.stage.Registry}
	if d.stage.Node != "real" {
		return "belay agent runs as a process beside the cluster", d.installBeside(ctx, self, access)
	}
	digest, err := outputOf(ctx, "", d.stage.program, "image", "--registry", d.stage.Registry, "--name", "belay:demo",
		"--program", self, "--entrypoint", "/belay")
	if err != nil {
		return "", err
	}
	args := []string{"install", "--image", d.stage.Registry + "/belay@" + strings.TrimSpace(digest)}
	for _, arg := range access {
		args = append(args, "--agent-arg="+arg)
	}
	if err := d.apply(ctx, self, args...); err != nil {
		return "", err
	}
	_, err = d.stage.kubectl(ctx, "rollout", "status", "--namespace=belay", "deployment/belay", "--timeout=120s")
	return "belay install | kubectl apply -f -", err
}

func (d *demo) installBeside(ctx context.Context, self string, access []string) error {
	if err := d.apply(ctx, self, "install", "--crds-only"); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.stage.dir, "agent.log"))
	if err != nil {
		return err
	}
	agent := exec.Command(self, append([]string{"agent", "--kubeconfig", d.stage.Kubeconfig, "--agent-namespace=default",
		"--metrics-address=0", "--health-address=0", "--cache-dir", d.stage.dir}, access...)...)
	agent.Stderr = log
	if err := agent.Start(); err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	d.stops = append(d.stops, func() {
		_ = agent.Process.Signal(syscall.SIGTERM) // it may have ended already
		_ = agent.Wait()
		log.Close()
	})
	return nil
}

// apply pipes what this program prints into kubectl apply.
func (d *demo) apply(ctx context.Context, self string, args ...string) error {
	text, err := exec.CommandContext(ctx, self, args...).Output()
	if err != nil {
		return fmt.Errorf("belay %s: %w", args[0], err)
	}
	return d.applyText(ctx, string(text))
}

func (d *demo) applyText(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, d.stage.Kubectl, "--kubeconfig", d.stage.Kubeconfig, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w\n%s", err, out)
	}
	return nil
}

// prefixed shows the cluster's progress.
type prefixed struct{ d *demo }

func (p prefixed) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		p.d.say("%-13s %5.1fs  %s", "cluster", time.Since(p.d.started).Seconds(), strings.TrimSpace(line))
	}
	return len(text), nil
}

// problemsOf is the output of a failed command, without the line that names it.
func problemsOf(err error) string {
	_, rest, _ := strings.Cut(err.Error(), "\n")
	return rest
}
