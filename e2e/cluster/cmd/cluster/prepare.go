package main

import (
	"context"

	"github.com/belay-gitops/belay/e2e/cluster"
)

// prepare builds and installs what is missing, and starts nothing.
func prepare(ctx context.Context, args []string) error {
	flags, o := optionFlags("prepare")
	if err := parse(flags, args); err != nil {
		return err
	}
	return cluster.Prepare(ctx, *o)
}
