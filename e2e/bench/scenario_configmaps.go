package main

import (
	"context"
	"fmt"
	"time"
)

// configMapsScenario is one Sync of many ConfigMaps.
func configMapsScenario(ctx context.Context, o options, r *Results) error {
	for _, n := range o.configMaps {
		for i := range o.repeatsOf(n / 4) {
			if err := oneOfConfigMaps(ctx, o, r, n, i); err != nil {
				return fmt.Errorf("%d ConfigMaps: %w", n, err)
			}
		}
	}
	return nil
}

// oneOfConfigMaps runs belay and the floor on one cluster, each first every other time.
func oneOfConfigMaps(ctx context.Context, o options, r *Results, n, try int) error {
	t, err := startTarget(ctx, o)
	if err != nil {
		return err
	}
	defer t.stop()
	s := &manyConfigMaps{target: t, results: r, first: try == 0, configMaps: configMaps{n: n, namespace: "configs"}}
	return inTurn(ctx, try, s.belayAlone, s.floorAlone)
}

type manyConfigMaps struct {
	*target
	configMaps
	results    *Results
	first      bool
	repository *repository
}

const settingsKey = "configs/settings"

// floorAlone is the bare client's turn.
func (s *manyConfigMaps) floorAlone(ctx context.Context) error {
	c := configMaps{n: s.n, namespace: "floor"}
	all := []app{{number: 1, namespace: c.namespace}}
	if err := s.createNamespaces(ctx, all); err != nil {
		return err
	}
	if err := s.admin.create(ctx, syncsPath(c.namespace), s.syncOf(c.namespace+"/settings", "https://git.example.com/none", "")); err != nil {
		return err
	}
	loads, err := c.loads()
	if err != nil {
		return err
	}
	r := &Result{Scenario: "configmaps", Step: "first apply", N: s.n}
	if err := s.measureFloor(ctx, r, loads); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	s.results.put(r)
	_, err = s.admin.do(ctx, "DELETE", syncsPath(c.namespace)+"/settings", "", nil)
	return err
}

func (s *manyConfigMaps) belayAlone(ctx context.Context) (err error) {
	if s.repository, err = s.newRepository(ctx, "configs"); err != nil {
		return err
	}
	if _, err = s.repository.publish(ctx, "all of them", s.files("1")); err != nil {
		return err
	}
	if err := s.createNamespaces(ctx, []app{{namespace: s.namespace}}); err != nil {
		return err
	}
	run := running{target: s.target}
	if run.agent, err = s.startAgent(); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	steps := []func(context.Context, running) error{s.firstApply}
	if s.first {
		steps = append(steps, s.changeOne, s.poke0, s.sameRendered)
	}
	for _, step := range steps {
		if err := step(ctx, run); err != nil {
			err = fmt.Errorf("%w; the agent's log ends: %s", err, run.agent.end())
			run.agent.stop() //nolint:errcheck // the first error counts
			return err
		}
	}
	return run.agent.stop()
}

// firstApply is from the making of the Sync until it is kept.
func (s *manyConfigMaps) firstApply(ctx context.Context, run running) error {
	r := &Result{Scenario: "configmaps", Step: "first apply", N: s.n}
	r.Notes = []string{fmt.Sprintf("1 KiB each of generated settings, which gzip makes %.1f times smaller", s.compressed())}
	text := s.syncOf(settingsKey, s.repository.url, "settings")
	err := run.step(ctx, r, 1, func(int) (float64, error) { return run.deploy(ctx, settingsKey, text, 15*time.Minute) })
	s.results.put(r)
	return err
}

// changeOne changes a line of one ConfigMap: from the end of the push, just before the poke, until a watch shows it.
func (s *manyConfigMaps) changeOne(ctx context.Context, run running) error {
	r := &Result{Scenario: "configmaps", Step: "change one", N: s.n, Figures: map[string]float64{}}
	var until []float64
	err := run.step(ctx, r, max(5, s.tries/2), func(i int) (float64, error) {
		number, revision := i*s.n/10, fmt.Sprintf("2.%d", i)
		live, err := s.seen(ctx, fmt.Sprintf(configMapCollection, s.namespace), s.name(number), holds("revision="+revision))
		if err != nil {
			return 0, err
		}
		commit, err := s.repository.publish(ctx, "change one", map[string]string{s.path(number): s.text(number, revision)})
		if err != nil {
			return 0, err
		}
		done := s.syncs.expect([]string{settingsKey}, kept(commit))
		began := time.Now()
		if err := s.poke(ctx, settingsKey, commit); err != nil {
			return 0, err
		}
		at, err := await(ctx, live, 2*time.Minute)
		if err != nil {
			return 0, err
		}
		over, err := s.syncs.until(ctx, done, 2*time.Minute)
		until = append(until, over.Sub(began).Seconds())
		return at.Sub(began).Seconds(), err
	})
	if len(until) > 0 {
		r.Figures["seconds until kept"] = median(until)
	}
	s.results.put(r)
	return err
}

// poke0 pokes without a commit: until belay has said that it looked.
func (s *manyConfigMaps) poke0(ctx context.Context, run running) error {
	r := &Result{Scenario: "configmaps", Step: "poke without a commit", N: s.n}
	err := run.step(ctx, r, 3, func(i int) (float64, error) { return run.poked(ctx, settingsKey, fmt.Sprintf("again %d", i)) })
	s.results.put(r)
	return err
}

// sameRendered is a commit that changes a comment of one file.
func (s *manyConfigMaps) sameRendered(ctx context.Context, run running) error {
	r := &Result{Scenario: "configmaps", Step: "commit that changes a comment", N: s.n}
	err := run.step(ctx, r, 3, func(i int) (float64, error) {
		last := s.n - 1
		text := fmt.Sprintf("# comment %d\n%s", i, s.text(last, "1"))
		commit, err := s.repository.publish(ctx, "a comment", map[string]string{s.path(last): text})
		if err != nil {
			return 0, err
		}
		return run.poked(ctx, settingsKey, commit)
	})
	s.results.put(r)
	return err
}
