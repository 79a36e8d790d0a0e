// Command cluster runs a throwaway Kubernetes cluster with a Git server and an image registry, until it is told
// to stop. See README.md in the module's folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: cluster COMMAND [FLAG]...

  start     start a cluster, print where it is as a line of JSON, and run it until interrupted
  services  the same with the Git server and the registry alone, for another cluster
  prepare   build, and for a real node install, what start needs
  check     say what is missing for a real node
  image     build an image from a static program and push it

cluster COMMAND --help lists a command's flags.
`

// commands are the subcommands. The last is for start alone, which runs this program again in namespaces.
var commands = map[string]func(context.Context, []string) error{
	"start":    start,
	"services": services,
	"prepare":  prepare,
	"check":    check,
	"image":    image,
	"inside":   inside,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	err := commands[os.Args[1]](ctx, os.Args[2:])
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
	os.Exit(1)
}
