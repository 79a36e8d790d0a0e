package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// running is a cluster with an agent.
type running struct {
	*target
	agent *agent
}

// withAgent starts a cluster and an agent, has them used, and ends them.
func withAgent(ctx context.Context, o options, use func(running) error) error {
	t, err := startTarget(ctx, o)
	if err != nil {
		return err
	}
	defer t.stop()
	r := running{target: t}
	if r.agent, err = t.startAgent(); err != nil {
		return err
	}
	if err := t.settle(ctx); err != nil {
		return err
	}
	if err := use(r); err != nil {
		err = fmt.Errorf("%w; the agent's log ends: %s", err, r.agent.end())
		r.agent.stop() //nolint:errcheck // the first error counts
		return err
	}
	return r.agent.stop()
}

// deploy makes a Sync, and answers how long it took until it was kept.
func (r running) deploy(ctx context.Context, key, text string, within time.Duration) (seconds float64, err error) {
	namespace, _, _ := strings.Cut(key, "/")
	done := r.syncs.expect([]string{key}, kept(""))
	began := time.Now()
	if err := r.admin.create(ctx, syncsPath(namespace), text); err != nil {
		return 0, err
	}
	at, err := r.syncs.until(ctx, done, within)
	return at.Sub(began).Seconds(), err
}

// poked pokes a Sync, and answers how long it took until that was acted on.
func (r running) poked(ctx context.Context, key, at string) (seconds float64, err error) {
	done := r.syncs.expect([]string{key}, func(s syncState) bool { return s.Status.LastHandledReconcileAt == at })
	began := time.Now()
	if err := r.poke(ctx, key, at); err != nil {
		return 0, err
	}
	when, err := r.syncs.until(ctx, done, time.Minute)
	return when.Sub(began).Seconds(), err
}

// step measures the tries of something that are made one after the other, each on a cluster at rest.
func (r running) step(ctx context.Context, one *Result, tries int, try func(i int) (seconds float64, err error)) error {
	m, err := r.measure(ctx, "belay", r.agent.pid)
	if err != nil {
		return err
	}
	profile := r.profiled(ctx, r.agent, fmt.Sprintf("%s-%s-%d", one.Scenario, strings.ReplaceAll(one.Step, " ", "-"), one.N))
	for i := range tries {
		seconds, err := try(i)
		if err != nil {
			return fmt.Errorf("%s: %w", one.Step, err)
		}
		one.Seconds = append(one.Seconds, seconds)
		if err := r.settle(ctx); err != nil {
			return err
		}
	}
	if one.Belay, err = m.stop(ctx); err != nil {
		return err
	}
	return profile()
}
