package main

import (
	"context"
	"errors"
	"math/rand/v2"
	gosync "sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/git"
)

// upstream is a ref of a repository, and what was fetched of that, for all Syncs that follow it with the same credentials.
type upstream struct {
	sources   *sources
	access    access
	cacheDir  string
	followers map[*source]bool // guarded by sources.mu, as the next
	tended    bool             // there is a goroutine at it

	mu         gosync.Mutex
	repository *git.Repository // nil until it is needed
	refused    bool            // the credentials were: they are read anew before the next request
	polling    chan struct{}   // closed when the poll under way has ended; nil without one
	answer     answer          // of the last poll
	untold     bool            // the answer is to be told
	told       answer          // what was told last
	asked      time.Time       // a poll is wanted that begins after it
}

// answer is what came of a poll.
type answer struct {
	begun    time.Time // zero before the first
	head     string
	seen     time.Time // see [sightings]
	err      error
	failures int           // in a row
	until    time.Time     // when it is tried again after them
	jitter   time.Duration // of a second of the interval
}

const (
	shortestInterval = time.Second
	askedEvery       = 100 * time.Millisecond // a hundred Syncs that ask one after the other share a few polls
)

func (u *upstream) last() answer {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.answer
}

// interval is the smallest of those of the followers; the caller holds sources.mu.
func (u *upstream) interval() time.Duration {
	smallest := 24 * time.Hour
	for s := range u.followers {
		s.mu.Lock()
		smallest = min(smallest, s.interval)
		s.mu.Unlock()
	}
	return max(smallest, shortestInterval)
}

// wait is how long there is nothing to do. The first poll is that of somebody's pass.
func (u *upstream) wait(now time.Time, interval time.Duration) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.answer
	switch {
	case u.untold:
		return 0
	case a.begun.IsZero():
		return time.Hour
	case u.asked.After(a.begun):
		return a.begun.Add(askedEvery).Sub(now)
	case a.err != nil:
		return a.until.Sub(now)
	case u.access.ref.Commit != "": // it stays where it is
		return time.Hour
	}
	return a.begun.Add(interval + time.Duration(interval.Seconds()*float64(a.jitter))).Sub(now)
}

// ask wants a poll that begins after now.
func (u *upstream) ask(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.After(u.asked) {
		u.asked = now
	}
}

// look is the answer of the last poll, if that did not begin before since; else there is another. Those that want one at
// the same time share it.
func (u *upstream) look(ctx context.Context, since time.Time) (answer, error) {
	for {
		u.mu.Lock()
		if a := u.answer; !a.begun.IsZero() && !a.begun.Before(since) {
			u.mu.Unlock()
			return a, a.err
		}
		polling := u.polling
		if polling == nil {
			u.polling = make(chan struct{})
			u.mu.Unlock()
			if err := u.poll(ctx); err != nil {
				return answer{}, err
			}
			continue
		}
		u.mu.Unlock()
		select {
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-polling:
		}
	}
}

// poll asks the remote. Its error is that the caller's time was over, which says nothing of the remote.
func (u *upstream) poll(ctx context.Context) error {
	a := answer{begun: time.Now()}
	repository, err := u.open(ctx)
	if err == nil {
		a.head, err = repository.Head(ctx)
	}
	now := time.Now()
	if a.err = u.checked(err); err == nil {
		a.seen = u.sources.sightings.first(u.access.followed, a.head, now)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.polling)
	u.polling = nil
	if err != nil && ctx.Err() != nil {
		return err
	}
	u.answer, u.untold = a.after(u.answer, now), true
	u.sources.nudge()
	return nil
}

// after spaces the tries: after failures by how many there were in a row, and never sooner than the remote asks for. There
// is jitter, so that many remotes of one host are not all asked at once.
func (a answer) after(last answer, now time.Time) answer {
	a.jitter = rand.N(time.Second / 20)
	if a.err == nil {
		return a
	}
	a.head, a.seen = last.head, last.seen
	a.failures = last.failures
	if last.err == nil || !now.Before(last.until) { // one that somebody asked for is no try of its own
		a.failures++
	}
	wait := sync.Backoff(a.failures)
	var known interface {
		Describe() (string, bool, time.Duration)
	}
	if errors.As(a.err, &known) {
		_, _, atLeast := known.Describe()
		wait = max(wait, atLeast)
	}
	a.until = now.Add(wait + rand.N(wait/4+1))
	return a
}

