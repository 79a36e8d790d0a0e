// Package install holds the manifests that put belay into a cluster: the custom resource definition, and the agent
// with its rights. What it makes is text for `kubectl apply`.
package install

import (
	"bytes"
	_ "embed"
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
	OnlyCRDs  bool
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
