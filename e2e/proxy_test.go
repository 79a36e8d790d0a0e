package e2e

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// discarded is where servers say what is no news to a test.
var discarded = log.New(io.Discard, "", 0)

// proxy stands before an API server, which it asks as the administrator.
type proxy struct{ *httptest.Server }

// newProxy starts one until the test ends. What answer answers becomes of a request: 200 has it go on to the API server, 0
// closes the connection without an answer, and any other status is the answer.
func newProxy(t *testing.T, kubeconfig string, answer func(*http.Request) int) proxy {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(server)
	behind.Transport, behind.FlushInterval = transport, -1
	behind.ErrorLog = discarded // clients that are cut off are what it is for
	p := proxy{httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch status := answer(r); status {
		case http.StatusOK:
			behind.ServeHTTP(w, r)
		case 0:
			panic(http.ErrAbortHandler)
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "slow down", status)
		default:
			http.Error(w, "starting", status)
		}
	}))}
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

// kubeconfig leads to the proxy, which has the credentials.
func (p proxy) kubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: proxy, cluster: {server: %q}}]
contexts: [{name: proxy, context: {cluster: proxy}}]
current-context: proxy
`, p.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
