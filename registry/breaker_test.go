package registry

import (
	"strings"
	"testing"
	"time"
)

func TestABreakerOpensAfterFiveFailuresInARowAndDoubles(t *testing.T) {
	start := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	var b breaker
	for i := range 4 {
		b = b.entered().failed(at(float64(i)), "it is down", 0)
		if err := b.check("r.io", at(float64(i))); err != nil {
			t.Fatalf("after %d failures: %v", i+1, err)
		}
	}
	now := at(4)
	for _, open := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		open *= time.Second
		b = b.entered().failed(now, "it answered 503", 0)
		err := b.check("r.io", now.Add(open-1))
		if err == nil {
			t.Fatalf("it is closed before %v are over", open)
		}
		want := "r.io is not asked for now, since it has failed " // N times in a row from …
		if !strings.HasPrefix(err.Detail, want) || !strings.HasSuffix(err.Detail, " times in a row from 2026-05-01T10:00:00Z on; the last time, it answered 503") ||
			err.Reason != Unavailable || !err.Temporary {
			t.Errorf("got %+v", err)
		}
		if got := b.check("r.io", now).RetryAfter; got != open {
			t.Errorf("got %v, want %v", got, open)
		}
		now = now.Add(open)
		if err := b.check("r.io", now); err != nil {
			t.Fatalf("after %v: %v", open, err)
		}
	}
}

func TestAHalfOpenBreakerLetsOneThrough(t *testing.T) {
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	var b breaker
	for range tolerated {
		b = b.entered().failed(now, "down", 0)
	}
	now = now.Add(time.Second)
	tries := b.entered()
	if tries.check("r.io", now) == nil {
		t.Error("a second one is let through")
	}
	if err := tries.gaveUp().check("r.io", now); err != nil {
		t.Errorf("who gave up keeps others out: %v", err)
	}
	if err := tries.failed(now, "down", 0).check("r.io", now.Add(time.Second)); err == nil || err.RetryAfter != time.Second {
		t.Errorf("got %v", err)
	}
}

func TestLateFailuresDoNotOpenItLonger(t *testing.T) {
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	var b breaker
	for range 40 { // all asked before it opened
		b = b.failed(now, "down", 0)
	}
	if b.open != time.Second || b.failures != 40 {
		t.Errorf("got %+v", b)
	}
}

func TestJitterShortensTheWaitByAQuarterAtMost(t *testing.T) {
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	b := breaker{failures: 9, since: now, open: time.Minute, trying: true}
	for jitter, want := range map[float64]time.Duration{0: 2 * time.Minute, 0.5: 105 * time.Second, 1: 90 * time.Second} {
		if got := b.failed(now, "down", jitter).until.Sub(now); got != want {
			t.Errorf("%v: got %v, want %v", jitter, got, want)
		}
	}
}
