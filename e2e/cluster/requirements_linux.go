package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// requirement is something that a cluster needs and that is not built here.
type requirement struct {
	program string // looked for in PATH, and in cniDirs
	pkg     string // Debian's name of the package that has it
	use     string
}

var requirements = map[Node][]requirement{
	Simulated: {
		{"go", "golang", "builds all programs"},
		{"git", "git", "serves repositories"},
	},
	Real: {
		{"go", "golang", "builds all programs"},
		{"git", "git", "serves repositories"},
		{"runc", "runc", "runs containers"},
		{"ptp", "containernetworking-plugins", "connects pods"},
		{"host-local", "containernetworking-plugins", "gives pods their addresses"},
		{"loopback", "containernetworking-plugins", "connects pods"},
		{"nft", "nftables", "lets kube-proxy route Services"},
		{"ip", "iproute2", "connects the cluster with this machine"},
		{"mount", "mount", "lets kubelet mount volumes"},
	},
}

// wishes are what no cluster needs, but tests do that are left out without it.
var wishes = []requirement{
	{"docker-registry", "docker-registry", "is a private registry"},
}

// cniDirs are where Debian and the rest of the world have the CNI plugins.
var cniDirs = []string{"/usr/lib/cni", "/opt/cni/bin"}

// Missing says in a line each what a cluster with that kind of node lacks on this machine.
func Missing(n Node) []string {
	var lines []string
	if n == Real && os.Geteuid() != 0 {
		lines = append(lines, "root: a real node makes namespaces, mounts and cgroups")
	}
	return append(lines, say(missing(requirements[n]))...)
}

// Wished says in a line each what this machine lacks that only some tests need.
func Wished() []string { return say(missing(wishes)) }

func say(list []requirement) []string {
	var lines []string
	for _, r := range list {
		lines = append(lines, fmt.Sprintf("%s: %s (Debian package %s)", r.program, r.use, r.pkg))
	}
	return lines
}

func missing(of []requirement) []requirement {
	var list []requirement
	for _, r := range of {
		if !r.met() {
			list = append(list, r)
		}
	}
	return list
}

func (r requirement) met() bool {
	if _, err := exec.LookPath(r.program); err == nil {
		return true
	}
	for _, dir := range cniDirs {
		if _, err := os.Stat(filepath.Join(dir, r.program)); err == nil {
			return true
		}
	}
	return false
}

// install installs Debian's packages of what a real node and the tests lack.
func install(ctx context.Context, report func(string)) error {
	var packages []string
	for _, r := range missing(slices.Concat(requirements[Real], wishes)) {
		if !slices.Contains(packages, r.pkg) {
			packages = append(packages, r.pkg)
		}
	}
	if len(packages) == 0 {
		return nil
	}
	list := strings.Join(packages, " ")
	if os.Geteuid() != 0 {
		return fmt.Errorf("installing %s: it needs root", list)
	}
	report("installing " + list)
	if err := installQuietly(ctx, packages); err != nil {
		return fmt.Errorf("installing %s: %w", list, err)
	}
	if still := append(Missing(Real), Wished()...); len(still) > 0 {
		return errors.New("installing " + list + ": still missing:\n" + strings.Join(still, "\n"))
	}
	return nil
}
