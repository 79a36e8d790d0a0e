package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// repository is a Git repository on the cluster's server, with a clone to commit in.
type repository struct {
	url   string // as belay is told: through the proxy
	clone string // path
	bare  string // path
}

// newRepository makes an empty one.
func (t *target) newRepository(ctx context.Context, name string) (*repository, error) {
	r := &repository{
		url:   "http://" + t.git.address + "/" + name + ".git",
		clone: filepath.Join(t.dir, "clones", name),
		bare:  filepath.Join(t.GitRoot, name+".git"),
	}
	if err := os.MkdirAll(r.clone, 0o755); err != nil {
		return nil, err
	}
	if _, err := gitIn(ctx, t.dir, "init", "--quiet", "--bare", "--initial-branch=main", r.bare); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"config", "user.name", "bench"},
		{"config", "user.email", "bench@example.com"},
		{"config", "gc.auto", "0"},
		{"remote", "add", "origin", t.Git + "/" + name + ".git"},
	} {
		if _, err := gitIn(ctx, r.clone, args...); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// write writes files, by their paths, into the clone.
func (r *repository) write(files map[string]string) error {
	for path, text := range files {
		path = filepath.Join(r.clone, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commit commits what was written, or nothing, and answers the commit.
func (r *repository) commit(ctx context.Context, message string) (string, error) {
	if _, err := gitIn(ctx, r.clone, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := gitIn(ctx, r.clone, "commit", "--quiet", "--allow-empty", "--message", message); err != nil {
		return "", err
	}
	return gitIn(ctx, r.clone, "rev-parse", "HEAD")
}

// push sends it to the server.
func (r *repository) push(ctx context.Context) error {
	_, err := gitIn(ctx, r.clone, "push", "--quiet", "origin", "main")
	return err
}

// publish writes files, commits them and pushes them. It answers the commit.
func (r *repository) publish(ctx context.Context, message string, files map[string]string) (string, error) {
	if err := r.write(files); err != nil {
		return "", err
	}
	commit, err := r.commit(ctx, message)
	if err != nil {
		return "", err
	}
	return commit, r.push(ctx)
}

// gitIn runs Git, without this user's configuration.
func gitIn(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
