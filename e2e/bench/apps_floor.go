package main

import (
	"context"
	"fmt"
)

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
	after, err := t.idleAfter(ctx)
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
	r.Floor, r.Observed, r.FloorCost = []float64{seconds}, []float64{seconds + after}, cost
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
