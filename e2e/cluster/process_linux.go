package cluster

import "syscall"

// ownGroup makes a child lead a process group, so that it can be ended with its children and a Ctrl-C in the
// terminal does not reach it before it is told to end. The kernel ends it if this program is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
