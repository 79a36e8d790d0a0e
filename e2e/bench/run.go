package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Report is all of a run, as it is written in JSON.
type Report struct {
	Machine  Machine   `json:"machine"`
	Verdicts []Verdict `json:"goals"`
	Results  Results   `json:"results"`
}

// scenario is a group of steps that share a cluster.
type scenario struct {
	name  string
	short bool // CI runs it
	run   func(context.Context, options, *Results) error
}

// scenarios are all there are, in the order in which they are run.
var scenarios = []scenario{
	{"sweep", false, sweepScenario},
	{"apps", true, appsScenario},
	{"configmaps", true, configMapsScenario},
	{"drift", false, driftScenario},
	{"fairness", false, fairnessScenario},
	{"memory", false, memoryScenario},
	{"refs", false, refsScenario},
}

func names() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// run runs the scenarios that are chosen, and tells what came of them. What fails is told, and the others are run all the
// same.
func run(ctx context.Context, o options) error {
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
	}
	machine, err := describe(ctx, o)
	if err != nil {
		return err
	}
	report := Report{Machine: machine}
	var failed []error
	for _, s := range scenarios {
		if !o.only.MatchString(s.name) || o.short && !s.short || ctx.Err() != nil {
			continue
		}
		began := time.Now()
		if err := s.run(ctx, o, &report.Results); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			fmt.Fprintf(os.Stderr, "bench: %v\n", failed[len(failed)-1])
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %.0f s\n", s.name, time.Since(began).Seconds())
	}
	report.Machine.Kubernetes = *o.kubernetes
	report.Verdicts = reach(report.Results, goals)
	if err := tell(report, o); err != nil {
		return err
	}
	if o.short {
		failed = append(failed, unmet(report.Verdicts)...)
	}
	return errors.Join(failed...)
}

// tell prints the tables, and writes the files that are asked for.
func tell(report Report, o options) error {
	fmt.Printf("%+v\n\n", report.Machine)
	for _, rows := range [][]row{
		resultRows(report.Results), requestRows(report.Results), figureRows(report.Results), sweepRows(report.Results), goalRows(report.Verdicts),
	} {
		printRows(os.Stdout, rows)
	}
	if o.json != "" {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.markdown != "" {
		return os.WriteFile(o.markdown, []byte(page(report)), 0o644)
	}
	return nil
}

// unmet are the goals that CI goes by and that are not met.
func unmet(verdicts []Verdict) []error {
	var all []error
	for _, v := range verdicts {
		if v.Stable && !v.Met {
			all = append(all, fmt.Errorf("%s: %s %s, where %s are the most", v.What, number(v.Figure), v.Unit, number(v.Most)))
		}
	}
	return all
}

// inTurn measures belay and the floor on one cluster, each of them first in every other try.
func inTurn(ctx context.Context, try int, belay, floor func(context.Context) error) error {
	steps := []func(context.Context) error{belay, floor}
	if try%2 == 1 {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
