package registry

import (
	"fmt"
	"sync"
	"time"
)

// maxRetryAfter is the longest that a registry can make us wait.
const maxRetryAfter = time.Hour

// budget remembers who was told to wait, and until when, so that a hundred callers
// with the same account do not each have to be told.
type budget struct {
	mu    sync.Mutex
	until map[budgetKey]time.Time
}

// budgetKey is host and account: an anonymous caller who asked too often does not
// hold up one who pays.
type budgetKey struct{ host, username string }

func newBudget() *budget { return &budget{until: make(map[budgetKey]time.Time)} }

func (b *budget) check(key budgetKey) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := time.Until(b.until[key]); left > 0 {
		return tooManyRequests(left)
	}
	return nil
}

func (b *budget) spend(key budgetKey, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for other, until := range b.until {
		if until.Before(now) {
			delete(b.until, other)
		}
	}
	if until := now.Add(wait); until.After(b.until[key]) {
		b.until[key] = until
	}
}

func tooManyRequests(wait time.Duration) *Error {
	detail := "the registry was asked too often"
	if wait > 0 {
		detail = fmt.Sprintf("the registry was asked too often and wants %s of quiet", wait.Round(time.Second))
	}
	return &Error{Reason: TooManyRequests, Detail: detail, Temporary: true, RetryAfter: wait}
}
