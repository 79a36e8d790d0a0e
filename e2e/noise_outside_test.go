package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	gosync "sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// usualErrors is how many of a hundred requests an unreliable API server turns away.
const usualErrors = 2

// unreliable is an API server's proxy that turns some requests away: with 429, 500 or 503, or without an answer.
type unreliable struct {
	proxy

	mu     gosync.Mutex
	random *rand.Rand
	share  int // of a hundred
	turned map[int]int
}

func newUnreliable(t *testing.T, kubeconfig string, seed uint64) *unreliable {
	t.Helper()
	u := &unreliable{random: rand.New(rand.NewPCG(seed, 1)), share: usualErrors, turned: map[int]int{}}
	u.proxy = newProxy(t, kubeconfig, u.answer)
	return u
}

func (u *unreliable) answer(*http.Request) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.random.IntN(100) >= u.share {
		return http.StatusOK
	}
	status := []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable, 0}[u.random.IntN(4)]
	u.turned[status]++
	return status
}

func (u *unreliable) set(share int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.share = share
}

// cut counts the requests that had no answer.
func (u *unreliable) cut() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.turned[0]
}

// refused counts the requests that had an error for an answer.
func (u *unreliable) refused() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	count := -u.turned[0]
	for _, turned := range u.turned {
		count += turned
	}
	return count
}

// slowGit stands before the Git server.
type slowGit struct {
	server *httptest.Server
	behind string
	delay  atomic.Int64 // a time.Duration
}

func newSlowGit(t *testing.T, behind string) *slowGit {
	t.Helper()
	to, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	g := &slowGit{behind: behind}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	forward.ErrorLog = discarded // an agent that ends goes away in mid-answer
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Duration(g.delay.Load())):
			forward.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		g.server.CloseClientConnections()
		g.server.Close()
	})
	return g
}

// through is a repository's URL by way of this server.
func (g *slowGit) through(repository string) string {
	to, _ := url.Parse(g.behind) // newSlowGit has parsed it
	return strings.Replace(repository, to.Scheme+"://"+to.Host, g.server.URL, 1)
}

func (g *slowGit) set(delay time.Duration) { g.delay.Store(int64(delay)) }

// noisyAgent is the agent, of which there is always one more that waits for the lease.
type noisyAgent struct {
	start   func() *runningAgent
	running []*runningAgent // the first may be the leader
	ended   int             // how often one ended by itself, as it has to when it cannot renew its lease
}

type runningAgent struct {
	*exec.Cmd
	done chan struct{}
	err  error // once done is closed
}

func newNoisyAgent(t *testing.T, c target) *noisyAgent {
	t.Helper()
	a := &noisyAgent{start: func() *runningAgent {
		r := &runningAgent{Cmd: newAgent(t, c, "--agent-namespace=default", "--lease-duration=6s"), done: make(chan struct{})}
		go func() {
			r.err = r.Wait()
			close(r.done)
		}()
		t.Cleanup(func() {
			r.Process.Kill() //nolint:errcheck // it may have ended
			<-r.done
		})
		return r
	}}
	a.running = []*runningAgent{a.start(), a.start()}
	return a
}

// replace ends the older of the agents, and starts another.
func (a *noisyAgent) replace(signal syscall.Signal) error {
	old := a.running[0]
	if err := old.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case <-old.done:
	case <-time.After(soon):
		return fmt.Errorf("an agent did not end within %s of %s", soon, signal)
	}
	a.running = append(a.running[1:], a.start())
	if signal == syscall.SIGTERM && old.err != nil {
		return errors.Join(errors.New("an agent did not end well"), old.err)
	}
	return nil
}

// revive starts another agent for one that ended by itself, as a kubelet does.
func (a *noisyAgent) revive(t *testing.T) {
	t.Helper()
	for i, r := range a.running {
		select {
		case <-r.done:
			a.ended++
			a.running[i] = a.start()
		default:
		}
	}
}
