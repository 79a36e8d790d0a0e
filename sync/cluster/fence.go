package cluster

import (
	"errors"
	"net/http"
	gosync "sync"
	"time"
)

// errLeaseOver is why an agent writes no more.
var errLeaseOver = errors.New("this agent's lease is over, and another agent may have it; nothing is written any more")

// fence keeps an agent from writing without the lease. Leader election alone does not: a process that was stopped,
// or starved, goes on where it was, and learns that it has a successor only when the next renewal fails. So each
// write is let through only for a part of the lease's duration after the last renewal, which is less than a
// successor waits. The clock is the monotonic one, which goes on while a process is stopped.
//
// Once over, it is over: what the process remembers is of the time before its successor. Nor is the lease written any
// more then, for client-go gives a lease back without a look at whose it is by now.
type fence struct {
	limit time.Duration // how long a renewal counts
	lost  func()        // called when the lease is found to be over, at least once
	now   func() time.Time

	mu      gosync.Mutex
	renewed time.Time // when the last renewal that succeeded was sent; zero before the first
	over    bool
}

// newFence makes a fence for a lease of this duration, of which a Lease tells a successor the whole seconds.
func newFence(lease time.Duration, lost func()) *fence {
	lease = lease.Truncate(time.Second)
	return &fence{limit: lease - lease/5, lost: lost, now: time.Now}
}

// wrap puts the fence around a transport.
func (f *fence) wrap(next http.RoundTripper) http.RoundTripper {
	return transport{next, f.trip}
}

func (f *fence) trip(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	switch {
	case isLease(request):
		return f.renew(next, request)
	case isWrite(request) && !f.open():
		return refuse(request, errLeaseOver)
	}
	return next.RoundTrip(request)
}

// renew sends a write of the lease, and notes it if it succeeds.
func (f *fence) renew(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	if f.lapsed() {
		return refuse(request, errLeaseOver)
	}
	sent := f.now()
	response, err := next.RoundTrip(request)
	if err == nil && response.StatusCode/100 == 2 {
		f.mu.Lock()
		f.renewed = sent
		f.mu.Unlock()
	}
	return response, err
}

// open tells whether the agent has the lease for sure.
func (f *fence) open() bool {
	lapsed := f.lapsed()
	f.mu.Lock()
	defer f.mu.Unlock()
	return !lapsed && !f.renewed.IsZero()
}

// lapsed tells whether the agent had the lease and may have lost it.
func (f *fence) lapsed() bool {
	f.mu.Lock()
	if !f.renewed.IsZero() && f.now().Sub(f.renewed) >= f.limit {
		f.over = true
	}
	over := f.over
	f.mu.Unlock()
	if over {
		f.lost()
	}
	return over
}
