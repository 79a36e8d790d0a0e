// Package provider finds the credentials that clouds make: it runs the programs
// which do so for the nodes, such as ecr-credential-provider, in the way in which
// the kubelet runs them (KEP-2133). So the agent needs no library of any cloud.
//
// The programs and their configuration are the operator's, and are trusted. What
// they write to standard output holds secrets, and so may what they write to
// standard error: neither reaches an error.
package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	api "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/belay-gitops/belay/registry"
)

// New reads the kubelet's CredentialProviderConfig (kubelet.config.k8s.io/v1) from a file, or from the *.yaml, *.yml and
// *.json files of a directory, and finds its programs in binDir. They are what the kubelet is told with
// --image-credential-provider-config and --image-credential-provider-bin-dir. The error says what is wrong in which file.
//
// Programs that want a ServiceAccount's token (tokenAttributes) are refused: the agent is no pod of that account.
func New(config, binDir string) (registry.Provider, error) {
	configured, err := readConfig(config)
	if err != nil {
		return nil, err
	}
	all := make(programs, len(configured))
	for i, c := range configured {
		if all[i], err = newProgram(c, binDir); err != nil {
			return nil, fmt.Errorf("%s: %w", config, err)
		}
	}
	return all, nil
}

// programs are all that are configured, in their order.
type programs []*program

// Credentials asks each program whose matchImages fit, and returns what they say together; where two of them have the same
// key, that of the first counts. One that fails makes an error only if no other has an answer, as for the kubelet.
func (all programs) Credentials(ctx context.Context, image string) (*registry.Credentials, error) {
	together := map[string]api.AuthConfig{}
	var sources []string
	var errs []error
	for _, p := range all {
		if !p.matches(image) {
			continue
		}
		auth, err := p.credentials(ctx, image)
		if err != nil {
			errs = append(errs, fmt.Errorf("credential provider %s %w", p.name, err))
			continue
		}
		if len(auth) == 0 {
			continue
		}
		sources = append(sources, p.name)
		earlier := together
		together = maps.Clone(auth)
		maps.Copy(together, earlier)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(sources) == 0 {
		return nil, errors.Join(errs...)
	}
	text, err := json.Marshal(map[string]any{"auths": together})
	if err != nil {
		return nil, err
	}
	return registry.DockerConfig("credential provider "+strings.Join(sources, " and "), text)
}
