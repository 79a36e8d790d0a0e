//go:build !unix

package provider

import "os/exec"

// killGroup returns what kills the command itself: there are no process groups here.
func killGroup(command *exec.Cmd) func() error {
	return func() error { return command.Process.Kill() }
}
