package main

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackOnceABurstIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var allocated, freed atomic.Uint64
		b := &burst{free: func() { freed.Add(1) }, allocated: allocated.Load}
		wait := func(d time.Duration, want uint64, when string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := freed.Load(); got != want {
				t.Errorf("%s: given back %d times, not %d", when, got, want)
			}
		}
		first, second := b.pass(), b.pass()
		allocated.Add(worthwhile)
		first()
		wait(time.Hour, 0, "while a pass runs")
		second()
		wait(quietFor-time.Second, 0, "a moment after the last pass")
		b.pass()()
		wait(quietFor-time.Second, 0, "a moment after one more pass")
		wait(time.Second, 1, "after a quiet time")
		b.pass()()
		wait(time.Hour, 1, "after a pass at rest")
		allocated.Add(worthwhile)
		b.pass()()
		wait(quietFor, 2, "after another burst")
	})
}

func TestTheRuntimeTellsWhatWasAllocated(t *testing.T) {
	before := heapAllocated()
	kept := make([]byte, 1<<20)
	if after := heapAllocated(); after < before+uint64(len(kept)) {
		t.Errorf("%d bytes before, and %d after one more MiB", before, after)
	}
}

func TestASmallHeapMayGrowByMore(t *testing.T) {
	for alive, want := range map[uint64]int{0: 750, 1 << 20: 750, 10 << 20: 400, 20 << 20: 200, 40 << 20: 100, 80 << 20: growth, 1 << 30: growth} {
		if got := growthOf(alive); got != want {
			t.Errorf("%d MiB: %d %%, not %d", alive>>20, got, want)
		}
	}
}

func TestEachCollectionIsSeen(t *testing.T) {
	seen := make(chan struct{}, 1)
	onCollection(func() { // of this process until its end
		select {
		case seen <- struct{}{}:
		default:
		}
	})
	for range 3 {
		for waiting := true; waiting; {
			runtime.GC() // the one after this is seen, if not this: it may come before the last one was told
			select {
			case <-seen:
				waiting = false
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}
