package main

import (
	"bytes"
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
	steps := []func(context.Context) error{s.belayAlone, s.floorAlone}
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
		"bytes from Git per minute": float64(r.Belay.GitBytes) / s.steady.Minutes(),
	}
	s.results.put(r)
	return nil
}

// changeOne has one app's Deployment changed, again and again. The clock runs from the end of the push, just before the
// poke, until the watch of the Deployment shows it.
func (s *manyApps) changeOne(ctx context.Context) error {
	if !s.first {
		return nil
	}
	m, err := s.measure(ctx, "belay", s.agent.pid)
	if err != nil {
		return err
	}
	profile := s.profiled(ctx, s.agent, s.profileName("change-one"))
	r := &Result{Scenario: "apps", Step: "change one", N: s.n, Figures: map[string]float64{}}
	var whole, with []float64
	for i := range s.tries {
		c, err := s.changeOf(ctx, s.apps[i*s.n/s.tries], fmt.Sprintf("1.1.%d", i))
		if err != nil {
			return err
		}
		r.Seconds, whole, with = append(r.Seconds, c.live), append(whole, c.kept), append(with, c.push)
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if r.Belay, err = m.stop(ctx); err != nil {
		return err
	}
	r.Figures["seconds until kept"], r.Figures["seconds of the push itself"] = median(whole), median(with)
	s.results.put(r)
	return profile()
}

// change is how long a change took, in seconds: the push itself, and from its end until live and until kept.
type change struct{ push, live, kept float64 }

// changeOf changes the Deployment of an app.
func (s *manyApps) changeOf(ctx context.Context, a app, version string) (change, error) {
	if err := s.repository.write(a.deploymentFile(version)); err != nil {
		return change{}, err
	}
	commit, err := s.repository.commit(ctx, a.name()+" "+version)
	if err != nil {
		return change{}, err
	}
	s.commit = commit
	collection := fmt.Sprintf("/apis/apps/v1/namespaces/%s/deployments", a.namespace)
	live, err := s.seen(ctx, collection, a.name(), holds(`"value":"`+version+`"`))
	if err != nil {
		return change{}, err
	}
	done := s.syncs.expect([]string{a.key()}, kept(commit))
	if err := s.settle(ctx); err != nil { // what was before is over, and the watch is there
		return change{}, err
	}
	began := time.Now()
	if err := s.repository.push(ctx); err != nil {
		return change{}, err
	}
	pushed := time.Now()
	if err := s.poke(ctx, a.key(), commit); err != nil {
		return change{}, err
	}
	at, err := await(ctx, live, time.Minute)
	if err != nil {
		return change{}, fmt.Errorf("changing %s: %w; the agent's log ends: %s", a.name(), err, s.agent.end())
	}
	over, err := s.syncs.until(ctx, done, time.Minute)
	if err != nil {
		return change{}, fmt.Errorf("changing %s: %w", a.name(), err)
	}
	return change{pushed.Sub(began).Seconds(), at.Sub(pushed).Seconds(), over.Sub(pushed).Seconds()}, nil
}

// wakes is how long the poke of one Sync has for another one of the repository to be deployed.
const wakes = 4 * time.Second

// pokeWakesAll tells whether poking one Sync has belay deploy another one of the same repository and branch. It is tried
// twice, so that a look that is due anyway, once a minute, hardly passes for it.
func (s *manyApps) pokeWakesAll(ctx context.Context) (bool, error) {
	if s.n == 1 {
		return true, nil
	}
	for i := range 2 {
		other := s.apps[s.n-1]
		commit, err := s.repository.publish(ctx, "another one", other.deploymentFile(fmt.Sprintf("1.2.%d", i)))
		if err != nil {
			return false, err
		}
		done := s.syncs.expect([]string{other.key()}, kept(commit))
		if err := s.poke(ctx, s.apps[0].key(), commit); err != nil {
			return false, err
		}
		if _, err := s.syncs.until(ctx, done, wakes); err != nil {
			return false, ctx.Err()
		}
	}
	return true, nil
}

// changeAll is a commit that changes each object of each app, from the end of the push until all are kept. Poking one Sync
// is to have belay look for all that share the repository; as long as it does not do that, each is poked.
func (s *manyApps) changeAll(ctx context.Context) error {
	one, err := s.pokeWakesAll(ctx)
	if err != nil {
		return err
	}
	commit, err := s.repository.publishAll(ctx, s.apps)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	m, err := s.measure(ctx, "belay", s.agent.pid)
	if err != nil {
		return err
	}
	profile := s.profiled(ctx, s.agent, s.profileName("change-all"))
	all := s.syncs.expect(keys(s.apps), kept(commit))
	began := time.Now()
	if err := s.repository.push(ctx); err != nil {
		return err
	}
	pushed := time.Now()
	r := &Result{Scenario: "apps", Step: "change all", N: s.n, Figures: map[string]float64{"seconds of the push itself": pushed.Sub(began).Seconds()}}
	poked := s.apps[:1]
	if !one {
		poked = s.apps
		r.Notes = append(r.Notes, "the poke of one Sync does not wake the others: each is poked")
	}
	for _, a := range poked {
		if err := s.poke(ctx, a.key(), commit); err != nil {
			return err
		}
	}
	at, err := s.syncs.until(ctx, all, 15*time.Minute)
	if err != nil {
		return fmt.Errorf("changing all: %w; the agent's log ends: %s", err, s.agent.end())
	}
	r.Seconds = []float64{at.Sub(pushed).Seconds()}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if r.Belay, err = m.stop(ctx); err != nil {
		return err
	}
	s.results.put(r)
	return profile()
}

// end stops the agent for the floor's turn.
func (s *manyApps) end(context.Context) error { return s.agent.stop() }

func (s *manyApps) profileName(step string) string { return fmt.Sprintf("%s-%d", step, s.n) }

// publishAll commits another version of every app, unpushed.
func (r *repository) publishAll(ctx context.Context, all []app) (string, error) {
	if err := r.write(filesOf(all, "2.0.0")); err != nil {
		return "", err
	}
	return r.commit(ctx, "another version of all")
}

// floorAlone is the bare client's turn, in namespaces of its own.
func (s *manyApps) floorAlone(ctx context.Context) error {
	all := apps(s.n, "floor")
	if err := s.createSyncs(ctx, all, "https://git.example.com/none"); err != nil {
		return err
	}
	for number, step := range []string{"first deploy", "change all"} {
		loads, err := loadsOf(all, number+1)
		if err != nil {
			return err
		}
		r := &Result{Scenario: "apps", Step: step, N: s.n}
		if err := s.measureFloor(ctx, r, loads); err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		s.results.put(r)
	}
	if err := s.appliesAlone(ctx); err != nil {
		return fmt.Errorf("applies alone: %w", err)
	}
	return s.deleteSyncs(ctx, all)
}

// measureFloor runs loads as the floor.
func (t *target) measureFloor(ctx context.Context, r *Result, loads []load) error {
	if err := t.settle(ctx); err != nil {
		return err
	}
	m, err := t.measure(ctx, "floor", 0)
	if err != nil {
		return err
	}
	seconds, err := t.floor.run(ctx, loads, t.inFlight)
	if err != nil {
		return err
	}
	if err := t.settle(ctx); err != nil {
		return err
	}
	cost, err := m.stop(ctx)
	if err != nil {
		return err
	}
	r.Floor, r.FloorCost = []float64{seconds}, cost
	return nil
}

// appliesAlone is the floor without dry runs, Secrets and statuses, for information.
func (s *manyApps) appliesAlone(ctx context.Context) error {
	all := apps(s.n, "plain")
	if err := s.createNamespaces(ctx, all); err != nil {
		return err
	}
	for number, step := range []string{"first deploy", "change all"} {
		loads, err := loadsOf(all, number+1)
		if err != nil {
			return err
		}
		for i := range loads {
			loads[i] = loads[i].onlyApplies()
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		seconds, err := s.floor.run(ctx, loads, s.inFlight)
		if err != nil {
			return err
		}
		s.results.put(&Result{Scenario: "apps", Step: step, N: s.n, Applies: []float64{seconds}})
	}
	return nil
}

// deleteSyncs takes the floor's Syncs away, which an agent would take for its own.
func (t *target) deleteSyncs(ctx context.Context, all []app) error {
	for _, a := range all {
		if _, err := t.admin.do(ctx, "DELETE", syncsPath(a.namespace)+"/"+a.name(), "", nil); err != nil {
			return err
		}
	}
	return nil
}

// holds is what [target.seen] waits for: an object with this text in it.
func holds(text string) func(string, []byte) bool {
	return func(event string, object []byte) bool {
		return event != "DELETED" && bytes.Contains(object, []byte(text))
	}
}
