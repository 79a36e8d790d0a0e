package main

import (
	"context"
	"fmt"
	"time"
)

// foreign is how many ConfigMaps there are that are none of belay's.
const foreign = 50_000

const (
	nothingStep = "without foreign objects"
	foreignStep = "with 50,000 foreign ConfigMaps"
)

// memoryScenario starts agents on 100 kept Syncs, each of which has a ConfigMap, without and with many others' ConfigMaps in
// the cluster.
func memoryScenario(ctx context.Context, o options, r *Results) error {
	const n = 100
	t, err := startTarget(ctx, o)
	if err != nil {
		return err
	}
	defer t.stop()
	all := apps(n, "apps")
	repository, err := t.newRepository(ctx, "apps")
	if err != nil {
		return err
	}
	files := filesOf(all, "1.0.0")
	c := configMaps{}
	for i, a := range all {
		files[a.path()+"/settings.yaml"] = c.text(i, "1")
	}
	commit, err := repository.publish(ctx, "all of them", files)
	if err != nil {
		return err
	}
	if err := t.createSyncs(ctx, all, repository.url); err != nil {
		return err
	}
	first, err := t.startAgent()
	if err != nil {
		return err
	}
	_, err = t.syncs.until(ctx, t.syncs.expect(keys(all), kept(commit)), 10*time.Minute)
	if err := firstOf(err, first.stop()); err != nil {
		return err
	}
	for _, step := range []string{nothingStep, foreignStep} {
		one := &Result{Scenario: "memory", Step: step, N: n, Tries: 1, Figures: map[string]float64{}} // what it took is told of the last try
		if step == foreignStep {
			if err := t.makeForeign(ctx, all); err != nil {
				return err
			}
		}
		var peaks []float64
		for i := range 5 {
			seconds, cost, err := t.restart(ctx, all, fmt.Sprintf("%s %d", step, i))
			if err != nil {
				return err
			}
			one.Seconds, one.Belay = append(one.Seconds, seconds), cost
			peaks = append(peaks, float64(cost.RSS)/(1<<20))
		}
		one.Figures[peakFigure] = median(peaks)
		r.put(one)
	}
	return nil
}

// restart starts an agent on Syncs that are kept, has it look at all of them, and ends it.
func (t *target) restart(ctx context.Context, all []app, at string) (seconds float64, c Cost, err error) {
	if err := t.settle(ctx); err != nil {
		return 0, Cost{}, err
	}
	m, err := t.measure(ctx, "belay", 0)
	if err != nil {
		return 0, Cost{}, err
	}
	began := time.Now()
	a, err := t.startAgent()
	if err != nil {
		return 0, Cost{}, err
	}
	m.watch(a.pid)
	when, err := t.looked(ctx, all, at)
	if err == nil {
		err = t.settle(ctx)
	}
	if err == nil {
		c, err = m.stop(ctx)
	}
	return when.Sub(began).Seconds(), c, firstOf(err, a.stop())
}

// looked pokes all Syncs, and answers when the last one was acted on.
func (t *target) looked(ctx context.Context, all []app, at string) (time.Time, error) {
	done := t.syncs.expect(keys(all), func(s syncState) bool { return s.Status.LastHandledReconcileAt == at })
	for _, a := range all {
		if err := t.poke(ctx, a.key(), at); err != nil {
			return time.Time{}, err
		}
	}
	return t.syncs.until(ctx, done, 5*time.Minute)
}

// makeForeign makes ConfigMaps of 1 KiB: half in the namespaces of the apps, half in others.
func (t *target) makeForeign(ctx context.Context, all []app) error {
	others := apps(len(all), "foreign")
	if err := t.createNamespaces(ctx, others); err != nil {
		return err
	}
	var writes []write
	for i := range foreign {
		namespace := all[i/2%len(all)].namespace
		if i%2 == 1 {
			namespace = others[i/2%len(all)].namespace
		}
		body := fmt.Sprintf(`{"metadata":{"name":"foreign-%05d","labels":{"app":"foreign"}},"data":{"application.properties":%q}}`, i, properties(uint64(i), configMapSize))
		writes = append(writes, write{"POST", fmt.Sprintf(configMapCollection, namespace), jsonType, []byte(body)})
	}
	_, err := t.floor.run(ctx, []load{{[][]write{writes}}}, t.inFlight)
	return err
}

// firstOf is the first error there is.
func firstOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
