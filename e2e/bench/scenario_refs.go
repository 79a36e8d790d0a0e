package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// manyRefs is how many references the repository has.
const manyRefs = 40_000

// refsScenario polls a repository of many references, in which nothing happens.
func refsScenario(ctx context.Context, o options, r *Results) error {
	return withAgent(ctx, o, func(run running) error {
		repository, err := run.newRepository(ctx, "refs")
		if err != nil {
			return err
		}
		a := app{number: 1, namespace: "refs"}
		commit, err := repository.publish(ctx, "one app", a.files("1.0.0"))
		if err != nil {
			return err
		}
		if err := packRefs(repository.bare, commit); err != nil {
			return err
		}
		if err := run.createNamespaces(ctx, []app{a}); err != nil {
			return err
		}
		if _, err := run.deploy(ctx, a.key(), run.syncOf(a.key(), repository.url, a.path()), soon); err != nil {
			return err
		}
		if err := run.settle(ctx); err != nil {
			return err
		}
		one := &Result{Scenario: "refs", Step: "poll", N: manyRefs, Figures: map[string]float64{}}
		var got, sent []float64
		err = run.step(ctx, one, 5, func(i int) (float64, error) {
			gotBefore, sentBefore := run.git.got.Load(), run.git.sent.Load()
			seconds, err := run.poked(ctx, a.key(), fmt.Sprintf("again %d", i))
			got, sent = append(got, float64(run.git.got.Load()-gotBefore)), append(sent, float64(run.git.sent.Load()-sentBefore))
			return seconds, err
		})
		if err != nil {
			return err
		}
		one.Figures[pollFigure], one.Figures["bytes to Git for one poll"] = median(got), median(sent)
		r.put(one)
		return nil
	})
}

// packRefs writes the file in which Git keeps many references, sorted as it wants them.
func packRefs(bare, commit string) error {
	var b strings.Builder
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range manyRefs {
		fmt.Fprintf(&b, "%s refs/pull/%05d/head\n", commit, i)
	}
	return os.WriteFile(filepath.Join(bare, "packed-refs"), []byte(b.String()), 0o644)
}
