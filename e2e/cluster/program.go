package cluster

import (
	"fmt"
	"strings"
)

// program is what is built together from one folder of this module's source.
type program struct {
	name     string   // of its folder under programs/
	about    string   // for the report of a first build
	packages []string // import paths to build, "." for the folder's own
	flags    string   // more of -ldflags
}

// kubernetesVersion is that of programs/kubernetes/go.mod. Without it in the binaries, clients take the server
// for v0.0.0.
const kubernetesVersion = "v1.36.3"

var (
	kubernetes = program{
		name:     "kubernetes",
		about:    "Kubernetes " + kubernetesVersion + " (first time only, about 5 minutes on 2 cores)",
		packages: []string{"."},
		flags:    versionFlags(kubernetesVersion),
	}
	etcd = program{
		name:     "etcd",
		about:    "etcd (first time only, about half a minute)",
		packages: []string{"."},
	}
	kwok = program{
		name:     "kwok",
		about:    "kwok (first time only, about a minute)",
		packages: []string{"sigs.k8s.io/kwok/cmd/kwok"},
	}
	containerd = program{
		name:  "containerd",
		about: "containerd (first time only, about 2 minutes)",
		packages: []string{
			"github.com/containerd/containerd/v2/cmd/containerd",
			"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
		},
	}
	pause = program{name: "pause", about: "pause", packages: []string{"."}}
	hello = program{name: "hello", about: "hello", packages: []string{"."}}
)

// components are the names by which the program kubernetes is called, each a link beside it.
var components = []string{
	"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
}

// programsFor lists the programs of a cluster with that kind of node.
func programsFor(n Node) []program {
	if n == Real {
		return []program{kubernetes, etcd, containerd, pause}
	}
	return []program{kubernetes, etcd, kwok}
}

// versionFlags stamp the version on the servers, and on their clients for the audit log's user agents.
func versionFlags(version string) string {
	part := strings.Split(strings.TrimPrefix(version, "v"), ".")
	var flags strings.Builder
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		fmt.Fprintf(&flags, " -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, version, part[0], part[1])
	}
	return flags.String()
}