// tend polls the remote if it is time to, and tells what is news.
func (u *upstream) tend(ctx context.Context) {
	u.mu.Lock()
	untold, begun := u.untold, u.answer.begun
	u.mu.Unlock()
	if !untold {
		if _, err := u.look(ctx, begun.Add(1)); err != nil && ctx.Err() != nil {
			return
		}
	}
	u.tell(ctx)
}

// tell calls the Syncs that the last answer is news to. Of the others it notes that they have looked.
func (u *upstream) tell(ctx context.Context) {
	u.mu.Lock()
	a, before := u.answer, u.told
	u.told, u.untold = a, false
	u.mu.Unlock()
	u.sources.mu.Lock()
	followers := make([]*source, 0, len(u.followers))
	for s := range u.followers {
		followers = append(followers, s)
	}
	u.sources.mu.Unlock()
	if a.err != nil {
		if before.err == nil || before.err.Error() != a.err.Error() {
			for _, s := range followers {
				u.sources.cluster.Call(s.name)
			}
		}
		return
	}
	moved := a.head != before.head || before.err != nil
	repository, err := u.open(ctx)
	if moved && err == nil {
		_, err = repository.Commit(ctx, a.head) // once, before all want it; what is wrong with it is told by those that build it
	}
	var looked []types.NamespacedName
	for _, s := range followers {
		what, since := s.consider(ctx, a, err == nil)
		switch {
		case what == passing:
			u.sources.cluster.Passed(s.name, since, a.head)
			looked = append(looked, s.name)
		case what == aware:
			looked = append(looked, s.name)
		case moved:
			u.sources.cluster.Call(s.name)
		}
	}
	u.sources.cluster.Looked(a.begun, looked...)
}

// open is the repository with the credentials that its Secret has. Those that were refused are read anew: a Secret that was
// mended counts at the next try.
func (u *upstream) open(ctx context.Context) (*git.Repository, error) {
	u.mu.Lock()
	repository, refused := u.repository, u.refused
	u.mu.Unlock()
	if repository != nil && !refused {
		return repository, nil
	}
	auth, err := u.auth(ctx)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.repository != nil {
		err = u.repository.Authenticate(auth)
	} else {
		u.repository, err = git.Open(git.Options{
			URL:       u.access.url,
			Ref:       git.Ref(u.access.ref),
			Auth:      auth,
			AllowHTTP: u.sources.allowHTTP,
			CacheDir:  u.cacheDir,
			UserAgent: userAgent(),
		})
	}
	u.refused = err != nil
	return u.repository, err
}

// opened is the repository if it is there already.
func (u *upstream) opened() *git.Repository {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.repository
}

func (u *upstream) auth(ctx context.Context) (git.Auth, error) {
	if u.access.secret == "" {
		return git.Auth{}, nil
	}
	data, err := u.sources.secret(ctx, types.NamespacedName{Namespace: u.access.namespace, Name: u.access.secret})
	if err != nil {
		return git.Auth{}, err
	}
	return git.Auth{Username: data["username"], Password: data["password"], BearerToken: data["bearerToken"]}, nil
}

// checked notes that the credentials were refused. Many hosts say "not found" of what a credential may not see.
func (u *upstream) checked(err error) error {
	var e *git.Error
	if errors.As(err, &e) {
		switch e.Reason {
		case git.AuthenticationFailed, git.PermissionDenied, git.RepositoryNotFound:
			u.mu.Lock()
			u.refused = true
			u.mu.Unlock()
		}
	}
	return err
}

// close gives open files back.
func (u *upstream) close() {
	if repository := u.opened(); repository != nil {
		repository.Close()
	}
}
