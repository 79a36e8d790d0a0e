package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	failing      = 1000
	largeObjects = 5000
	aloneStep    = "small Sync alone"
	failingStep  = "small Sync beside 1,000 that fail"
)

// ailing are the ways in which a Sync fails: an edit of an app's Deployment, and of its Sync.
var ailing = []struct {
	name       string
	deployment func(string) string
	sync       func(string) string
	failed     func(syncState) bool
}{
	{"crashes, and is refused", fails("CrashLoopBackOff"), same, notReady},
	{"is never ready, and is waited for", fails("NeverReady"), replaced(`"timeout":"5m"`, `"timeout":"1h"`), phase("Watching")},
	{"has a field that there is none of", replaced("replicas: 0", "replicas: 0\n  replicaz: 1"), same, notReady},
	{"is of a branch that there is none of", same, replaced(`"interval"`, `"ref":{"branch":"none"},"interval"`), notReady},
}

func same(text string) string { return text }

func replaced(old, new string) func(string) string {
	return func(text string) string { return strings.Replace(text, old, new, 1) }
}

// fails has the Deployment start a pod that the simulated nodes have fail so.
func fails(how string) func(string) string {
	return func(text string) string {
		text = strings.Replace(text, "replicas: 0", "replicas: 1", 1)
		return strings.Replace(text, "  template:\n    metadata:\n", "  template:\n    metadata:\n      annotations: {simulate.belay.dev/fail: "+how+"}\n", 1)
	}
}

func phase(wanted string) func(syncState) bool {
	return func(s syncState) bool { return s.Status.Phase == wanted }
}

func notReady(s syncState) bool {
	for _, c := range s.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "False" && c.Reason != "" && s.Status.Phase != "Applying" && s.Status.Phase != "Watching"
		}
	}
	return false
}

// fairnessScenario deploys small Syncs alone, beside many that fail, and beside a large one that is being applied.
func fairnessScenario(ctx context.Context, o options, r *Results) error {
	return withAgent(ctx, o, func(run running) error {
		f := &fairness{running: run, results: r, small: apps(300, "small")}
		for _, step := range []func(context.Context) error{f.prepare, f.alone, f.besideLarge, f.besideFailing} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

type fairness struct {
	running
	results    *Results
	small      []app
	next       int // of the small ones, which is not deployed yet
	repository *repository
}

func (f *fairness) prepare(ctx context.Context) (err error) {
	if f.repository, err = f.newRepository(ctx, "small"); err != nil {
		return err
	}
	if _, err = f.repository.publish(ctx, "all of them", filesOf(f.small, "1.0.0")); err != nil {
		return err
	}
	return f.createNamespaces(ctx, f.small)
}

// deployNext deploys a small one.
func (f *fairness) deployNext(ctx context.Context) (float64, error) {
	a := f.small[f.next]
	f.next++
	return f.deploy(ctx, a.key(), f.syncOf(a.key(), f.repository.url, a.path()), soon)
}

// alone is with nothing else to do.
func (f *fairness) alone(ctx context.Context) error {
	if _, err := f.deployNext(ctx); err != nil { // the first one has the agent begin to watch and to fetch
		return err
	}
	one := &Result{Scenario: "fairness", Step: aloneStep, N: 1}
	if err := f.step(ctx, one, 2*f.tries, func(int) (float64, error) { return f.deployNext(ctx) }); err != nil {
		return err
	}
	f.results.put(one)
	return nil
}

// besideLarge deploys one small Sync after the other while a large one is tried and applied.
func (f *fairness) besideLarge(ctx context.Context) error {
	c := configMaps{n: largeObjects, namespace: "large"}
	repository, err := f.newRepository(ctx, "large")
	if err != nil {
		return err
	}
	if _, err := repository.publish(ctx, "all of them", c.files("1")); err != nil {
		return err
	}
	if err := f.createNamespaces(ctx, []app{{namespace: c.namespace}}); err != nil {
		return err
	}
	large := f.syncs.expect([]string{"large/settings"}, kept(""))
	if err := f.admin.create(ctx, syncsPath(c.namespace), f.syncOf(c.namespace+"/settings", repository.url, "settings")); err != nil {
		return err
	}
	one := &Result{Scenario: "fairness", Step: "small Sync beside one of 5,000 objects", N: largeObjects}
	for f.syncs.left(large) > 0 && f.next < len(f.small)/2 {
		seconds, err := f.deployNext(ctx)
		if err != nil {
			return err
		}
		one.Seconds = append(one.Seconds, seconds)
	}
	if _, err := f.syncs.until(ctx, large, 10*time.Minute); err != nil {
		return err
	}
	one.Figures = map[string]float64{"slowest, s": maximum(one.Seconds)}
	f.results.put(one)
	return f.settle(ctx)
}

// besideFailing is with Syncs that have failed, are tried again, and are waited for.
func (f *fairness) besideFailing(ctx context.Context) error {
	repository, err := f.newRepository(ctx, "failing")
	if err != nil {
		return err
	}
	all, files := apps(failing, "failing"), map[string]string{}
	for i, a := range all {
		for path, text := range a.files("1.0.0") {
			if strings.HasSuffix(path, "/deployment.yaml") {
				text = ailing[i%len(ailing)].deployment(text)
			}
			files[path] = text
		}
	}
	if _, err := repository.publish(ctx, "all of them", files); err != nil {
		return err
	}
	if err := f.createNamespaces(ctx, all); err != nil {
		return err
	}
	var waits []*wait
	for i, a := range all {
		how := ailing[i%len(ailing)]
		waits = append(waits, f.syncs.expect([]string{a.key()}, how.failed))
		text := how.sync(f.syncOf(a.key(), repository.url, a.path()))
		if err := f.admin.create(ctx, syncsPath(a.namespace), text); err != nil {
			return err
		}
	}
	for i, each := range waits {
		if _, err := f.syncs.until(ctx, each, 10*time.Minute); err != nil {
			return fmt.Errorf("one that %s: %w", ailing[i%len(ailing)].name, err)
		}
	}
	one := &Result{Scenario: "fairness", Step: failingStep, N: failing}
	m, err := f.measure(ctx, "belay", f.agent.pid)
	if err != nil {
		return err
	}
	for range 2 * f.tries {
		seconds, err := f.deployNext(ctx)
		if err != nil {
			return err
		}
		one.Seconds = append(one.Seconds, seconds)
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	if one.Belay, err = m.stop(ctx); err != nil {
		return err
	}
	f.results.put(one)
	return nil
}

func maximum(all []float64) float64 {
	most := 0.0
	for _, each := range all {
		most = max(most, each)
	}
	return most
}
