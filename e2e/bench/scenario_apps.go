package main

import (
	"context"
	"fmt"
	"time"
)

// manyApps is a repository with many apps, and a Sync for each.
type manyApps struct {
	*target
	results *Results
	n       int
	first   bool // the first time: what takes long is done then alone

	apps       []app
	repository *repository
	agent      *agent
	commit     string
}

// appsScenario runs floor and belay in turn, each time on a new cluster.
func appsScenario(ctx context.Context, o options, r *Results) error {
	for _, n := range o.apps {
		for i := range o.repeatsOf(n) {
			if err := oneOfApps(ctx, o, r, n, i); err != nil {
				return fmt.Errorf("%d Syncs: %w", n, err)
			}
		}
	}
	return nil
}

// repeatsOf is how often floor and belay are run in turn.
func (o options) repeatsOf(n int) int {
	switch {
	case o.repeats > 0:
		return o.repeats
	case n <= 100:
		return 3
	}
	return 1
}

func oneOfApps(ctx context.Context, o options, r *Results, n, try int) error {
	t, err := startTarget(ctx, o)
	if err != nil {
		return err
	}
	defer t.stop()
	s := &manyApps{target: t, results: r, n: n, first: try == 0, apps: apps(n, "apps")}
	return inTurn(ctx, try, s.belayAlone, s.floorAlone)
}

// belayAlone is all that is done with belay.
func (s *manyApps) belayAlone(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.prepareApps, s.firstDeploy, s.rest, s.changeOne, s.changeAll, s.end} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepareApps pushes the apps, and makes the Syncs while no agent runs.
func (s *manyApps) prepareApps(ctx context.Context) (err error) {
	if s.repository, err = s.newRepository(ctx, "apps"); err != nil {
		return err
	}
	if s.commit, err = s.repository.publish(ctx, "all of them", filesOf(s.apps, "1.0.0")); err != nil {
		return err
	}
	if err := s.createSyncs(ctx, s.apps, s.repository.url); err != nil {
		return err
	}
	return s.settle(ctx)
}

// firstDeploy is from the start of the agent until all Syncs are kept.
func (s *manyApps) firstDeploy(ctx context.Context) error {
	end, err := s.auditEnd()
	if err != nil {
		return err
	}
	m, err := s.measure(ctx, "belay", 0)
	if err != nil {
		return err
	}
	all := s.syncs.expect(keys(s.apps), kept(s.commit))
	began := time.Now()
	if s.agent, err = s.startAgent(); err != nil {
		return err
	}
	m.watch(s.agent.pid)
	profile := s.profiled(ctx, s.agent, s.profileName("first-deploy"))
	at, err := s.syncs.until(ctx, all, 15*time.Minute)
	if err != nil {
		return fmt.Errorf("first deploy: %w; the agent's log ends: %s", err, s.agent.end())
	}
	r := &Result{Scenario: "apps", Step: "first deploy", N: s.n, Seconds: []float64{at.Sub(began).Seconds()}}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if r.Belay, err = m.stop(ctx); err != nil {
		return err
	}
	writes, err := s.writesSince(end, "belay")
	if err != nil {
		return err
	}
	r.Figures = map[string]float64{"seconds until all objects are there": writes.last.Sub(began).Seconds(), "seconds until the first write": writes.first.Sub(began).Seconds()}
	s.results.put(r)
	return profile()
}

// rest is nothing: no commit, no change.
func (s *manyApps) rest(ctx context.Context) error {
	if !s.first {
		return nil
	}
	m, err := s.measure(ctx, "belay", s.agent.pid)
	if err != nil {
		return err
	}
	if err := pause(ctx, s.steady); err != nil {
		return err
	}
	r := &Result{Scenario: "apps", Step: "rest", N: s.n, Seconds: []float64{s.steady.Seconds()}}
	if r.Belay, err = m.stop(ctx); err != nil {
		return err
	}
	r.Figures = map[string]float64{
		cpuFigure:                   100 * r.Belay.CPU / s.steady.Seconds(),
		pollsFigure:                 float64(r.Belay.GitPolls) / s.steady.Minutes(),
		intervalFigure:              s.interval.Seconds(),
		"bytes from Git per minute": float64(r.Belay.GitBytes) / s.steady.Minutes(),
	}
	s.results.put(r)
	return nil
}
