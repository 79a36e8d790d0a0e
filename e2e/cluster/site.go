package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// site is what a cluster is made with and where.
type site struct {
	dir       string
	temporary bool   // dir is removed at the end
	host      string // address at which all servers listen
	services  string // range of the Services' addresses
	pods      string // range of a real node's pods
	cgroup    string // below which a real node's pods are
	nodes     int
	programs  map[string]string // paths by name
	report    func(string)
}

// nodesReadyWithin allows for a machine that is busy with other clusters; alone it takes 3 s, and a real node 10.
const nodesReadyWithin = 2 * time.Minute

// start starts the services, the control plane and then the nodes, on this machine and in its namespaces.
func start(ctx context.Context, s site, node Node, startNodes func(context.Context, site, *processes, *controlPlane, *services) error) (*Cluster, error) {
	begin := time.Now()
	p, err := newProcesses(filepath.Join(s.dir, "logs"))
	if err != nil {
		return nil, err
	}
	v, err := startServices(s)
	if err != nil {
		return nil, err
	}
	stop := func() error { p.stop(); v.stop(); return nil }
	s.report("starting the control plane")
	c, err := startControlPlane(ctx, s, p)
	if err != nil {
		stop()
		return nil, err
	}
	s.report(fmt.Sprintf("starting %d %s node(s) … %s", s.nodes, node, time.Since(begin).Round(time.Second)))
	if err := startNodes(ctx, s, p, c, v); err != nil {
		stop()
		return nil, err
	}
	err = until(ctx, "nodes", nodesReadyWithin, p.died, func(ctx context.Context) error { return c.peopled(ctx, s.nodes) })
	if err != nil {
		stop()
		return nil, err
	}
	s.report(fmt.Sprintf("ready … %s", time.Since(begin).Round(time.Second)))
	return &Cluster{
		Info: Info{
			Kubeconfig: c.kubeconfig,
			Server:     c.server,
			Git:        "http://" + v.git,
			GitRoot:    v.gitRoot,
			Registry:   v.registry,
			Control:    "http://" + v.control,
			AuditLog:   c.auditLog,
			Kubectl:    s.programs["kubectl"],
			Node:       node,
			Dir:        s.dir,
		},
		died: p.died,
		stop: stop,
	}, nil
}
