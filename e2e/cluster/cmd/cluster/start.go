package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/belay-gitops/belay/e2e/cluster"
)

// start runs a cluster until ctx is done, a part of it dies, or standard input ends if that was asked for.
func start(ctx context.Context, args []string) error {
	flags, o := optionFlags("start")
	flags.IntVar(&o.Nodes, "nodes", 1, "how many `N` simulated nodes")
	flags.StringVar(&o.Dir, "dir", "", "keep the cluster's files in this empty or missing `folder`; by default they are removed at the end")
	until := untilFlag(flags)
	if err := parse(flags, args); err != nil {
		return err
	}
	ctx, cancel := until(ctx)
	defer cancel()
	c, err := cluster.Start(ctx, *o)
	if err != nil {
		return err
	}
	return run(ctx, c, o)
}

// run tells where a cluster is, and stops it when ctx is done or a part of it dies.
func run(ctx context.Context, c *cluster.Cluster, o *cluster.Options) error {
	err := json.NewEncoder(os.Stdout).Encode(c.Info)
	if err == nil {
		select {
		case err = <-c.Died():
		case <-ctx.Done():
		}
	}
	o.Report("stopping")
	return errors.Join(err, c.Stop())
}

// services runs a Git server and a registry alone, for a cluster that somebody else started.
func services(ctx context.Context, args []string) error {
	flags, o := optionFlags("services")
	address := flags.String("address", "127.0.0.1", "listen at this `IP`, by which the cluster's nodes reach this machine")
	until := untilFlag(flags)
	if err := parse(flags, args); err != nil {
		return err
	}
	ctx, cancel := until(ctx)
	defer cancel()
	c, err := cluster.StartServices(*address)
	if err != nil {
		return err
	}
	return run(ctx, c, o)
}

// untilFlag adds the flag that ties this program's life to its input's.
func untilFlag(flags *flag.FlagSet) func(context.Context) (context.Context, context.CancelFunc) {
	closes := flags.Bool("until-stdin-closes", false, "also stop when standard input ends, as it does when the program that started this one dies")
	return func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		if *closes {
			go func() {
				io.Copy(io.Discard, os.Stdin) //nolint:errcheck // an unreadable input has ended, too
				cancel()
			}()
		}
		return ctx, cancel
	}
}

// inside is start's other half, in the namespaces of a real node. It ends when its standard input does.
func inside(ctx context.Context, _ []string) error {
	return cluster.Inside(ctx, os.Stdin, os.Stdout)
}

// optionFlags are the flags that several commands have.
func optionFlags(command string) (*flag.FlagSet, *cluster.Options) {
	flags := flag.NewFlagSet("cluster "+command, flag.ContinueOnError)
	o := &cluster.Options{Node: cluster.Simulated, Report: func(line string) { fmt.Fprintln(os.Stderr, line) }}
	flags.Func("node", "`kind` of node: simulated (default), or real, which needs Linux and root", func(s string) error {
		o.Node = cluster.Node(s)
		if o.Node != cluster.Simulated && o.Node != cluster.Real {
			return fmt.Errorf("it is simulated or real")
		}
		return nil
	})
	flags.StringVar(&o.Source, "source", "", "the module's `folder`; by default where this program was compiled")
	return flags, o
}

// parse reads a command's flags, where nothing else may stand.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("reading arguments: %q is not a flag", flags.Arg(0))
	}
	return nil
}
