package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Credentials are those of one place where people keep them. What they hold goes to the registry it is for, and to no
// other; it is never told. A nil *Credentials holds none.
type Credentials struct {
	// Source is the place, as people call it: "Secret shop/registry". It is told.
	Source string

	why     string // it cannot be read; empty if it can
	entries []entry
}

// entry is what is kept for one pattern of hosts and repositories.
type entry struct {
	pattern pattern
	config  authn.AuthConfig
}

// Provider finds credentials when they are needed, where they are not kept but made, as clouds do.
type Provider interface {
	// Credentials returns those for an image's repository, written in full with its host and without tag and digest:
	// "docker.io/library/nginx". Without any it returns nil and no error. An error is told, so it holds nothing secret,
	// and the image is not asked for without credentials then.
	Credentials(ctx context.Context, image string) (*Credentials, error)
}

// DockerConfig reads a Docker config, as in config.json and in the .dockerconfigjson of a Secret. What it says of helper
// programs is not heeded. An error names the place that is wrong, and shows nothing of what is there.
func DockerConfig(source string, text []byte) (*Credentials, error) {
	var config struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal(text, &config) != nil {
		return nil, fmt.Errorf(`reading %s: it should be JSON like {"auths": {"registry.example.com": {"username": …, "password": …}}}`, source)
	}
	return newCredentials(source, config.Auths)
}

// LegacyDockerConfig reads what a Docker config was before 2015, as in the .dockercfg of a Secret: the hosts are at the
// top. Its errors are like those of [DockerConfig].
func LegacyDockerConfig(source string, text []byte) (*Credentials, error) {
	var auths map[string]json.RawMessage
	if json.Unmarshal(text, &auths) != nil {
		return nil, fmt.Errorf(`reading %s: it should be JSON like {"registry.example.com": {"username": …, "password": …}}`, source)
	}
	return newCredentials(source, auths)
}

// Unreadable stands for a source that was named and cannot be read. It has no credentials for any host; when a registry
// refuses an image, the error says why.
func Unreadable(source, why string) *Credentials { return &Credentials{Source: source, why: why} }

func newCredentials(source string, auths map[string]json.RawMessage) (*Credentials, error) {
	c := &Credentials{Source: source}
	for _, place := range slices.Sorted(maps.Keys(auths)) {
		config, err := readAuth(auths[place])
		if err != nil {
			return nil, fmt.Errorf("reading %s: the entry %s %w", source, printable(place), err)
		}
		if pattern, ok := parsePattern(place); ok && config != (authn.AuthConfig{}) {
			c.entries = append(c.entries, entry{pattern, config})
		}
	}
	slices.SortStableFunc(c.entries, func(a, b entry) int { return a.pattern.compare(b.pattern) })
	return c, nil
}

// readAuth reads one entry. The same credentials are equal however they are written.
func readAuth(text json.RawMessage) (authn.AuthConfig, error) {
	var config authn.AuthConfig
	if err := json.Unmarshal(text, &config); err != nil {
		if json.Unmarshal(text, &struct {
			Auth                                             *string
			Username, Password, IdentityToken, RegistryToken string
		}{}) != nil {
			return authn.AuthConfig{}, errors.New("should have username and password, auth, identitytoken or registrytoken, each a string")
		}
		return authn.AuthConfig{}, errors.New(`has an auth that is not the base64 of "username:password"`)
	}
	config.Auth = ""
	return config, nil
}

// lookup returns what c has for a repository of a host, in the order in which it is tried.
func (c *Credentials) lookup(host, path string) []authn.AuthConfig {
	if c == nil {
		return nil
	}
	var found []authn.AuthConfig
	for _, e := range c.entries {
		if e.pattern.matches(host, path) {
			found = append(found, e.config)
		}
	}
	return found
}
