// FAULTS, Agent: panic in one pass.
// Panic in one pass: recovered by who called for the pass.

package registry

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAPanicBesideOthersReachesTheCaller(t *testing.T) {
	resolver, err := New(Options{Proxy: func(*http.Request) (*url.URL, error) { panic("no such index") }})
	if err != nil {
		t.Fatal(err)
	}
	cause := func() (cause any) {
		defer func() { cause = recover() }()
		_, _ = resolver.Resolve(t.Context(), ask("registry.example.com/cart:1"), time.Now())
		return nil
	}()
	if text, _ := cause.(string); !strings.HasPrefix(text, "no such index\n") {
		t.Errorf("it panicked with %v", cause)
	}
}
