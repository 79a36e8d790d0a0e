package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
)

// policyFile is asked by Debian's packages whether they may start the services that they bring:
// https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
const policyFile = "/usr/sbin/policy-rc.d"

// bringServices are the packages that bring one.
var bringServices = []string{"docker-registry"}

// installQuietly installs packages of Debian's, and lets no service of theirs start, neither now nor at the next boot.
func installQuietly(ctx context.Context, packages []string) (err error) {
	allow, err := forbidServices(policyFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, allow()) }()
	commands := [][]string{
		{"apt-get", "update"},
		append([]string{"apt-get", "install", "--yes", "--no-install-recommends"}, packages...),
	}
	for _, p := range packages {
		if slices.Contains(bringServices, p) {
			commands = append(commands, []string{"update-rc.d", p, "disable"})
		}
	}
	for _, args := range commands {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w\n%s", args[0], args[1], err, out)
		}
	}
	return nil
}

// forbidServices writes a policy by which no service starts, unless the machine has a policy of its own: that one stays.
// The function that it returns takes the policy away again.
func forbidServices(path string) (allow func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("forbidding services: %w", err)
	}
	_, err = file.WriteString("#!/bin/sh\nexit 101 # forbidden by policy\n")
	return func() error { return os.Remove(path) }, errors.Join(err, file.Close())
}
