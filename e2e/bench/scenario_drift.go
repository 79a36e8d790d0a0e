package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// drifted is something that somebody does to an object of an app, and how it is known to be put right.
type drifted struct {
	step        string
	collection  string
	method      string
	contentType string
	body        string
	right       func(event string, object []byte) bool
}

// drifts are done by hand, in the name of kubectl, to an app at version 1.0.0.
var drifts = []drifted{
	{
		step: "deleted object", collection: "/apis/apps/v1/namespaces/%s/deployments", method: "DELETE",
		right: func(event string, _ []byte) bool { return event == "ADDED" },
	},
	{
		step: "changed field", collection: "/api/v1/namespaces/%s/services", method: "PATCH",
		contentType: "application/json-patch+json", body: `[{"op":"replace","path":"/spec/ports/0/port","value":81}]`,
		right: func(_ string, object []byte) bool { return bytes.Contains(object, []byte(`"port":80,`)) },
	},
	{
		step: "added field", collection: "/apis/apps/v1/namespaces/%s/deployments", method: "PATCH",
		contentType: "application/strategic-merge-patch+json",
		body:        `{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"ADDED","value":"by hand"}]}]}}}}`,
		right:       func(_ string, object []byte) bool { return !bytes.Contains(object, []byte(`"value":"by hand"`)) },
	},
}

// driftScenario spoils objects of some of 100 apps, another app each time.
func driftScenario(ctx context.Context, o options, r *Results) error {
	const n = 100
	return withAgent(ctx, o, func(run running) error {
		all := apps(n, "apps")
		repository, err := run.newRepository(ctx, "apps")
		if err != nil {
			return err
		}
		commit, err := repository.publish(ctx, "all of them", filesOf(all, "1.0.0"))
		if err != nil {
			return err
		}
		if err := run.createSyncs(ctx, all, repository.url); err != nil {
			return err
		}
		if _, err := run.syncs.until(ctx, run.syncs.expect(keys(all), kept(commit)), 10*time.Minute); err != nil {
			return err
		}
		if err := run.settle(ctx); err != nil {
			return err
		}
		for d, drift := range drifts {
			one := &Result{Scenario: "drift", Step: drift.step, N: n}
			tries := max(10, o.tries)
			if err := run.step(ctx, one, tries, func(i int) (float64, error) { return run.putRight(ctx, drift, all[(d*tries+i)%n]) }); err != nil {
				return err
			}
			r.put(one)
		}
		return nil
	})
}

// putRight makes a drift, and answers how long after that the object was right again.
func (r running) putRight(ctx context.Context, d drifted, a app) (float64, error) {
	collection := fmt.Sprintf(d.collection, a.namespace)
	spoiled := false // the first event is the drift itself
	right, err := r.seen(ctx, collection, a.name(), func(event string, object []byte) bool {
		if event == "DELETED" || !d.right(event, object) {
			spoiled = true
			return false
		}
		return spoiled
	})
	if err != nil {
		return 0, err
	}
	answer, err := r.admin.do(ctx, d.method, collection+"/"+a.name()+"?fieldManager=kubectl-edit", d.contentType, []byte(d.body))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if !json.Valid(answer) {
		return 0, fmt.Errorf("the API server answers no JSON")
	}
	at, err := await(ctx, right, time.Minute)
	if err != nil {
		return 0, fmt.Errorf("%s of %s: %w", d.step, a.name(), err)
	}
	return at.Sub(began).Seconds(), nil
}
