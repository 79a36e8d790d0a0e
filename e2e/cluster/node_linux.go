package cluster

import (
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// node holds the configuration of a real node's programs, as templates of nodeConfig.
//
//go:embed node/*
var node embed.FS

// nodeConfig is what the templates in node are filled with.
type nodeConfig struct {
	Dir, Cgroup, Pods, Registry, Pause, Runc string
	CNIDirs                                  []string
	CA, ServingCert, ServingKey, Kubeconfig  string
}

// nodeName is that of the only node.
const nodeName = "node-0"

// startNode starts containerd, kubelet and kube-proxy. It is for namespaces of their own: their ports, sockets
// and rules are the usual ones.
func startNode(ctx context.Context, s site, p *processes, c *controlPlane, v *services) error {
	pauseImage, err := pushPause(ctx, s, v.registry)
	if err != nil {
		return err
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("finding runc: %w", err)
	}
	serving, err := c.authority.server("kubelet", nodeName, s.host)
	if err != nil {
		return err
	}
	pki := c.authority.dir
	kubelet, err := c.authority.kubeconfig(pki, c.server, "system:node:"+nodeName, "system:nodes")
	if err != nil {
		return err
	}
	proxy, err := c.authority.kubeconfig(pki, c.server, "system:kube-proxy")
	if err != nil {
		return err
	}
	config := nodeConfig{
		Dir: s.dir, Cgroup: s.cgroup, Pods: s.pods, Registry: v.registry, Pause: pauseImage, Runc: runc, CNIDirs: cniDirs,
		CA: c.authority.certFile, ServingCert: serving.certFile, ServingKey: serving.keyFile, Kubeconfig: proxy,
	}
	files, err := config.write(filepath.Join(s.dir, "node"))
	if err != nil {
		return err
	}
	shims := "PATH=" + filepath.Dir(s.programs["containerd"]) + ":" + os.Getenv("PATH")
	if err := p.start(s.programs["containerd"], []string{shims}, "--config="+files["containerd.toml"]); err != nil {
		return err
	}
	// The kubelet gives up if nobody answers at its first try.
	if err := until(ctx, "containerd to answer", time.Minute, p.died, containerdAnswers); err != nil {
		return err
	}
	err = p.start(s.programs["kubelet"], nil,
		"--config="+files["kubelet.yaml"],
		"--kubeconfig="+kubelet,
		"--hostname-override="+nodeName,
		"--node-ip="+s.host,
		"--root-dir="+filepath.Join(s.dir, "kubelet"),
		"--cert-dir="+filepath.Join(s.dir, "kubelet", "pki"),
	)
	if err != nil {
		return err
	}
	return p.start(s.programs["kube-proxy"], nil, "--config="+files["kube-proxy.yaml"], "--hostname-override="+nodeName)
}

// containerdAnswers reports why containerd's socket cannot be connected to.
func containerdAnswers(ctx context.Context) error {
	connection, err := new(net.Dialer).DialContext(ctx, "unix", "/run/containerd/containerd.sock")
	if err != nil {
		return err
	}
	return connection.Close()
}

// pushPause puts the image that holds a pod's namespaces into the registry.
func pushPause(ctx context.Context, s site, registry string) (reference string, err error) {
	reference = registry + "/pause:latest"
	_, err = Image{Program: s.programs["pause"], User: "65535"}.Push(ctx, reference, Login{})
	return reference, err
}

// write fills the templates and returns the files' paths by name. It puts the two whose folder counts where
// containerd looks for them.
func (c nodeConfig) write(dir string) (paths map[string]string, err error) {
	templates, err := template.ParseFS(node, "node/*")
	if err != nil {
		return nil, fmt.Errorf("reading node configuration: %w", err)
	}
	folders := map[string]string{
		"cni.conflist": "cni",
		"hosts.toml":   filepath.Join("registries", c.Registry),
	}
	paths = map[string]string{}
	for _, t := range templates.Templates() {
		var content strings.Builder
		if err := t.Execute(&content, c); err != nil {
			return nil, fmt.Errorf("writing node configuration: %w", err)
		}
		path := filepath.Join(dir, folders[t.Name()], t.Name())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("writing node configuration: %w", err)
		}
		if err := os.WriteFile(path, []byte(content.String()), 0o644); err != nil {
			return nil, fmt.Errorf("writing node configuration: %w", err)
		}
		paths[t.Name()] = path
	}
	return paths, nil
}
