package main

import (
	"testing"
	"time"
)

func TestACommitIsSeenOnceByAllSyncs(t *testing.T) {
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var s sightings
	for _, look := range []struct {
		name, url, commit string
		after, want       time.Duration
	}{
		{"the first", "https://a", "1", 0, 0},
		{"another Sync", "https://a", "1", time.Minute, 0},
		{"the same commit elsewhere", "https://b", "1", 2 * time.Minute, 2 * time.Minute},
		{"another commit", "https://a", "2", 3 * time.Minute, 3 * time.Minute},
		{"at the end of its time", "https://a", "1", 10 * time.Minute, 0},
		{"later it is new", "https://a", "1", 10*time.Minute + time.Second, 10*time.Minute + time.Second},
		{"and stays so", "https://a", "1", 20 * time.Minute, 10*time.Minute + time.Second},
	} {
		if got := s.first(look.url, look.commit, start.Add(look.after)).Sub(start); got != look.want {
			t.Errorf("%s: got %v, want %v", look.name, got, look.want)
		}
	}
	if len(s.seen) != 1 {
		t.Errorf("it remembers %v", s.seen)
	}
}
