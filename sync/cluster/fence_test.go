// FAULTS, Apply: two agents; FAULTS, Agent: SIGSTOP for 60 s, then CONT.
// SIGSTOP for 60 s, then CONT: what goes on writes nothing any more if it lost the lease.

package cluster

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

const leases = "/apis/coordination.k8s.io/v1/namespaces/belay/leases"

// answering is an API server.
type answering func() *http.Response

func (a answering) RoundTrip(*http.Request) (*http.Response, error) { return a(), nil }

func TestNothingIsWrittenButWithTheLease(t *testing.T) {
	type step struct {
		after  time.Duration
		method string
		path   string
		answer int // of the API server; 0 for a request that must not get there
	}
	const deployment = "/apis/apps/v1/namespaces/shop/deployments/cart"
	for name, steps := range map[string][]step{
		"before it is had": {
			{0, "PATCH", deployment, 0},
			{0, "GET", deployment, 200},
			{0, "PATCH", deployment + "?dryRun=All", 200},
			{0, "POST", leases, 409},
			{0, "PATCH", deployment, 0},
		},
		"while it is renewed": {
			{0, "POST", leases, 201},
			{20 * time.Second, "PATCH", deployment, 200},
			{0, "PUT", leases + "/belay-agent", 200},
			{20 * time.Second, "DELETE", deployment, 200},
		},
		"when it is over": {
			{0, "POST", leases, 201},
			{24 * time.Second, "PATCH", deployment, 0},
			{0, "POST", "/api/v1/namespaces/shop/secrets", 0},
			{0, "GET", deployment, 200},
			{0, "PATCH", deployment + "?dryRun=All", 200},
		},
		"when a renewal was refused": {
			{0, "PUT", leases + "/belay-agent", 200},
			{20 * time.Second, "PUT", leases + "/belay-agent", 409},
			{4 * time.Second, "PATCH", deployment, 0},
		},
		"not even the lease itself, which is a successor's now": {
			{0, "PUT", leases + "/belay-agent", 200},
			{60 * time.Second, "PUT", leases + "/belay-agent", 0},
			{0, "PATCH", deployment, 0},
		},
		"with leases of the application": {
			{0, "PUT", leases + "/belay-agent", 200},
			{0, "PATCH", leases + "/shop", 200},
			{20 * time.Second, "POST", leases + "?fieldManager=belay-create", 201}, // created if absent
			{4 * time.Second, "PATCH", leases + "/belay-agent", 0},
		},
		"before it is had, and a lease of the application is created": {
			{0, "POST", leases + "?fieldManager=belay-create", 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer, sent := 0, false
				lost := 0
				guarded := newFence(30*time.Second, func() { lost++ }).wrap(answering(func() *http.Response {
					sent = true
					return &http.Response{StatusCode: answer}
				}))
				refusals := 0
				for i, s := range steps {
					time.Sleep(s.after)
					answer, sent = s.answer, false
					_, err := guarded.RoundTrip(httptest.NewRequest(s.method, s.path, nil))
					if sent != (s.answer != 0) {
						t.Errorf("step %d, %s %s: sent is %t", i, s.method, s.path, sent)
					}
					if refused := errors.Is(err, errLeaseOver); refused == sent {
						t.Errorf("step %d, %s %s: %v", i, s.method, s.path, err)
					} else if refused && i > 0 && steps[0].answer/100 == 2 {
						refusals++
					}
				}
				if refusals > 0 && lost == 0 {
					t.Error("nobody was told that the lease is lost")
				}
			})
		})
	}
}

// A slow answer to a renewal makes the lease no longer: a successor counts from when it was sent.
func TestTheLeaseCountsFromWhenItsRenewalWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFence(30*time.Second, func() {})
		guarded := f.wrap(answering(func() *http.Response {
			time.Sleep(20 * time.Second)
			return &http.Response{StatusCode: http.StatusOK}
		}))
		if _, err := guarded.RoundTrip(httptest.NewRequest("PUT", leases+"/belay-agent", nil)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if f.open() {
			t.Error("it is open 24 seconds after the renewal was sent")
		}
	})
}

// A lost lease says nothing of the release.
func TestALostLeaseIsATemporaryProblem(t *testing.T) {
	err := describe("Deployment/shop/cart", "Deployment", &wrapped{errLeaseOver})
	var e *Error
	if !errors.As(err, &e) || !e.Temporary || e.Reason != "ClusterUnavailable" || e.Detail != errLeaseOver.Error() {
		t.Errorf("got %#v", err)
	}
}

// wrapped is what net/http makes of a transport's error.
type wrapped struct{ err error }

func (w *wrapped) Error() string { return `Patch "https://…": ` + w.err.Error() }
func (w *wrapped) Unwrap() error { return w.err }
