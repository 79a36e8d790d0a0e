package cluster

import (
	"io"
	"net/http"
	"strings"
	gosync "sync"

	"golang.org/x/sync/semaphore"
	"k8s.io/client-go/rest"
)

// defaultInFlight is how many requests an agent has in flight where nobody says otherwise.
const defaultInFlight = 32

// limited is a client configuration of which no more than a number of requests are in flight at a time, however many
// clients are made of it. Those that wait are served in the order in which they came. No Sync has more than [parallel] of
// them, so that one of many objects holds up the others for no longer than it takes to answer a few requests.
//
// The API server may still say 429 or 503 with Retry-After: client-go waits then, for any verb, and such a request holds
// no place while it does.
func limited(config *rest.Config, inFlight int) *rest.Config {
	if inFlight <= 0 {
		inFlight = defaultInFlight
	}
	config = rest.CopyConfig(config)
	config.DisableCompression = true // a cluster's own network is faster than gzip
	l := limit{semaphore.NewWeighted(int64(inFlight))}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return transport{next, l.trip} })
	return config
}

// limit has a place for each request in flight.
type limit struct{ places *semaphore.Weighted }

func (l limit) trip(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	if isUnlimited(request) {
		return next.RoundTrip(request)
	}
	if err := l.places.Acquire(request.Context(), 1); err != nil {
		return refuse(request, err)
	}
	leave := gosync.OnceFunc(func() { l.places.Release(1) })
	response, err := next.RoundTrip(request)
	if err != nil {
		leave()
		return nil, err
	}
	response.Body = &leavingBody{response.Body, leave}
	return response, nil
}

// isUnlimited tells the requests that wait for nobody: watches and logs, which last, and those for the agent's own lease,
// which must not be late.
func isUnlimited(request *http.Request) bool {
	path, query := request.URL.Path, request.URL.Query()
	lease := strings.HasPrefix(path, "/apis/coordination.k8s.io/") && (strings.HasSuffix(path, "/leases/"+leaseName) || isLease(request))
	return lease || query.Get("watch") == "true" || query.Get("watch") == "1" || strings.HasSuffix(path, "/log")
}

// leavingBody gives a request's place to the next one once its answer has been read.
type leavingBody struct {
	io.ReadCloser
	leave func()
}

func (b *leavingBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil {
		b.leave()
	}
	return n, err
}

func (b *leavingBody) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}
