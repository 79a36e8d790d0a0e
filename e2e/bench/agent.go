package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// agent is a running belay.
type agent struct {
	pid     int
	profile string // HOST:PORT of its pprof; empty for none
	command *exec.Cmd
	log     string // path
}

// startAgent starts one, with the rights that it has when it is installed.
func (t *target) startAgent() (*agent, error) {
	dir, err := os.MkdirTemp(t.dir, "agent-")
	if err != nil {
		return nil, err
	}
	a := &agent{log: filepath.Join(dir, "log")}
	log, err := os.Create(a.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{"agent", "--kubeconfig", t.agent, "--leader-elect=false", "--metrics-address=0", "--health-address=0",
		"--cache-dir", dir, "--allow-http"}
	if t.profiles != "" {
		if a.profile, err = freeAddress(); err != nil {
			return nil, err
		}
		args = append(args, "--pprof-address="+a.profile)
	}
	a.command = exec.Command(t.belay, append(args, t.agentArgs...)...)
	a.command.Stderr = log
	// The end of this process, however it comes, is the agent's end; a Ctrl-C is not for it.
	a.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := a.command.Start(); err != nil {
		return nil, fmt.Errorf("starting the agent (make build): %w", err)
	}
	a.pid = a.command.Process.Pid
	return a, nil
}

// stop ends the agent, which has to do that by itself.
func (a *agent) stop() error {
	if err := a.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the agent has ended before its time: %w: %s", err, a.end())
	}
	stuck := time.AfterFunc(20*time.Second, func() { a.command.Process.Kill() })
	defer stuck.Stop()
	if err := a.command.Wait(); err != nil {
		return fmt.Errorf("the agent did not end well: %w: %s", err, a.end())
	}
	return nil
}

// end is the end of the agent's log.
func (a *agent) end() []byte {
	text, _ := os.ReadFile(a.log)
	return text[max(0, len(text)-2000):]
}

// profiled has the agent's CPU profile from now on written to a file of that name, and waits for that when it is called
// back. Rest costs no sample, so that the profile may go on after what it is for.
func (t *target) profiled(ctx context.Context, a *agent, name string) (wait func() error) {
	if t.profiles == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- t.profile(ctx, a, name) }()
	return func() error { return <-done }
}

func (t *target) profile(ctx context.Context, a *agent, name string) error {
	request, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", a.profile, t.profileSeconds), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	for range 500 { // an agent that has just been started does not listen yet
		if err == nil {
			break
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		answer, err = http.DefaultClient.Do(request)
	}
	if err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	defer answer.Body.Close()
	file, err := os.Create(filepath.Join(t.profiles, name+".cpu"))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, answer.Body)
	return err
}

// freeAddress is one of this machine that nobody listens at.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
