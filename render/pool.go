package render

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	gosync "sync"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// Pool builds in children of a [Process] that serve many builds, one after the other: to start one costs more than most
// builds do. It has as many of them as there are builds at once, and none when there was no build for a while. Each
// build has its own time, and nothing of one is seen in another.
//
// A child has no second chance: it is replaced after it was killed or ended, when it holds a quarter of the memory that
// it may have, and after some hundred builds.
type Pool struct {
	Process  Process
	Idle     time.Duration // after which a child without work is ended; 15 s if zero
	Remember int64         // bytes of objects as JSON that all memos may hold together; 16 MiB if zero

	memos memos

	mu      gosync.Mutex
	resting []*resting // those without work, the last one to be used first
	closed  bool
}

// resting is a child without work.
type resting struct {
	*child
	retire *time.Timer
}

// enoughJobs is how many builds a child does.
const enoughJobs = 500

// Warm starts a child, so that the first build need not wait for that. Where it cannot be started, that build says so.
func (p *Pool) Warm() {
	process := p.Process.orDefault()
	if c, err := process.start(); err == nil {
		p.give(c, process)
	}
}

// Build is like [Process.Build]. Where a child dies that was there before, others may be to blame: the build has another try
// in a new one.
func (p *Pool) Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error) {
	set, _, err := p.build(ctx, dir, func() *host { return newHost(tree) })
	return set, err
}

// Rebuild is like Build, of an application that may have been built before with the same memo, at whatever commit.
func (p *Pool) Rebuild(ctx context.Context, tree fs.FS, dir string, memo *Memo) (manifests.Set, error) {
	before := p.memos.of(memo)
	set, h, err := p.build(ctx, dir, func() *host {
		h := newHost(tree)
		h.made = remembering(before)
		return h
	})
	if err == nil {
		p.memos.keep(memo, h.made.files, cmp.Or(p.Remember, 16<<20))
	}
	return set, err
}

// build answers the host, too, that had its questions asked: each child has one of its own.
func (p *Pool) build(ctx context.Context, dir string, asked func() *host) (manifests.Set, *host, error) {
	process := p.Process.orDefault()
	if c := p.take(); c != nil {
		h := asked()
		set, died, err := process.buildIn(ctx, c, h, dir)
		p.give(c, process)
		if !died {
			return set, h, err
		}
	}
	c, err := process.start()
	if err != nil {
		return manifests.Set{}, nil, fmt.Errorf("starting the renderer: %w", err)
	}
	defer p.give(c, process)
	h := asked()
	set, _, err := process.buildIn(ctx, c, h, dir)
	return set, h, err
}

// take is a child that rests, or nil.
func (p *Pool) take() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.resting) > 0 {
		last := p.resting[len(p.resting)-1]
		p.resting = p.resting[:len(p.resting)-1]
		if last.retire.Stop() {
			return last.child
		}
	}
	return nil
}

// give puts a child to rest, or to its end.
func (p *Pool) give(c *child, process Process) {
	p.mu.Lock()
	if c.ended || p.closed || c.jobs >= enoughJobs || c.held > process.Memory/4 {
		p.mu.Unlock()
		c.end()
		return
	}
	defer p.mu.Unlock()
	r := &resting{child: c}
	r.retire = time.AfterFunc(cmp.Or(p.Idle, 15*time.Second), func() { p.retire(r) })
	p.resting = append(p.resting, r)
}

// retire ends a child that rested for long enough. Who takes it out of the list has it: a timer that could be stopped
// does not come here.
func (p *Pool) retire(r *resting) {
	p.mu.Lock()
	p.resting = slices.DeleteFunc(p.resting, func(other *resting) bool { return other == r })
	p.mu.Unlock()
	r.end()
}

// Close ends the children without work, and has those with some end after it.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	rest := p.resting
	p.resting = nil
	p.mu.Unlock()
	for _, r := range rest {
		if r.retire.Stop() {
			r.end()
		}
	}
}
