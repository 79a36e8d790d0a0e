package git

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// steadyBytes is how much a transfer has to bring in each [Limits.Timeout] to be
// waited for further: a large repository gets its time, a server that trickles
// does not.
const steadyBytes = 1 << 20

// A patience ends a transfer that brings too little.
type patience struct {
	timeout time.Duration
	timer   *time.Timer
	cancel  context.CancelFunc
	over    atomic.Bool
	owed    int64 // bytes until the time begins anew
}

// newPatience returns a context that is cancelled when the patience is over. It
// has to be ended.
func newPatience(ctx context.Context, timeout time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancel(ctx)
	p := &patience{timeout: timeout, cancel: cancel, owed: steadyBytes}
	p.timer = time.AfterFunc(timeout, func() {
		p.over.Store(true)
		cancel()
	})
	return ctx, p
}

func (p *patience) end() {
	p.timer.Stop()
	p.cancel()
}

// told returns err, or what it is if the patience was over.
func (p *patience) told(err error) error {
	if err != nil && p.over.Load() {
		return retry(Timeout, "less than %d bytes came within %s", steadyBytes, p.timeout)
	}
	return err
}

// of counts what is read of a transfer.
func (p *patience) of(transfer io.Reader) io.Reader { return &steady{transfer, p} }

type steady struct {
	io.Reader
	*patience
}

func (s *steady) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if s.owed -= int64(n); s.owed <= 0 {
		s.owed = steadyBytes
		s.timer.Reset(s.timeout)
	}
	return n, err
}
