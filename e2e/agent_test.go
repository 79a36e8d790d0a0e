package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agentArgs are the arguments that a cluster's agent needs: its services speak plain HTTP.
func agentArgs(c target) []string {
	return []string{"--allow-http", "--insecure-registry=" + c.Registry}
}

// startAgent runs the agent beside the cluster, as a process of this machine, until the test ends. It has to end by
// itself on SIGTERM, within the time that a Pod is given.
func startAgent(t *testing.T, c target, args ...string) {
	t.Helper()
	agent := newAgent(t, c, append(args, "--agent-namespace=default")...)
	t.Cleanup(func() {
		if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("stopping the agent: %v", err)
		}
		stuck := time.AfterFunc(15*time.Second, func() { agent.Process.Kill() })
		defer stuck.Stop()
		if err := agent.Wait(); err != nil {
			t.Errorf("the agent did not end well: %v", err)
		}
	})
}

// newAgent starts an agent process.
func newAgent(t *testing.T, c target, args ...string) *exec.Cmd {
	t.Helper()
	agent := agentCommand(t, c, belayProgram(t), args...)
	launch(t, agent)
	return agent
}

// agentCommand is the command of an agent process of a built belay.
func agentCommand(t *testing.T, c target, program string, args ...string) *exec.Cmd {
	t.Helper()
	args = append(append([]string{"agent", "--kubeconfig", c.Kubeconfig, "--metrics-address=0", "--health-address=0",
		"--cache-dir", t.TempDir()}, agentArgs(c)...), args...)
	return exec.Command(program, args...)
}

// launch starts an agent. The end of its log is shown if the test fails.
func launch(t *testing.T, agent *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	agent.Stderr = &log
	if dir := os.Getenv("E2E_LOGS"); dir != "" {
		name := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".agent.log")
		file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		agent.Stderr = file
	}
	if err := agent.Start(); err != nil {
		t.Fatalf("starting the agent: %v", err)
	}
	t.Cleanup(func() {
		if agent.ProcessState == nil {
			agent.Process.Kill() //nolint:errcheck // it may have ended by itself
			agent.Wait()         //nolint:errcheck // it was killed
		}
		if t.Failed() && log.Len() > 0 {
			t.Logf("the end of the log of agent %d:\n%s", agent.Process.Pid, log.Bytes()[max(0, log.Len()-2<<10):])
		}
	})
}

// installAgent builds the agent's image as the Dockerfile does, a static program alone, pushes it, and installs it the
// way people do.
func installAgent(t *testing.T, c target) {
	t.Helper()
	out, err := exec.Command(c.program, "image", "--registry", c.Registry, "--name", "belay:e2e",
		"--program", belayProgram(t), "--entrypoint", "/belay").Output()
	if err != nil {
		t.Fatalf("making the agent's image: %v", err)
	}
	args := []string{"install", "--image", c.Registry + "/belay@" + strings.TrimSpace(string(out))}
	for _, arg := range agentArgs(c) {
		args = append(args, "--agent-arg="+arg)
	}
	kubectl(t, c, string(belay(t, args...)), "apply", "-f", "-")
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := exec.Command(c.Kubectl, "--kubeconfig", c.Kubeconfig, "logs", "-n", "belay", "deployment/belay", "--tail=200").CombinedOutput()
			t.Logf("the agent's log:\n%s", log)
		}
	})
	kubectl(t, c, "", "rollout", "status", "-n", "belay", "deployment/belay", "--timeout=120s")
}
