package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	belay, cluster string // the built programs
	apps           []int  // how many Syncs
	configMaps     []int  // how many objects in one Sync
	only           *regexp.Regexp
	short          bool
	steady         time.Duration // how long rest is watched
	interval       time.Duration // source.interval of each Sync
	kubernetes     *string       // is told the API server's version
	tries          int           // of what is done again and again: a change of one app, a drift
	repeats        int           // of floor and belay; 0 is a few where they are short
	inFlight       int           // requests of the floor side by side
	http1          bool          // the floor speaks HTTP/1.1
	profiles       string
	profileSeconds int
	agentArgs      []string
	json, markdown string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// parse reads the command line.
func parse(args []string) (options, error) {
	o := options{only: regexp.MustCompile(""), interval: time.Minute, kubernetes: new(string)}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.belay, "belay", "bin/belay", "the `program` to measure")
	f.StringVar(&o.cluster, "cluster", "bin/belay-cluster", "the `program` that starts a cluster")
	f.Func("n", "`numbers` of Syncs of four objects (default 1,100,500,1000)", numbers(&o.apps))
	f.Func("configmaps", "`numbers` of ConfigMaps in one Sync (default 1000,5000)", numbers(&o.configMaps))
	f.Func("only", "a `regexp` that chooses among the scenarios: "+strings.Join(names(), ", "), func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	f.BoolVar(&o.short, "short", false, "100 Syncs, 500 ConfigMaps, half a minute of rest; fails on counts of requests")
	f.DurationVar(&o.steady, "steady", 3*time.Minute, "how long rest is watched")
	f.IntVar(&o.tries, "tries", 10, "how often one app is changed, and each drift is made")
	f.IntVar(&o.repeats, "repeats", 0, "how often floor and belay are run in turn, each time on a new cluster (default: a few where they are short)")
	f.IntVar(&o.inFlight, "inflight", 32, "how many requests of the floor are under way at a time")
	f.BoolVar(&o.http1, "http1", false, "the floor speaks HTTP/1.1 over kept connections, not HTTP/2")
	f.StringVar(&o.profiles, "profiles", "", "a `folder` for CPU profiles of the agent, one for each step")
	f.IntVar(&o.profileSeconds, "profile-seconds", 15, "how long each is")
	f.Func("agent-arg", "a further `argument` of the agent; may be repeated", func(text string) error {
		o.agentArgs = append(o.agentArgs, text)
		return nil
	})
	f.StringVar(&o.json, "json", "", "write the results to this `file`")
	f.StringVar(&o.markdown, "markdown", "", "write the page to this `file`")
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	if f.NArg() > 0 {
		return options{}, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	return o.withDefaults(), nil
}

func (o options) withDefaults() options {
	apps, configMaps := []int{1, 100, 500, 1000}, []int{1000, 5000}
	if o.short {
		apps, configMaps = []int{100}, []int{500}
		o.interval = 20 * time.Second // so that there is a poll in half a minute of rest
		o.steady, o.tries, o.repeats = min(o.steady, 30*time.Second), min(o.tries, 5), max(o.repeats, 1)
	}
	if o.apps == nil {
		o.apps = apps
	}
	if o.configMaps == nil {
		o.configMaps = configMaps
	}
	return o
}

// numbers reads positive numbers between commas.
func numbers(into *[]int) func(string) error {
	return func(text string) error {
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(word))
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no positive number", word)
			}
			*into = append(*into, n)
		}
		return nil
	}
}
