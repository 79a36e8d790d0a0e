package cluster

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

// stages tell kwok what simulated nodes and pods go through.
//
//go:embed stages/*.yaml
var stages embed.FS

func startSimulated(ctx context.Context, s site) (*Cluster, error) {
	return start(ctx, s, Simulated, startKwok)
}

// startKwok adds the nodes and starts kwok, which plays their kubelets.
func startKwok(ctx context.Context, s site, p *processes, c *controlPlane, _ *services) error {
	for i := range s.nodes {
		name := fmt.Sprintf("node-%d", i)
		if err := c.create(ctx, "/api/v1/nodes", simulatedNode(name)); err != nil {
			return fmt.Errorf("adding node %s: %w", name, err)
		}
	}
	kubeconfig, err := c.authority.kubeconfig(c.authority.dir, c.server, "kwok", "system:masters")
	if err != nil {
		return err
	}
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--manage-all-nodes=true",
		"--node-lease-duration-seconds=40", // a kubelet's
		"--cidr=10.244.0.0/16",
		"--node-ip=127.0.0.1", // where no kubelet answers, and says so at once
	}
	files, err := writeStages(filepath.Join(s.dir, "stages"))
	if err != nil {
		return err
	}
	for _, file := range files {
		args = append(args, "--config="+file)
	}
	return p.start(s.programs["kwok"], []string{"KWOK_WORKDIR=" + filepath.Join(s.dir, "kwok")}, args...)
}

func writeStages(dir string) (paths []string, err error) {
	if err := os.CopyFS(dir, stages); err != nil {
		return nil, fmt.Errorf("writing stages: %w", err)
	}
	return filepath.Glob(filepath.Join(dir, "stages", "*.yaml"))
}

// simulatedNode is a Node as a kubelet would register it. The stage node-ready adds the status.
func simulatedNode(name string) any {
	type object = map[string]any
	return object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": object{
			"name":        name,
			"annotations": object{"kwok.x-k8s.io/node": "fake"},
			"labels": object{
				"kubernetes.io/arch":     "amd64",
				"kubernetes.io/os":       "linux",
				"kubernetes.io/hostname": name,
				"type":                   "kwok",
			},
		},
	}
}
