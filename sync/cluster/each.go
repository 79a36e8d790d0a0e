package cluster

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// parallel is how many objects of one Sync are tried or written side by side: half of [defaultInFlight], so that others are
// served beside one of thousands. That one takes a tenth longer with half as many, for etcd writes at once what comes together.
const parallel = 16

// each calls do with 0 to n-1, side by side, and returns when all are done. A panic of one of them goes on in the
// caller's goroutine: it ends this pass, and not the agent.
func each(n int, do func(i int)) {
	var group errgroup.Group
	var begun atomic.Int64
	// A goroutine for each of thousands would grow the stack that a request takes each time.
	for range min(n, parallel) {
		group.Go(func() (err error) {
			defer func() {
				if cause := recover(); cause != nil {
					err = fmt.Errorf("%v\n%s", cause, debug.Stack())
				}
			}()
			for i := begun.Add(1) - 1; i < int64(n); i = begun.Add(1) - 1 {
				do(int(i))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		panic(err.Error())
	}
}
