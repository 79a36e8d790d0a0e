package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

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

// holds is what [target.seen] waits for: an object with this text in it.
func holds(text string) func(string, []byte) bool {
	return func(event string, object []byte) bool {
		return event != "DELETED" && bytes.Contains(object, []byte(text))
	}
}
