package registry

import (
	"fmt"
	"time"
)

const (
	tolerated    = 5 // failures in a row
	shortestOpen = time.Second
	longestOpen  = 5 * time.Minute
)

// breaker keeps callers from a host that does not work, so that a thousand of them do not wait for it one after another.
// It is a value: each method returns what comes next.
type breaker struct {
	failures int           // in a row
	since    time.Time     // the first of them
	why      string        // the last of them
	open     time.Duration // for how long it was opened the last time; zero while it is closed
	until    time.Time     // when one may try again
	trying   bool          // one does
}

// check returns an error while nobody may ask host.
func (b breaker) check(host string, now time.Time) *Error {
	if b.open == 0 || !b.trying && !now.Before(b.until) {
		return nil
	}
	return &Error{
		Reason: Unavailable,
		Detail: fmt.Sprintf("%s is not asked for now, since it has failed %d times in a row from %s on; the last time, %s",
			host, b.failures, b.since.UTC().Format(time.RFC3339), b.why),
		Temporary:  true,
		RetryAfter: max(b.until.Sub(now), shortestOpen),
	}
}

// entered follows when somebody asks. While it is half open, that one is alone.
func (b breaker) entered() breaker {
	b.trying = b.open > 0
	return b
}

// failed follows a failure. Jitter, of [0, 1), keeps agents that saw the same failure from coming back at once.
func (b breaker) failed(now time.Time, why string, jitter float64) breaker {
	if b.failures == 0 {
		b.since = now
	}
	b.failures++
	b.why = why
	if b.failures < tolerated || b.open > 0 && !b.trying {
		return b // the latter had asked before it opened
	}
	b.trying = false
	b.open = min(max(2*b.open, shortestOpen), longestOpen)
	b.until = now.Add(b.open - time.Duration(jitter*float64(b.open)/4))
	return b
}

// gaveUp follows when who asked did not wait for the answer, or got none that tells how the host is.
func (b breaker) gaveUp() breaker {
	b.trying = false
	return b
}
