//go:build !failpoint

package cluster

import "net/http"

// failpoints are in test builds alone: see failpoint.go.
func failpoints(next http.RoundTripper) http.RoundTripper { return next }
