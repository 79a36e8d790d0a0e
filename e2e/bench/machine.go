package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is what a run was on, and of which versions.
type Machine struct {
	Cores      int       `json:"cores"`
	Processor  string    `json:"processor"`
	MemoryGiB  int       `json:"memoryGiB"`
	Kernel     string    `json:"kernel"`
	Go         string    `json:"go"`
	Git        string    `json:"git"`
	Kubernetes string    `json:"kubernetes"`
	Belay      string    `json:"belay"`
	Date       time.Time `json:"date"`
}

// describe asks this machine and the programs. Kubernetes' version is known when a cluster is there.
func describe(ctx context.Context, o options) (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Date: time.Now().UTC().Truncate(time.Second)}
	for _, each := range []struct {
		into *string
		args []string
	}{
		{&m.Belay, []string{o.belay, "version"}},
		{&m.Git, []string{"git", "version"}},
	} {
		out, err := exec.CommandContext(ctx, each.args[0], each.args[1:]...).Output()
		if err != nil {
			return Machine{}, err
		}
		*each.into = strings.TrimSpace(string(out))
	}
	m.Git = strings.TrimPrefix(m.Git, "git version ")
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return Machine{}, err
	}
	m.Kernel = strings.TrimSpace(string(kernel))
	m.Processor = lineOf("/proc/cpuinfo", "model name")
	kib, _ := strconv.Atoi(strings.TrimSuffix(lineOf("/proc/meminfo", "MemTotal"), " kB"))
	m.MemoryGiB = (kib + 1<<19) >> 20
	return m, nil
}

// lineOf is what stands after a name and a colon in a file of /proc; "" if there is none.
func lineOf(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
