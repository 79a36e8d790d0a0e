package registry

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What is kept of a registry has an end, since there may be thousands of them.
func TestWhatIsKeptOfASignInHasAnEnd(t *testing.T) {
	for name, test := range map[string]struct {
		realm, token string
		want         string
	}{
		"a long realm": {"/token?" + strings.Repeat("x", 5000), "opaque", "how the registry wants to be signed in to is longer than it should be"},
		"a long token": {"/token", strings.Repeat("x", maxToken+1), "the token for it is longer than any should be"},
	} {
		server := serve(t)
		server.push("cart:1")
		challenge := fmt.Sprintf(`Bearer realm="http://%s%s"`, server.host, test.realm)
		server.on("GET /v2/", status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}}))
		server.on("GET /token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"token": %q}`, test.token) })
		if e := server.fail(t, Options{}, "cart:1"); e.Reason != Unavailable || e.Detail != test.want {
			t.Errorf("%s: got %v", name, e)
		}
	}
}

func TestATokenServerThatLiesIsUnavailable(t *testing.T) {
	for _, body := range []string{"", "<html>", `{"token": ""}`, `{"token": 7}`, strings.Repeat(" ", 1<<20)} {
		server := serve(t)
		server.wantToken("token")
		server.on("GET /token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		if e := server.fail(t, Options{}, "cart:1"); e.Reason != Unavailable || !e.Temporary {
			t.Errorf("%.20q: got %v", body, e)
		}
		server.expect("GET /v2/", "GET /token")
	}
}
