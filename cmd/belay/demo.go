package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func newDemo() *cobra.Command {
	var program, node string
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start a throwaway cluster and play: deploy, move a tag, break it, revert",
		Long: `Start a throwaway cluster with a Git server and a registry, install belay, and play what it is for: deploy, move the
tag, push a release that crashes, revert. Then stay up, with the addresses and the commands to try, until Ctrl-C.

The cluster is started by the command of e2e/cluster in belay's repository; ` + "`make demo`" + ` builds both.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &demo{out: cmd.OutOrStdout(), started: time.Now()}
			err := d.play(cmd.Context(), program, node)
			if err == nil && !once {
				d.stay(cmd.Context())
			}
			d.stop()
			return err
		},
	}
	cmd.Flags().StringVar(&program, "cluster", besides("belay-cluster"), "the program that starts the cluster")
	cmd.Flags().StringVar(&node, "node", "auto", "real (containers run; needs Linux, root and a few packages), simulated, or auto: real where it can be had")
	cmd.Flags().BoolVar(&once, "once", false, "end after the play")
	return cmd
}

// besides is a program in the directory of this one, or else wherever PATH has it.
func besides(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	if path := filepath.Join(filepath.Dir(self), name); exists(path) {
		return path
	}
	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// demo is a play on a cluster of its own.
type demo struct {
	out     io.Writer
	started time.Time
	stage   stage
	stops   []func() // what to stop at the end, first started last
}

// play starts everything and goes through the steps. Each tells in a line what happened, and how long it took.
func (d *demo) play(ctx context.Context, program, node string) error {
	if err := d.start(ctx, program, node); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"install", d.install},
		{"deploy", d.deploy},
		{"move the tag", d.moveTag},
		{"bad release", d.breakIt},
		{"git revert", d.revert},
	} {
		began := time.Now()
		told, err := step.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		d.say("%-13s %5.1fs  %s", step.name, time.Since(began).Seconds(), told)
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, format+"\n", args...)
}

// stay leaves the cluster up until ctx ends.
func (d *demo) stay(ctx context.Context) {
	s := d.stage
	d.say(`
The cluster stays up until Ctrl-C. In another terminal:

  export KUBECONFIG=%s
  alias kubectl=%s belay=%s
  belay get                                   # what runs, what Git wants
  belay history hello                         # the releases so far
  kubectl get pods -o wide
  git clone %s && cd hello   # change hello.yaml, commit, push, and:
  belay wait hello

Git %s   registry %s`, s.Kubeconfig, s.Kubectl, os.Args[0], s.repository(), s.Git, s.Registry)
	<-ctx.Done()
}

func (d *demo) stop() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
}

// outputOf runs a program and answers its output.
func outputOf(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return string(out), nil
}
