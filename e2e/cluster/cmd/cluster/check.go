package main

import (
	"context"
	"fmt"

	"github.com/belay-gitops/belay/e2e/cluster"
)

// check prints a line for each thing that is missing, and fails if there is one without which no such cluster starts.
func check(_ context.Context, args []string) error {
	flags, o := optionFlags("check")
	if err := parse(flags, args); err != nil {
		return err
	}
	missing := cluster.Missing(o.Node)
	for _, m := range missing {
		fmt.Println(m)
	}
	for _, w := range cluster.Wished() {
		fmt.Println(w + ", without which some tests are left out")
	}
	if len(missing) > 0 {
		return fmt.Errorf("checking for a %s node: %d missing", o.Node, len(missing))
	}
	return nil
}
