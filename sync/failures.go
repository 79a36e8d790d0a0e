package sync

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// failures counts temporary problems in a row and spaces the tries.
type failures struct {
	count int
	until time.Time
	last  *Problem
	quiet bool // nobody need know
}

// problem is what to tell of it.
func (f failures) problem() *Problem {
	if f.quiet {
		return nil
	}
	return f.last
}

// add notes a failure, and answers what to tell about it.
func (f *failures) add(err error, now time.Time) *Problem {
	problem := problemOf(err)
	if !f.waiting(now) { // a pass that a watch called for is no try of its own
		f.count++
	}
	wait := max(problem.After, Backoff(f.count))
	// Jitter, so that a thousand Syncs do not come back to a recovering server all at once.
	f.until = now.Add(wait + rand.N(wait/4+1))
	f.last = &problem
	return &problem
}

func (f failures) waiting(now time.Time) bool { return f.last != nil && now.Before(f.until) }

// Backoff is how long to wait after so many failures in a row: 1 s, doubled up to 15 minutes.
func Backoff(failures int) time.Duration {
	const first, longest = time.Second, 15 * time.Minute
	if failures > 10 {
		return longest
	}
	return min(first<<max(0, failures-1), longest)
}

// unfinished says that some objects are still being deleted.
type unfinished struct{ left []manifests.ID }

func (u unfinished) Error() string {
	return fmt.Sprintf("still being deleted: %s; a finalizer may hold them", manifests.Names(u.left, 5))
}

func (u unfinished) Describe() (string, bool, time.Duration) { return "PruneUnfinished", true, 0 }
