// FAULTS, Apply: API server restarts, 429.
// Fault "Apply": the API server restarts, or answers 429, in the middle of a release: it goes on at the same object.

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAReleaseGoesOnAfterAnOutageInItsMiddle puts an API server behind a proxy that turns away every third write of an
// application's object, and then, in the middle of the second release, everything for three seconds.
func TestAReleaseGoesOnAfterAnOutageInItsMiddle(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	s, err := newScript(c, "outage", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proxy := newFlaky(t, c.Kubeconfig)
	behind := s.target
	behind.Kubeconfig = proxy.kubeconfig(t)
	kubectl(t, c, fmt.Sprintf(killedSync, s.repository, "1s"), "apply", "--namespace=outage", "-f", "-")
	newAgent(t, behind, "--leader-elect=false")

	s.image(t)
	proxy.everyThird(true)
	s.goesOn(t, 1)
	if turned := proxy.turnedAway(); turned < 3 {
		t.Errorf("%d writes were turned away", turned)
	}
	proxy.everyThird(false)
	proxy.downAfter(4, 3*time.Second)
	s.goesOn(t, 2)
	if turned := proxy.turnedAway(); turned == 0 {
		t.Error("nothing was turned away")
	}
}

// goesOn pushes a release and waits until it is kept, with each of its objects written once.
func (s *script) goesOn(t *testing.T, n int) {
	t.Helper()
	_, from, err := s.audit(0)
	if err != nil {
		t.Fatal(err)
	}
	s.release(t, n, true)
	s.settled(t, n, true)
	want := release{n, true}.names()
	if diff := cmp.Diff(want, s.names(t)); diff != "" {
		t.Errorf("the objects are not those of release %d (-want +got):\n%s", n, diff)
	}
	events, _, err := s.audit(from)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, e := range events {
		if e.isWrite() && e.ObjectRef.Namespace == s.namespace && e.Verb == "patch" && e.ResponseStatus.Code < 300 {
			times[e.ObjectRef.Resource+"/"+e.ObjectRef.Name]++
		}
	}
	for name, count := range times {
		if count > 1 {
			t.Errorf("%s was written %d times", name, count)
		}
	}
	if len(times) != len(want) {
		t.Errorf("%d objects were written, not %d", len(times), len(want))
	}
}

// flaky is an API server's proxy that turns requests away: with 429 and 503 in turn, or without an answer while it is
// down.
type flaky struct {
	proxy

	mu        gosync.Mutex
	third     bool
	writes    int // of application's objects
	fuse      int // writes until it goes down; 0 for never
	outage    time.Duration
	downUntil time.Time
	turned    int
}

func newFlaky(t *testing.T, kubeconfig string) *flaky {
	t.Helper()
	f := &flaky{}
	f.proxy = newProxy(t, kubeconfig, f.answer)
	return f
}

// answer is the status to answer a request with; 0 for none at all.
func (f *flaky) answer(r *http.Request) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Before(f.downUntil) {
		f.turned++
		return 0
	}
	applied := r.Method == http.MethodPatch && r.URL.Query().Get("dryRun") == "" &&
		slices.ContainsFunc([]string{"/configmaps/", "/deployments/", "/services/", "/secrets/hello"}, func(part string) bool { return strings.Contains(r.URL.Path, part) })
	if !applied {
		return http.StatusOK
	}
	f.writes++
	if f.fuse > 0 && f.writes >= f.fuse {
		f.fuse, f.downUntil = 0, now.Add(f.outage)
		f.turned++
		return 0
	}
	if !f.third || f.writes%3 != 0 {
		return http.StatusOK
	}
	f.turned++
	return []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}[f.turned%2]
}

func (f *flaky) everyThird(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.third, f.turned = on, 0
}

// downAfter lets so many more writes through before it goes down.
func (f *flaky) downAfter(writes int, outage time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fuse, f.outage, f.writes, f.turned = writes, outage, 0, 0
}

// turnedAway counts the requests that were turned away since the last change.
func (f *flaky) turnedAway() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.turned
}
