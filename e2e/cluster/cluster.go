package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Node is the kind of a cluster's nodes.
type Node string

const (
	Simulated Node = "simulated" // kwok plays the kubelet; nothing runs in a pod
	Real      Node = "real"      // a kubelet with containerd, on Linux, as root
)

// Options says which cluster to start.
type Options struct {
	Node   Node              // Simulated if empty
	Nodes  int               // how many simulated nodes, 1 if zero; a real node is always alone
	Dir    string            // an empty or missing folder, kept at the end; a temporary one, removed at the end, if empty
	Source string            // this module's folder; where this package was compiled if empty
	Report func(line string) // is told in a short line what is going on; may be nil
}

// Info says where a running cluster's parts are. As JSON it is the one line that the command prints.
// Hosts and pods reach Git and the registry at the same address.
type Info struct {
	Kubeconfig string `json:"kubeconfig"` // path; its user may do everything
	Server     string `json:"server"`     // URL of the API server
	Git        string `json:"git"`        // URL; the repository GitRoot/NAME.git is at Git/NAME.git
	GitRoot    string `json:"gitRoot"`    // path
	Registry   string `json:"registry"`   // HOST:PORT, plain HTTP
	Control    string `json:"control"`    // URL; see README.md for what it answers
	AuditLog   string `json:"auditLog"`   // path; a line of JSON for each finished write request
	Kubectl    string `json:"kubectl"`    // path
	Node       Node   `json:"node"`
	Dir        string `json:"dir"` // path; the components' logs are in Dir/logs
}

// Cluster is a running cluster.
type Cluster struct {
	Info
	died <-chan error
	stop func() error
}

// Start builds what is missing, starts a cluster, and returns when it is ready: the API server says so, the
// nodes take pods, and the namespace default has its service account.
//
// When it returns an error, or ctx is done, nothing of the cluster is left.
// For a real node the running program must be cmd/cluster, since it is run again inside the namespaces.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o = o.withDefaults()
	if o.Node != Simulated && o.Node != Real {
		return nil, fmt.Errorf("choosing node: %q is neither %s nor %s", o.Node, Simulated, Real)
	}
	programs, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	dir, remove, err := makeDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := site{
		dir: dir, temporary: o.Dir == "", host: "127.0.0.1", services: "10.96.0.0/16",
		nodes: o.Nodes, programs: programs, report: o.Report,
	}
	start := startSimulated
	if o.Node == Real {
		start = enclose
	}
	c, err := start(ctx, s)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	stop := c.stop
	c.stop = func() error { return errors.Join(stop(), remove()) }
	return c, nil
}

// StartServices starts the Git server and the registry at an IP address of this machine, and no cluster.
func StartServices(host string) (*Cluster, error) {
	dir, remove, err := makeDir("")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("making folder: %w", err), remove())
	}
	v, err := startServices(site{dir: dir, host: host})
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return &Cluster{
		Info: Info{Git: "http://" + v.git, GitRoot: v.gitRoot, Registry: v.registry, Control: "http://" + v.control, Dir: dir},
		stop: func() error { v.stop(); return remove() },
	}, nil
}

// Prepare builds the programs that a cluster needs and, for a real node, installs Debian's packages that are
// missing. Start does the same, except that it installs nothing.
func Prepare(ctx context.Context, o Options) error {
	o = o.withDefaults()
	if o.Node == Real {
		if err := install(ctx, o.Report); err != nil {
			return err
		}
	}
	_, err := prepare(ctx, o)
	return err
}

// Died yields an error if a part of the cluster ends before Stop is called. The cluster is of no use then, but
// still has to be stopped.
func (c *Cluster) Died() <-chan error { return c.died }

// Stop ends everything that Start started and removes the folder that it made.
func (c *Cluster) Stop() error { return c.stop() }

func (o Options) withDefaults() Options {
	if o.Node == "" {
		o.Node = Simulated
	}
	o.Nodes = max(o.Nodes, 1)
	if o.Report == nil {
		o.Report = func(string) {}
	}
	return o
}

// makeDir makes the cluster's folder. The function that it returns removes the folder if it was not asked for
// by name.
func makeDir(name string) (dir string, remove func() error, err error) {
	if name == "" {
		dir, err := os.MkdirTemp("", "belay-cluster-")
		if err != nil {
			return "", nil, fmt.Errorf("making folder: %w", err)
		}
		return dir, func() error { return os.RemoveAll(dir) }, nil
	}
	dir, err = filepath.Abs(name)
	if err != nil {
		return "", nil, fmt.Errorf("making folder %s: %w", name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("making folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, fmt.Errorf("reading folder: %w", err)
	}
	if len(entries) > 0 {
		return "", nil, fmt.Errorf("using folder %s: it is not empty", dir)
	}
	return dir, func() error { return nil }, nil
}
