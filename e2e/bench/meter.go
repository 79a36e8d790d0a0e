package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Cost is what a step took of this machine.
type Cost struct {
	Requests  requests           `json:"requests"`         // to the API server
	CPU       float64            `json:"cpuSeconds"`       // the agent's, with its render processes
	ServerCPU map[string]float64 `json:"serverCPUSeconds"` // of the cluster's processes
	RSS       int64              `json:"peakRSSBytes"`     // the agent's process alone
	BelowRSS  int64              `json:"peakRSSBelowBytes"`
	GitBytes  int64              `json:"gitBytes"` // from the Git server
	GitPolls  int                `json:"gitPolls"` // how often that was asked what it has
}

// meter measures from when it is made until stop.
type meter struct {
	target   *target
	user     string
	pid      int // of the agent; 0 is none
	requests requests
	cpu      float64
	servers  map[string]float64
	git      int64
	polls    int
	stopped  chan struct{}
	below    chan int64
}

// measure begins to measure what a user asks for. With pid 0 there is no process to look at yet; see watch.
func (t *target) measure(ctx context.Context, user string, pid int) (*meter, error) {
	m := &meter{target: t, user: user, stopped: make(chan struct{}), below: make(chan int64, 1)}
	var err error
	if m.requests, err = t.requestsOf(ctx, user); err != nil {
		return nil, err
	}
	if m.polls, err = t.polls(ctx); err != nil {
		return nil, err
	}
	m.servers, m.git = t.serverCPU(), t.git.got.Load()
	if pid == 0 {
		return m, nil
	}
	if err := resetPeak(pid); err != nil {
		return nil, err
	}
	m.cpu = cpuOf(pid)
	m.watch(pid)
	return m, nil
}

// watch has the meter look at a process, all of whose CPU time counts if it is new.
func (m *meter) watch(pid int) {
	m.pid = pid
	go func() { m.below <- peakBelow(pid, m.stopped) }()
}

// stop ends measuring. What a step leaves to be done is part of it: see [target.settle].
func (m *meter) stop(ctx context.Context) (Cost, error) {
	close(m.stopped)
	c := Cost{}
	if m.pid != 0 {
		c.BelowRSS = <-m.below
		c.CPU, c.RSS = cpuOf(m.pid)-m.cpu, memoryOf(m.pid, "VmHWM")
	}
	c.GitBytes = m.target.git.got.Load() - m.git
	polls, err := m.target.polls(ctx)
	if err != nil {
		return Cost{}, err
	}
	c.GitPolls = polls - m.polls
	c.ServerCPU = map[string]float64{}
	for name, now := range m.target.serverCPU() {
		c.ServerCPU[name] = now - m.servers[name]
	}
	now, err := m.target.requestsOf(ctx, m.user)
	if err != nil {
		return Cost{}, err
	}
	c.Requests = now.less(m.requests)
	return c, nil
}

// polls is how often the Git server was asked for its references so far: a poll is a request for its capabilities, and one
// by protocol v2. A push and a fetch count as well.
func (t *target) polls(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", t.Control+"/git/requests", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var counted struct{ Requests map[string]int }
	if err := json.NewDecoder(answer.Body).Decode(&counted); err != nil {
		return 0, fmt.Errorf("reading what the Git server was asked: %w", err)
	}
	refs, packs := 0, 0
	for path, count := range counted.Requests {
		switch {
		case strings.HasSuffix(path, "/info/refs"):
			refs += count
		case strings.HasSuffix(path, "/git-upload-pack"):
			packs += count
		}
	}
	return max(refs, packs), nil
}

// serverCPU is the CPU time so far of the cluster's processes by name.
func (t *target) serverCPU() map[string]float64 {
	all := map[string]float64{}
	for _, p := range below(t.command.Process.Pid) {
		all[p.name] += p.cpu
	}
	return all
}

// idleAfter waits until the cluster's processes have less than a fifth of a core to do for a moment, and answers how long that
// took, to a tenth of a second.
func (t *target) idleAfter(ctx context.Context) (seconds float64, err error) {
	return t.quiet(ctx, 50*time.Millisecond, 2, 0.2)
}

// clusterCPU is the CPU time so far of all of the cluster's processes, in seconds.
func (t *target) clusterCPU() float64 {
	sum := 0.0
	for _, seconds := range t.serverCPU() {
		sum += seconds
	}
	return sum
}

// settle waits until the cluster's processes have as good as nothing to do for a second: less than an eighth of a core.
func (t *target) settle(ctx context.Context) error {
	_, err := t.quiet(ctx, time.Second, 1, 0.12)
	return err
}

// quiet waits until the cluster's processes take no more than so much of a core in each of so many windows in a row. It answers
// how long it was until the first of these.
func (t *target) quiet(ctx context.Context, window time.Duration, windows int, core float64) (seconds float64, err error) {
	began, last, inARow := time.Now(), t.clusterCPU(), 0
	for time.Since(began) < 2*time.Minute {
		if err := pause(ctx, window); err != nil {
			return 0, err
		}
		now := t.clusterCPU()
		if inARow++; now-last > core*window.Seconds() {
			inARow = 0
		}
		if last = now; inARow == windows {
			return max(0, (time.Since(began) - time.Duration(windows)*window).Seconds()), nil
		}
	}
	return 0, fmt.Errorf("the cluster does not come to rest")
}

// pause sleeps.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
