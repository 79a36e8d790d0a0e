//go:build !linux

package cluster

import (
	"context"
	"errors"
	"io"
)

var errNotLinux = errors.New("starting a real node: it needs Linux; a simulated one runs here")

// Missing says in a line each what a cluster with that kind of node lacks on this machine.
func Missing(n Node) []string {
	if n == Real {
		return []string{"Linux"}
	}
	return nil
}

// Wished says in a line each what this machine lacks that only some tests need.
func Wished() []string { return []string{"Debian's docker-registry: is a private registry"} }

// Inside runs the half of a real node's cluster that is in namespaces.
func Inside(context.Context, io.Reader, io.Writer) error { return errNotLinux }

func install(context.Context, func(string)) error     { return errNotLinux }
func enclose(context.Context, site) (*Cluster, error) { return nil, errNotLinux }
