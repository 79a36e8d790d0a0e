// Belay keeps Kubernetes clusters at what Git says, and puts the last healthy release back by itself. This is the one
// binary: the agent that runs in the cluster, and the commands to live with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// Exit codes.
const (
	exitOK         = 0
	exitError      = 1
	exitRolledBack = 2
	exitTimeout    = 3
)

// exit is an error with an exit code of its own.
type exit struct {
	code    int
	message string
}

func (e exit) Error() string { return e.message }

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if message := err.Error(); message != "" {
		fmt.Fprintln(os.Stderr, "belay: "+message)
	}
	var e exit
	if errors.As(err, &e) {
		return e.code
	}
	return exitError
}
