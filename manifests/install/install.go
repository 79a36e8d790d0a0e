// Package install holds the manifests that put belay into a cluster: the custom resource definition, and the agent
// with its rights. What it makes is text for `kubectl apply`.
package install

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"text/template"
)

//go:embed belay.dev_syncs.yaml
var crd []byte

//go:embed agent.yaml
var agent string

var agentTemplate = template.Must(template.New("agent.yaml").Parse(agent))

// Options are what differs from one cluster to another.
type Options struct {
	Namespace string
	Image     string
	Args      []string // further arguments of `belay agent`
	Files     []File   // what arguments name, for the agent to read; they are kept in a Secret
	// DockerConfigSecret is the Secret of the agent's own registry credentials, of the type
	// kubernetes.io/dockerconfigjson; empty for none. People make it.
	DockerConfigSecret string
	OnlyCRDs           bool
}

// Where the agent finds what is mounted for it.
const (
	FilesDir     = "/etc/belay/files"
	DockerConfig = "/etc/belay/docker/config.json"
)

// File is a file that the agent finds at [FilesDir].
type File struct {
	Path    string // below that, with slashes: "certs.d/docker.io/hosts.toml"
	Content []byte
}

// Text is the content as a Secret has it.
func (f File) Text() string { return base64.StdEncoding.EncodeToString(f.Content) }

// FilesDigest is other once a file is. Files that are read when the agent starts count after a start only.
func (o Options) FilesDigest() string {
	hash := sha256.New()
	for _, file := range o.Files {
		fmt.Fprintf(hash, "%q %q\n", file.Path, file.Content)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// Manifests is the installation as YAML.
func Manifests(options Options) ([]byte, error) {
	if options.OnlyCRDs {
		return bytes.Clone(crd), nil
	}
	var text bytes.Buffer
	text.Write(crd)
	if err := agentTemplate.Execute(&text, options); err != nil {
		return nil, fmt.Errorf("writing the agent's manifests: %w", err)
	}
	return text.Bytes(), nil
}
