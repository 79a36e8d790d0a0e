package provider

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	config "k8s.io/kubelet/config/v1"
	api "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"sigs.k8s.io/yaml"
)

// readConfig reads what is configured, as strictly as the kubelet: an unknown field is an error.
func readConfig(path string) ([]config.CredentialProvider, error) {
	files, err := configFiles(path)
	if err != nil {
		return nil, err
	}
	var all []config.CredentialProvider
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration of credential providers: %w", err)
		}
		var read config.CredentialProviderConfig
		if err := yaml.UnmarshalStrict(text, &read); err != nil {
			return nil, fmt.Errorf("%s: this should be a CredentialProviderConfig: %w", file, err)
		}
		if version := config.SchemeGroupVersion.String(); read.APIVersion != version || read.Kind != "CredentialProviderConfig" {
			return nil, fmt.Errorf("%s: write apiVersion: %s and kind: CredentialProviderConfig", file, version)
		}
		for _, provider := range read.Providers {
			if err := check(provider); err != nil {
				return nil, fmt.Errorf("%s: provider %q: %w", file, provider.Name, err)
			}
			if slices.ContainsFunc(all, func(c config.CredentialProvider) bool { return c.Name == provider.Name }) {
				return nil, fmt.Errorf("%s: provider %q is there twice; each program can be configured once", file, provider.Name)
			}
			all = append(all, provider)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: there are no providers; name at least one program", path)
	}
	return all, nil
}

// configFiles are path, or what the kubelet takes from a directory, sorted.
func configFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of credential providers: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of credential providers: %w", err)
	}
	var files []string
	for _, entry := range entries {
		if !entry.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(entry.Name())) {
			files = append(files, filepath.Join(path, entry.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: this directory has no *.yaml, *.yml or *.json file; add a CredentialProviderConfig", path)
	}
	return files, nil
}

// check applies the kubelet's rules (k8s.io/kubernetes pkg/credentialprovider/plugin/config.go), and says what it finds
// first.
func check(c config.CredentialProvider) error {
	switch {
	case c.Name == "" || c.Name == "." || c.Name == ".." || strings.ContainsAny(c.Name, `/\ `):
		return errors.New("name must be the file name of a program, without slashes and spaces")
	case c.APIVersion != api.SchemeGroupVersion.String():
		return fmt.Errorf("apiVersion must be %s", api.SchemeGroupVersion)
	case len(c.MatchImages) == 0:
		return errors.New("matchImages must name at least one registry, such as *.dkr.ecr.*.amazonaws.com")
	case c.DefaultCacheDuration == nil || c.DefaultCacheDuration.Duration < 0:
		return errors.New("defaultCacheDuration must be there and not negative, such as 12h; 0s means that nothing is kept")
	case c.TokenAttributes != nil:
		return errors.New("tokenAttributes are not supported, since the agent is no pod of the ServiceAccount whose images it" +
			" resolves; take them out, and give the agent's own account the right to pull")
	}
	for _, variable := range c.Env {
		if variable.Name == "" || strings.ContainsAny(variable.Name, "=\x00") || strings.Contains(variable.Value, "\x00") {
			return fmt.Errorf("env: %q is not the name of a variable", variable.Name)
		}
	}
	return nil
}
