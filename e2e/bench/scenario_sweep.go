package main

import (
	"context"
	"fmt"
)

// sweepScenario looks for the number of requests in flight at which the floor is fastest, with first deploys of 100 Syncs.
func sweepScenario(ctx context.Context, o options, r *Results) error {
	const n, rounds = 100, 2
	t, err := startTarget(ctx, o)
	if err != nil {
		return err
	}
	defer t.stop()
	for round := range rounds {
		for _, inFlight := range []int{8, 16, 32, 64} {
			for _, http1 := range []bool{false, true} {
				all := apps(n, fmt.Sprintf("sweep-%d-%d-%t", round, inFlight, http1))
				one := &Result{Scenario: "sweep", Step: fmt.Sprintf("%d in flight, HTTP/2", inFlight), N: n}
				if http1 {
					one.Step = fmt.Sprintf("%d in flight, HTTP/1.1", inFlight)
				}
				if one.Floor, err = t.floorOf(ctx, all, t.admin.as(t.floor.token, http1, inFlight), inFlight); err != nil {
					return err
				}
				r.put(one)
			}
		}
	}
	return nil
}

// floorOf runs a first deploy of apps as the floor, and leaves it there.
func (t *target) floorOf(ctx context.Context, all []app, client *api, inFlight int) ([]float64, error) {
	defer client.client.CloseIdleConnections()
	if err := t.createSyncs(ctx, all, "https://git.example.com/none"); err != nil {
		return nil, err
	}
	loads, err := loadsOf(all, 1)
	if err != nil {
		return nil, err
	}
	if err := t.settle(ctx); err != nil {
		return nil, err
	}
	seconds, err := client.run(ctx, loads, inFlight)
	return []float64{seconds}, err
}
