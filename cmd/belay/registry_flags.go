package main

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/registry/provider"
)

const (
	insecureRegistryUsage = "a registry, host[:port], that may be spoken to over plain HTTP and at a private address; may be given several times"
	registryHostsDirUsage = "where containerd is told of mirrors and private authorities, such as /etc/containerd/certs.d"
)

// registryFlags are what the operator of the agent decides about registries and images.
type registryFlags struct {
	insecure      []string
	hostsDir      string
	dockerConfig  string
	imagePaths    string
	providers     providerFlags
	checkInterval time.Duration
}

func (r *registryFlags) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&r.insecure, "insecure-registry", nil, insecureRegistryUsage)
	f.StringVar(&r.hostsDir, "registry-hosts-dir", "", registryHostsDirUsage)
	f.StringVar(&r.dockerConfig, "docker-config", defaultDockerConfig(), "a Docker config.json with the agent's own credentials, shown to a registry after those that pods have; read anew when they are needed")
	f.StringVar(&r.providers.config, "image-credential-provider-config", "", "the kubelet's file of that flag: programs that are asked for registries' credentials after all others, as clouds have them")
	f.StringVar(&r.providers.binDir, "image-credential-provider-bin-dir", "", "where those programs are")
	f.StringVar(&r.imagePaths, "image-paths", "", "a YAML file that says where custom resources name images, for all Syncs: a list like spec.images.paths")
	f.DurationVar(&r.checkInterval, "image-check-interval", 12*time.Hour, "how often registries are asked whether they still have the digests of the stored releases; 0 for never")
}

// defaultDockerConfig is the config.json of $DOCKER_CONFIG, where there is one. The agent has no home to look in.
func defaultDockerConfig() string {
	if os.Getenv("DOCKER_CONFIG") == "" {
		return ""
	}
	return string(userDockerConfig())
}

// imageSettings are the flags, read and found to be right.
type imageSettings struct {
	options registry.Options
	own     dockerFile
	places  []manifests.Place
}

// read reads the files that the flags name, so that what is wrong with them ends the agent before it begins. ApiServers
// are the hosts that no image may lead to.
func (r registryFlags) read(apiServers []string) (imageSettings, error) {
	places, err := imagePaths(r.imagePaths)
	if err != nil {
		return imageSettings{}, err
	}
	own := dockerFile(r.dockerConfig)
	if own != "" {
		if _, err := own.read(); err != nil {
			return imageSettings{}, err
		}
	}
	provider, err := r.providers.read()
	if err != nil {
		return imageSettings{}, err
	}
	return imageSettings{own: own, places: places, options: registry.Options{
		Provider: provider, Endpoints: registry.Hosts(r.hostsDir), Refuse: apiServers, Insecure: r.insecure,
		Proxy: http.ProxyFromEnvironment, UserAgent: userAgent(),
	}}, nil
}

// providerFlags are the kubelet's flags of the same names.
type providerFlags struct{ config, binDir string }

// read reads the configuration, and finds its programs; nil without one.
func (p providerFlags) read() (registry.Provider, error) {
	switch {
	case p == providerFlags{}:
		return nil, nil
	case p.config == "" || p.binDir == "":
		return nil, errors.New("--image-credential-provider-config and --image-credential-provider-bin-dir go together: give both")
	}
	return provider.New(p.config, p.binDir)
}

// apiServers are the names of the API server: as a kubeconfig has it, and as pods are told it.
func apiServers(host string) []string {
	var names []string
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		names = append(names, u.Host)
	}
	if inside := os.Getenv("KUBERNETES_SERVICE_HOST"); inside != "" {
		names = append(names, net.JoinHostPort(inside, cmp.Or(os.Getenv("KUBERNETES_SERVICE_PORT"), "443")))
	}
	return names
}
