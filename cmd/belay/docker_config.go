package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/belay-gitops/belay/registry"
)

// dockerFile is a Docker config.json; empty for none. It is read whenever it is needed, since a Secret that is mounted
// changes while the agent runs.
type dockerFile string

func (f dockerFile) read() (*registry.Credentials, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("reading the Docker config: %w", err)
	}
	return registry.DockerConfig(string(f), text)
}

// credentials are what the file holds by now. That it cannot be read is told when a registry refuses.
func (f dockerFile) credentials() []*registry.Credentials {
	if f == "" {
		return nil
	}
	credentials, err := f.read()
	if err != nil {
		credentials = registry.Unreadable(string(f), why(err, string(f)))
	}
	return []*registry.Credentials{credentials}
}

// why is an error of package registry about a source without the source's name, which is told beside it.
func why(err error, source string) string {
	return strings.TrimPrefix(err.Error(), "reading "+source+": ")
}

// userDockerConfig is the user's own, if there is one. Its helper programs are not run.
func userDockerConfig() dockerFile {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".docker")
	}
	file := filepath.Join(dir, "config.json")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return dockerFile(file)
}
