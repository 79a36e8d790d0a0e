package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// soon is how long a small thing may take before it is given up.
const soon = 2 * time.Minute

// scenario is a group of steps that share a cluster.
type scenario struct {
	name string
	run  func(context.Context, options, *results) error
}

// scenarios are all there are, in the order in which they are run.
var scenarios = []scenario{
	{"apps", appsScenario},
	{"configmaps", configMapsScenario},
	{"drift", driftScenario},
	{"fairness", fairnessScenario},
	{"memory", memoryScenario},
	{"refs", refsScenario},
}

func names() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// run runs the scenarios that are chosen. What fails is told, and the others are run all the same.
func run(ctx context.Context, o options) error {
	var r results
	var failed []error
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
	}
	for _, s := range scenarios {
		if !o.only.MatchString(s.name) {
			continue
		}
		began := time.Now()
		if err := s.run(ctx, o, &r); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			fmt.Fprintf(os.Stderr, "bench: %v\n", failed[len(failed)-1])
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %.0f s\n", s.name, time.Since(began).Seconds())
		if ctx.Err() != nil {
			break
		}
	}
	for _, one := range r.all {
		fmt.Println(one)
	}
	return errors.Join(failed...)
}

func contains(text []byte, part string) bool { return bytes.Contains(text, []byte(part)) }

// await waits for a time that a watch sends.
func await(ctx context.Context, at <-chan time.Time, within time.Duration) (time.Time, error) {
	select {
	case when, ok := <-at:
		if !ok {
			return time.Time{}, errors.New("the watch has ended")
		}
		return when, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-time.After(within):
		return time.Time{}, fmt.Errorf("not within %s", within)
	}
}

// String tells a result in a few lines.
func (r *Result) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %d: %s\n", r.Scenario, r.N, r.Step)
	if len(r.Seconds) > 0 {
		fmt.Fprintf(&b, "  %.3f s (median of %.3f)", median(r.Seconds), r.Seconds)
	}
	if len(r.Floor) > 0 {
		fmt.Fprintf(&b, ", floor %.3f s, ratio %.2f", median(r.Floor), r.ratio())
	}
	if len(r.Applies) > 0 {
		fmt.Fprintf(&b, ", applies alone %.3f s", median(r.Applies))
	}
	fmt.Fprintf(&b, "\n  %d requests: %s\n", r.Requests.total(), r.Requests)
	if r.FloorRequests != nil {
		fmt.Fprintf(&b, "  floor: %d requests: %s\n", r.FloorRequests.total(), r.FloorRequests)
	}
	fmt.Fprintf(&b, "  CPU %.2f s, peak %.0f MiB and %.0f MiB below, %d bytes from Git, server CPU %v\n", r.CPU, float64(r.RSS)/(1<<20), float64(r.BelowRSS)/(1<<20), r.GitBytes, r.ServerCPU)
	for name, figure := range r.Figures {
		fmt.Fprintf(&b, "  %s: %.3f\n", name, figure)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	return b.String()
}
