package cluster

import (
	"net/http"
	"strings"
)

// leaseName is the name of the lease that the agents of a cluster contend for.
const leaseName = "belay-agent"

// isWrite tells a request that changes something from one that reads or only tries.
func isWrite(request *http.Request) bool {
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return !request.URL.Query().Has("dryRun")
}

// isLease tells a write of the agent's own lease. Objects of Syncs are never written by PUT; those that are only created
// are written by POST, under a field manager, which leader election names none of.
func isLease(request *http.Request) bool {
	path := request.URL.Path
	switch {
	case !strings.HasPrefix(path, "/apis/coordination.k8s.io/"):
		return false
	case request.Method == http.MethodPut:
		return strings.HasSuffix(path, "/leases/"+leaseName)
	}
	return request.Method == http.MethodPost && strings.HasSuffix(path, "/leases") && isWrite(request) &&
		!request.URL.Query().Has("fieldManager")
}

// transport is a function around another transport.
type transport struct {
	next http.RoundTripper
	trip func(next http.RoundTripper, request *http.Request) (*http.Response, error)
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	return t.trip(t.next, request)
}

// WrappedRoundTripper is what client-go asks for when it wants a request given up.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// refuse answers for a request that is not sent. A RoundTripper has to close the body even so.
func refuse(request *http.Request, err error) (*http.Response, error) {
	if request.Body != nil {
		request.Body.Close()
	}
	return nil, err
}
