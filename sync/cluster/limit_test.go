package cluster

// FAULTS "Load": many Syncs at once, one of them with thousands of objects; an API server that says 429.

import (
	"context"
	encoding "encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

var configMapKind = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

const emptyMetadata = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}`

// limitedOn is a client of a played API server, with so many requests in flight.
func limitedOn(t *testing.T, inFlight int, answer http.HandlerFunc) metadata.Interface {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	config := limited(&rest.Config{Host: server.URL, QPS: -1}, inFlight)
	client, err := metadata.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestNoMoreRequestsAreInFlightThanAreAllowed(t *testing.T) {
	const most, asked = 3, 12
	var now, peak atomic.Int32
	full, open := make(chan struct{}, asked), make(chan struct{})
	client := limitedOn(t, most, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		full <- struct{}{}
		<-open
		now.Add(-1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, emptyMetadata)
	})
	var group gosync.WaitGroup
	for range asked {
		group.Go(func() {
			if _, err := client.Resource(configMapKind).Namespace("x").Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	for range most { // all places are taken
		<-full
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Resource(configMapKind).Namespace("x").Get(ctx, "late", metav1.GetOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request that waits in vain: got %v", err)
	}
	if len(full) != 0 {
		t.Error("a request was let through although all places were taken")
	}
	close(open)
	group.Wait()
	if got := peak.Load(); got != most {
		t.Errorf("%d in flight, want %d", got, most)
	}
}

// client-go waits as long as it is told to, and holds no place meanwhile: with one place, another request gets through.
func TestWhoIsToComeBackLaterHoldsNobodyUp(t *testing.T) {
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		var refused atomic.Bool
		told := make(chan struct{})
		client := limitedOn(t, 1, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.Method == http.MethodPatch && refused.CompareAndSwap(false, true) {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(code)
				close(told)
				return
			}
			fmt.Fprint(w, emptyMetadata)
		})
		done := make(chan error, 1)
		go func() {
			_, err := client.Resource(configMapKind).Namespace("x").Patch(t.Context(), "a", "application/apply-patch+yaml", []byte(`{}`), metav1.PatchOptions{})
			done <- err
		}()
		<-told
		if _, err := client.Resource(configMapKind).Namespace("x").Get(t.Context(), "b", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			t.Errorf("%d: it did not wait", code)
		default:
		}
		if err := <-done; err != nil {
			t.Errorf("%d: the request was not made again: %v", code, err)
		}
	}
}

func TestARefusalWithoutATimeIsAnError(t *testing.T) {
	client := limitedOn(t, 1, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for range 2 { // the place is free again
		if _, err := client.Resource(configMapKind).Namespace("x").Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("got %v", err)
		}
	}
}

func TestWhatLastsAndTheLeaseWaitForNobody(t *testing.T) {
	const leases = "/apis/coordination.k8s.io/v1/namespaces/belay/leases"
	for _, test := range []struct {
		method, url string
		want        bool
	}{
		{"GET", "/api/v1/configmaps?watch=true&labelSelector=x", true},
		{"GET", "/api/v1/configmaps?watch=false", false},
		{"GET", "/api/v1/configmaps", false},
		{"GET", "/api/v1/namespaces/x/pods/p/log?tailLines=1", true},
		{"GET", "/api/v1/namespaces/x/configmaps/log", true}, // its name: one request more than is said
		{"GET", leases + "/belay-agent", true},
		{"PUT", leases + "/belay-agent", true},
		{"POST", leases, true},
		{"GET", leases + "/of-somebody", false},
		{"PATCH", leases + "/of-somebody?fieldManager=belay", false},
		{"PATCH", "/apis/belay.dev/v1alpha1/namespaces/x/syncs/x/status", false},
	} {
		request := httptest.NewRequest(test.method, test.url, nil)
		if got := isUnlimited(request); got != test.want {
			t.Errorf("%s %s: got %t", test.method, test.url, got)
		}
	}
}

// All clients of one configuration share its places, and the one connection of HTTP/2, which has more room than that.
func TestTheClientsOfAConfigurationShareItsPlacesAndItsConnection(t *testing.T) {
	var now, peak, connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > peak.Load() {
			peak.Store(n)
		}
		defer now.Add(-1)
		if r.Header.Get("Accept-Encoding") == "gzip" || r.ProtoMajor != 2 {
			t.Errorf("%s, with the encodings %q", r.Proto, r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, emptyMetadata)
	}))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := encoding.EncodeToMemory(&encoding.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := limited(&rest.Config{Host: server.URL, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: authority}}, 1)
	var group gosync.WaitGroup
	for i := range 8 {
		of := rest.CopyConfig(config)
		of.Impersonate.UserName = fmt.Sprint("user", i)
		client, err := metadata.NewForConfig(of)
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			if _, err := client.Resource(configMapKind).Namespace("x").Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if peak.Load() != 1 || connections.Load() != 1 {
		t.Errorf("%d in flight, and %d connections, want 1 and 1", peak.Load(), connections.Load())
	}
}
