package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks is the kernel's USER_HZ, in which /proc counts CPU time: 100 on every architecture of Go's.
const ticks = 100

// process is what /proc says of one.
type process struct {
	pid, parent int
	name        string  // at most 15 characters
	cpu         float64 // seconds, with those of its children that have ended
}

// readProcess reads /proc/PID/stat, by proc(5). The name is between parentheses and may hold anything.
func readProcess(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, false
	}
	fields := strings.Fields(string(text[end+1:])) // from the third on: state, ppid, …
	if len(fields) < 15 {
		return process{}, false
	}
	p := process{pid: pid, name: string(text[open+1 : end])}
	p.parent, _ = strconv.Atoi(fields[1])
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		count, _ := strconv.Atoi(field)
		p.cpu += float64(count) / ticks
	}
	return p, true
}

// below are the processes below one.
func below(pid int) []process {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	children := map[int][]process{}
	for _, entry := range entries {
		id, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		if p, ok := readProcess(id); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var all []process
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		for _, child := range children[todo[0]] {
			all = append(all, child)
			todo = append(todo, child.pid)
		}
	}
	return all
}

// cpuOf is the CPU time in seconds of a process and all below it, ended or not.
func cpuOf(pid int) float64 {
	p, _ := readProcess(pid)
	for _, child := range below(pid) {
		p.cpu += child.cpu
	}
	return p.cpu
}

// memoryOf reads a line of /proc/PID/status in bytes: VmHWM is the peak of what is resident, VmRSS what is now.
func memoryOf(pid int, line string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), line+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10
}

// resetPeak has VmHWM begin anew at what is resident now.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// peakBelow watches what the processes below one have resident together, until stop is closed, and answers the most.
func peakBelow(pid int, stop <-chan struct{}) int64 {
	var most int64
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-stop:
			return most
		case <-every.C:
		}
		var now int64
		for _, p := range below(pid) {
			now += memoryOf(p.pid, "VmRSS")
		}
		most = max(most, now)
	}
}
