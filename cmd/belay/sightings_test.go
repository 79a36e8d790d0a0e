package main

import (
	"testing"
	"time"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestACommitIsSeenOnceByAllSyncs(t *testing.T) {
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var s sightings
	a, b := followed{url: "https://a"}, followed{url: "https://b"}
	production := followed{"https://a", v1alpha1.Ref{Branch: "production"}}
	for _, look := range []struct {
		name        string
		where       followed
		commit      string
		after, want time.Duration
	}{
		{"the first", a, "1", 0, 0},
		{"another Sync", a, "1", time.Minute, 0},
		{"the same commit elsewhere", b, "1", 2 * time.Minute, 2 * time.Minute},
		{"another ref that comes to it later", production, "1", 3 * time.Minute, 3 * time.Minute},
		{"at the end of its time", a, "1", 10 * time.Minute, 0},
		{"later it is new", a, "1", 10*time.Minute + time.Second, 10*time.Minute + time.Second},
		{"and stays so", a, "1", 20 * time.Minute, 10*time.Minute + time.Second},
		{"another commit", a, "2", 20*time.Minute + 10*time.Second, 20*time.Minute + 10*time.Second},
		{"the one before, when the ref moves back", a, "1", 20*time.Minute + 20*time.Second, 20*time.Minute + 20*time.Second},
	} {
		if got := s.first(look.where, look.commit, start.Add(look.after)).Sub(start); got != look.want {
			t.Errorf("%s: got %v, want %v", look.name, got, look.want)
		}
	}
	if len(s.seen) != 1 {
		t.Errorf("it remembers %v", s.seen)
	}
}
