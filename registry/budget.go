package registry

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// burst is how many requests a host gets at once: a first release of 100 images, each a tag and a digest, and the
	// tokens of some repositories.
	burst = 250
	// perSecond is how many more it gets.
	perSecond = 10
	// maxRetryAfter is the longest that a registry can make us wait.
	maxRetryAfter = time.Hour
	// defaultRetryAfter is for a 429 that does not say.
	defaultRetryAfter = 5 * time.Second
	// maxHosts bounds how many hosts are remembered.
	maxHosts = 1024
	// maxQuiet bounds how many wishes for quiet are remembered.
	maxQuiet = 8192
)

// budget is what hosts can be asked for now. Nothing waits for it: what is too much is an error that says until when.
type budget struct {
	now func() time.Time

	mu    sync.Mutex
	hosts map[string]*load
	quiet map[quietKey]quiet
}

// load is how much a host was asked, and how it bears it.
type load struct {
	limiter *rate.Limiter
	breaker breaker
}

// quietKey is whom a host does not want to hear: an anonymous caller who asked too often does not hold up one who pays.
type quietKey struct {
	host    string
	account accountID
}

// quiet is what it said, and until when it counts.
type quiet struct {
	said  *Error
	until time.Time
}

func newBudget(now func() time.Time) *budget {
	return &budget{now: now, hosts: map[string]*load{}, quiet: map[quietKey]quiet{}}
}

// enter begins a request, or says why it must not be made. A free one is not counted. After it comes leave.
func (b *budget) enter(host string, account accountID, free bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	load := b.loadOf(host, now)
	if err := b.refused(host, account, load, now); err != nil {
		return err
	}
	if !free && !load.limiter.AllowN(now, 1) {
		return busy(host, load.limiter, now)
	}
	load.breaker = load.breaker.entered()
	return nil
}

// check says why a request must not be made, and begins none.
func (b *budget) check(host string, account accountID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if err := b.refused(host, account, b.loadOf(host, now), now); err != nil {
		return err
	}
	return nil
}

func (b *budget) refused(host string, account accountID, load *load, now time.Time) *Error {
	if q := b.quiet[quietKey{host, account}]; q.until.After(now) {
		said := *q.said
		said.RetryAfter = q.until.Sub(now)
		return &said
	}
	return load.breaker.check(host, now)
}

// leave ends a request. Why it failed is empty if it did not; known is false where that is not to be known.
func (b *budget) leave(host string, known bool, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	load := b.loadOf(host, now)
	switch {
	case !known:
		load.breaker = load.breaker.gaveUp()
	case why == "":
		load.breaker = breaker{}
	default:
		load.breaker = load.breaker.failed(now, why, rand.Float64())
	}
}

// hush keeps an account from a host for as long as the host has said.
func (b *budget) hush(host string, account accountID, said *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	key := quietKey{host, account}
	if _, known := b.quiet[key]; !known && len(b.quiet) >= maxQuiet {
		b.forgetQuiet(now)
	}
	if until := now.Add(said.RetryAfter); until.After(b.quiet[key].until) {
		b.quiet[key] = quiet{said, until}
	}
}

// forgetQuiet makes room: of all that has ended, and for a quarter at least, so that it is seldom done.
func (b *budget) forgetQuiet(now time.Time) {
	maps.DeleteFunc(b.quiet, func(_ quietKey, q quiet) bool { return q.until.Before(now) })
	for key := range b.quiet {
		if len(b.quiet) <= maxQuiet/4*3 {
			break
		}
		delete(b.quiet, key)
	}
}

func (b *budget) loadOf(host string, now time.Time) *load {
	if known, ok := b.hosts[host]; ok {
		return known
	}
	for _, any := range []bool{false, true} {
		for other, load := range b.hosts {
			asNew := load.breaker == (breaker{}) && load.limiter.TokensAt(now) >= burst
			if len(b.hosts) >= maxHosts && (asNew || any) {
				delete(b.hosts, other)
			}
		}
	}
	fresh := &load{limiter: rate.NewLimiter(perSecond, burst)}
	b.hosts[host] = fresh
	return fresh
}

func busy(host string, limiter *rate.Limiter, now time.Time) *Error {
	wait := time.Duration((1 - limiter.TokensAt(now)) / perSecond * float64(time.Second))
	return &Error{
		Reason:    Busy,
		Detail:    fmt.Sprintf("%s was asked %d times in a short while, and is left alone for a moment; what it answered is kept", host, burst),
		Temporary: true,
		// Longer than the next one has to wait, for there are others who wait too.
		RetryAfter: max(wait, time.Second),
	}
}

func tooManyRequests(wait time.Duration) *Error {
	return &Error{
		Reason:     TooManyRequests,
		Detail:     fmt.Sprintf("the registry was asked too often and wants %s of quiet", wait.Round(time.Second)),
		Temporary:  true,
		RetryAfter: wait,
	}
}
