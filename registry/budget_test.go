// FAULTS, Registry: 429.

package registry

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// clock is a time that the test sets.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)} }

func TestAHostIsAskedABurstAndThenTenTimesASecond(t *testing.T) {
	clock := newClock()
	b := newBudget(clock.now)
	allowed := func(host string) int {
		for n := 0; ; n++ {
			err := b.enter(host, accountID{}, false)
			if e := (*Error)(nil); errors.As(err, &e) {
				if e.Reason != Busy || !e.Temporary || e.RetryAfter < time.Second {
					t.Errorf("got %+v", e)
				}
				return n
			}
			b.leave(host, true, "")
		}
	}
	if got := allowed("r.io"); got != burst {
		t.Errorf("got %d", got)
	}
	if err := b.enter("r.io", accountID{}, true); err != nil {
		t.Errorf("a ping is counted: %v", err)
	}
	if got := allowed("other.io"); got != burst {
		t.Errorf("one host's budget is another's: %d", got)
	}
	clock.Time = clock.Add(time.Second)
	if got := allowed("r.io"); got != perSecond {
		t.Errorf("got %d", got)
	}
	clock.Time = clock.Add(time.Hour)
	if got := allowed("r.io"); got != burst {
		t.Errorf("got %d", got)
	}
}

func TestQuietIsForOneAccountAndEnds(t *testing.T) {
	clock := newClock()
	b := newBudget(clock.now)
	ana, bob := accountID{1}, accountID{2}
	b.hush("r.io", ana, tooManyRequests(30*time.Second))
	b.hush("r.io", ana, tooManyRequests(10*time.Second)) // does not shorten it
	clock.Time = clock.Add(20 * time.Second)
	var e *Error
	if err := b.enter("r.io", ana, true); !errors.As(err, &e) || e.Reason != TooManyRequests || e.RetryAfter != 10*time.Second {
		t.Errorf("got %v", err)
	}
	if err := b.enter("r.io", bob, false); err != nil {
		t.Error(err)
	}
	if err := b.enter("other.io", ana, false); err != nil {
		t.Error(err)
	}
	clock.Time = clock.Add(10 * time.Second)
	if err := b.enter("r.io", ana, false); err != nil {
		t.Error(err)
	}
}

func TestHostsThatBearNothingAreForgotten(t *testing.T) {
	clock := newClock()
	b := newBudget(clock.now)
	for range tolerated {
		b.leave("down.io", true, "it is down")
	}
	for i := range 2 * maxHosts {
		if err := b.enter(fmt.Sprintf("%d.io", i), accountID{}, false); err != nil {
			t.Fatal(err)
		}
		b.leave(fmt.Sprintf("%d.io", i), true, "")
		clock.Time = clock.Add(time.Second)
	}
	if len(b.hosts) > maxHosts {
		t.Errorf("got %d", len(b.hosts))
	}
	if b.hosts["down.io"] == nil {
		t.Error("a host that is down was forgotten")
	}
}

// Each image may name a host of its own, which wants an hour of quiet.
func TestWhatHostsSaidIsKeptWithinBounds(t *testing.T) {
	b := newBudget(newClock().now)
	for i := range 2 * maxQuiet {
		b.hush(fmt.Sprintf("%d.io", i), accountID{}, tooManyRequests(time.Hour))
	}
	b.hush("r.io", accountID{}, tooManyRequests(time.Hour))
	if len(b.quiet) > maxQuiet {
		t.Errorf("got %d", len(b.quiet))
	}
	if e := (*Error)(nil); !errors.As(b.enter("r.io", accountID{}, true), &e) || e.Reason != TooManyRequests {
		t.Errorf("the last is not kept: %v", e)
	}
}
