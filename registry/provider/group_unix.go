//go:build unix

package provider

import (
	"os/exec"
	"syscall"
)

// killGroup puts a command into a process group of its own, and returns what kills the group.
func killGroup(command *exec.Cmd) func() error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}
