package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	gosync "sync"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/render"
)

// renderer renders a few trees at once, since each may take the memory that it is given, in processes that it keeps
// warm.
//
// It is fair: who came first is next. And what took long the last time has all places but one at the most, so that
// small trees get by between big ones. A tree that was never rendered is taken for a small one: two big ones may then
// have both places, once, for as long as a rendering may last.
type renderer struct {
	pool  *render.Pool
	slots chan struct{} // a channel lets in who waited longest
	long  chan struct{} // held before a slot, by what takes long
}

// aLongBuild is what an application of a few hundred objects stays below.
const aLongBuild = 500 * time.Millisecond

func newRenderer(memory int64, concurrency int) (*renderer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	concurrency = max(1, concurrency)
	return &renderer{
		pool:  &render.Pool{Process: render.Process{Command: []string{self, renderChild}, Memory: memory}},
		slots: make(chan struct{}, concurrency),
		long:  make(chan struct{}, max(1, concurrency-1)),
	}, nil
}

// close ends the processes.
func (r *renderer) close() { r.pool.Close() }

// forSync is the renderer for one Sync, whose renderings are alike.
func (r *renderer) forSync() *syncRenderer { return &syncRenderer{renderer: r} }

// syncRenderer remembers how long the last rendering took, and what came of it.
type syncRenderer struct {
	*renderer

	memo render.Memo

	mu   gosync.Mutex
	took time.Duration
}

// Build implements [sync.Renderer].
func (r *syncRenderer) Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error) {
	leave, err := r.enter(ctx, r.lastTook() >= aLongBuild)
	if err != nil {
		return manifests.Set{}, err
	}
	defer leave()
	start := time.Now()
	set, err := r.pool.Rebuild(ctx, tree, dir, &r.memo)
	took := time.Since(start)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || took > r.took { // one that was given up says little
		r.took = took
	}
	return set, err
}

func (r *syncRenderer) lastTook() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.took
}

// enter waits for a place.
func (r *renderer) enter(ctx context.Context, long bool) (leave func(), err error) {
	places := []chan struct{}{r.slots}
	if long {
		places = []chan struct{}{r.long, r.slots}
	}
	var held []chan struct{}
	leave = func() {
		for _, place := range held {
			<-place
		}
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			held = append(held, place)
		case <-ctx.Done():
			leave()
			return nil, fmt.Errorf("waiting for others to be rendered: %w", ctx.Err())
		}
	}
	return leave, nil
}
