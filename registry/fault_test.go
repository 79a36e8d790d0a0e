// FAULTS, Registry: down, 5xx, 401, 403, 429, tag moved in mid-release, digest mismatch, schema 1, HTML with 200, wrong media type, endless or huge body.

package registry

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

const cart = "/v2/cart/manifests/"

func TestWhereHeadIsRefusedGetIsAsked(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed} {
		server := serve(t)
		digest := server.push("cart:1")
		server.on("HEAD "+cart+"1", status(code, nil))
		if got := server.resolve(t, Options{}, "cart:1")[server.host+"/cart:1"]; got != digest {
			t.Errorf("%d: got %s, want %s", code, got, digest)
		}
		server.expect("GET /v2/", "GET "+cart+"1", "GET "+cart+digest, "HEAD "+cart+"1")
	}
}

func TestWhereHeadHasNoDigestGetIsAsked(t *testing.T) {
	for _, header := range []string{"", "latest", "sha256:00", "md5:" + strings.Repeat("0", 32)} {
		server := serve(t)
		digest := server.push("cart:1")
		server.on("HEAD "+cart+"1", status(http.StatusOK, http.Header{"Docker-Content-Digest": {header}}))
		if got := server.resolve(t, Options{}, "cart:1")[server.host+"/cart:1"]; got != digest {
			t.Errorf("%q: got %s, want %s", header, got, digest)
		}
		server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+"1", "GET "+cart+digest)
	}
}

func TestADigestTheRegistryDoesNotHaveIsRefused(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	server.on("HEAD "+cart+"1", status(http.StatusOK, http.Header{"Docker-Content-Digest": {someDigest}}))
	if e := server.fail(t, Options{}, "cart:1"); e.Reason != NotFound || !strings.Contains(e.Detail, "does not have the digest") {
		t.Errorf("got %v", e)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+someDigest)
}

// A release takes what the tag was when it was asked for, as long as the registry has it.
func TestATagThatMovesMeanwhileIsWhatItWas(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		server := serve(t)
		old := server.push("cart:1")
		server.push("cart:2")
		server.on("HEAD "+cart+"1", func(w http.ResponseWriter, r *http.Request) {
			server.registry.ServeHTTP(w, r)
			server.move(cart+"2", cart+"1")
			if deleted {
				server.behind(http.MethodDelete, cart+old, nil)
			}
		})
		got, err := server.resolver(t, Options{}).Resolve(t.Context(), ask(server.host+"/cart:1"), time.Now())
		server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+old)
		if !deleted {
			if err != nil || got[server.host+"/cart:1"].Digest != old {
				t.Errorf("got %v, %v", got, err)
			}
			continue
		}
		if e := firstError(t, err); e.Reason != NotFound || !strings.Contains(e.Detail, "the tag has moved just now") {
			t.Errorf("got %v", e)
		}
	}
}

// move lets a tag stand for what another does.
func (s *server) move(from, to string) {
	manifest := s.behind(http.MethodGet, from, nil)
	s.behind(http.MethodPut, to, manifest)
}

// behind asks the registry without being counted.
func (s *server) behind(method, path string, manifest *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	s.t.Helper()
	req := httptest.NewRequest(method, path, nil)
	if manifest != nil {
		req = httptest.NewRequest(method, path, manifest.Body)
		req.Header.Set("Content-Type", manifest.Header().Get("Content-Type"))
	}
	answer := httptest.NewRecorder()
	s.registry.ServeHTTP(answer, req)
	if answer.Code >= http.StatusBadRequest {
		s.t.Errorf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
	return answer
}

func TestALyingDigestIsRefused(t *testing.T) {
	server := serve(t)
	server.on("HEAD "+cart+"1", status(http.StatusOK, http.Header{"Docker-Content-Digest": {someDigest}}))
	server.on("GET "+cart+someDigest, content(string(types.OCIManifestSchema1), []byte(`{}`)))
	if e := server.fail(t, Options{}, "cart:1"); e.Reason != DigestMismatch || e.Temporary {
		t.Errorf("got %v", e)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+someDigest)
}

func TestWhatIsNotAnImageIsRefused(t *testing.T) {
	for _, liar := range []struct{ mediaType, body, want string }{
		{"text/html", "<html>sign in</html>", "not an image"},
		{"", `{"schemaVersion":2}`, "not an image"},
		{string(types.OCIManifestSchema1), "<html>", "not an image"},
		{string(types.DockerManifestSchema1Signed), `{"schemaVersion":1}`, "schema 1"},
		{string(types.OCIImageIndex), `{"mediaType":"` + string(types.OCIManifestSchema1) + `"}`, "another media type"},
	} {
		server := serve(t)
		server.on("HEAD "+cart+"1", status(http.StatusOK, nil))
		server.on("*", content(liar.mediaType, []byte(liar.body)))
		server.on("GET /v2/", status(http.StatusOK, nil))
		if e := server.fail(t, Options{}, "cart:1"); e.Reason != UnsupportedMediaType || !strings.Contains(e.Detail, liar.want) {
			t.Errorf("%+v: got %v", liar, e)
		}
		server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+"1", "GET "+cart+digestOf([]byte(liar.body)))
	}
}

func TestAnEndlessBodyIsCutOff(t *testing.T) {
	server := serve(t)
	server.on("HEAD "+cart+"1", status(http.StatusOK, nil))
	server.on("GET "+cart+"1", func(w http.ResponseWriter, _ *http.Request) {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if e := server.fail(t, Options{}, "cart:1"); e.Reason != TooLarge {
		t.Errorf("got %v", e)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+"1")
}

func TestASlowRegistryIsATimeout(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}
	stuck := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, handler := range map[string]http.HandlerFunc{"body": slow, "header": stuck} {
		server := serve(t)
		server.on("HEAD "+cart+"1", status(http.StatusOK, nil))
		server.on("GET "+cart+"1", handler)
		if e := server.fail(t, Options{Timeout: 200 * time.Millisecond}, "cart:1"); e.Reason != Timeout || !e.Temporary {
			t.Errorf("%s: got %v", name, e)
		}
		server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+"1")
	}
}

func TestNothingIsAskedBeforeRetryAfterIsOver(t *testing.T) {
	for code, want := range map[int]Reason{http.StatusTooManyRequests: TooManyRequests, http.StatusServiceUnavailable: Unavailable} {
		server := serve(t)
		digest := server.push("cart:1")
		server.on("HEAD "+cart+"1", status(code, http.Header{"Retry-After": {"30"}}))
		clock := newClock()
		resolver := server.resolverAt(t, Options{}, clock.now)
		for _, left := range []time.Duration{30 * time.Second, 30 * time.Second, time.Second} {
			clock.Time = newClock().Add(30*time.Second - left)
			_, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), clock.now())
			if e := firstError(t, err); e.Reason != want || !e.Temporary || e.RetryAfter != left {
				t.Errorf("got %v after %v", e, e.RetryAfter)
			}
		}
		server.expect("GET /v2/", "HEAD "+cart+"1")

		server.forget()
		server.on("HEAD "+cart+"1", nil)
		clock.Time = newClock().Add(30 * time.Second)
		if _, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), clock.now()); err != nil {
			t.Error(err)
		}
		server.expect("HEAD "+cart+"1", "GET "+cart+digest)
	}
}

func TestTooManyRequestsWithoutATimeIsHeededForAMoment(t *testing.T) {
	server := serve(t)
	server.on("HEAD "+cart+"1", status(http.StatusTooManyRequests, nil))
	resolver := server.resolver(t, Options{})
	for range 2 {
		_, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), time.Now())
		if e := firstError(t, err); e.Reason != TooManyRequests || e.RetryAfter > defaultRetryAfter || e.RetryAfter <= 0 {
			t.Errorf("got %v after %v", e, e.RetryAfter)
		}
	}
	server.expect("GET /v2/", "HEAD "+cart+"1")
}

func TestOneAccountsTooManyRequestsIsNotAnothers(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	server.on("GET /v2/", status(http.StatusTooManyRequests, http.Header{"Retry-After": {"30"}}))
	resolver := server.resolver(t, Options{})
	images := []string{server.host + "/cart:1"}
	if _, err := resolver.Resolve(t.Context(), ask(images...), time.Now()); err == nil {
		t.Fatal("no error")
	}
	server.on("GET /v2/", nil)
	if _, err := resolver.Resolve(t.Context(), []Query{{images[0], login(t, server.host, "ana", "pw")}}, time.Now()); err != nil {
		t.Error(err)
	}
}

func TestRetryAfterIsSecondsOrADateAndAtMostAnHour(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, "-5": 0, "soon": 0, "99999999": time.Hour,
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat):    0,
		time.Now().Add(9 * time.Hour).UTC().Format(http.TimeFormat): time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func TestAServerErrorIsTemporaryAndIsNotRepeated(t *testing.T) {
	server := serve(t)
	server.on("HEAD "+cart+"1", status(http.StatusBadGateway, nil))
	e := server.fail(t, Options{}, "cart:1")
	if e.Reason != Unavailable || !e.Temporary || strings.Contains(e.Error(), "secret") {
		t.Errorf("got %v", e)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1")
}

func TestARegistryThatIsDownIsUnavailable(t *testing.T) {
	server := serve(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	server.host = strings.TrimPrefix(gone.URL, "http://")
	if e := server.fail(t, Options{}, "cart:1"); e.Reason != Unavailable || !e.Temporary {
		t.Errorf("got %v", e)
	}
}

func TestBasicCredentialsAreUsed(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	server.protect("ana", "pw")
	got := server.resolve(t, Options{Credentials: login(t, server.host, "ana", "pw")}, "cart:1")
	if got[server.host+"/cart:1"] != digest {
		t.Errorf("got %v", got)
	}
}

func TestRefusedCredentialsAreNotTriedWithout(t *testing.T) {
	server := serve(t)
	server.protect("ana", "pw")
	for _, test := range []struct {
		opts Options
		want string
	}{
		{Options{}, "no credentials for " + server.host + " were found"},
		{Options{Credentials: login(t, server.host, "ana", "wrong")}, server.host + " refused the credentials of Docker config of ana; they must allow to pull it"},
		{Options{Provider: broken{}}, "the credential provider has failed: "},
	} {
		e := server.fail(t, test.opts, "cart:1")
		if e.Reason != Unauthorized || !strings.HasPrefix(e.Detail, test.want) || strings.Contains(e.Error(), "wrong") {
			t.Errorf("got %v, want %s", e, test.want)
		}
	}
	server.expect("GET /v2/", "GET /v2/", "HEAD "+cart+"1", "HEAD "+cart+"1")
}

func TestATokenIsFetchedOncePerRepository(t *testing.T) {
	for _, field := range []string{"token", "access_token"} {
		server := serve(t)
		one, two := server.push("cart:1"), server.push("cart:2")
		server.wantToken(field)
		server.resolve(t, Options{Credentials: login(t, server.host, "ana", "pw")}, "cart:1", "cart:2")
		server.expect("GET /token", "GET /v2/", "GET "+cart+one, "GET "+cart+two, "HEAD "+cart+"1", "HEAD "+cart+"2")
	}
}

func TestARefusedTokenIsUnauthorized(t *testing.T) {
	server := serve(t)
	server.wantToken("token")
	e := server.fail(t, Options{Credentials: login(t, server.host, "ana", "wrong")}, "cart:1")
	if e.Reason != Unauthorized || !strings.Contains(e.Detail, "refused the credentials of Docker config of ana") {
		t.Errorf("got %v", e)
	}
}

// login is a Docker config with one user for one host.
func login(t *testing.T, host, username, password string) []*Credentials {
	t.Helper()
	text := fmt.Sprintf(`{"auths": {%q: {"username": %q, "password": %q}}}`, host, username, password)
	credentials, err := DockerConfig("Docker config of "+username, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return []*Credentials{credentials}
}

type broken struct{}

func (broken) Credentials(context.Context, string) (*Credentials, error) {
	return nil, fmt.Errorf("the program ended with status 1")
}

// protect asks for basic credentials from now on.
func (s *server) protect(username, password string) {
	s.on("*", func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != username || p != password {
			status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Basic realm="x"`}})(w, r)
			return
		}
		s.registry.ServeHTTP(w, r)
	})
}

// setToken makes a token the only one that is good; without one none is.
func (s *server) setToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

func (s *server) wanted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// wantToken asks for a bearer token, given to ana in that field of the answer.
func (s *server) wantToken(field string) {
	s.setToken("opaque")
	challenge := http.Header{"Www-Authenticate": {`Bearer realm="http://` + s.host + `/token",service="x"`}}
	s.on("GET /token", func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != "pw" || r.URL.Query().Get("scope") != "repository:cart:pull" {
			status(http.StatusUnauthorized, nil)(w, r)
			return
		}
		fmt.Fprintf(w, `{%q: %q}`, field, cmp.Or(s.wanted(), "outdated"))
	})
	s.on("*", func(w http.ResponseWriter, r *http.Request) {
		if wanted := s.wanted(); wanted == "" || r.Header.Get("Authorization") != "Bearer "+wanted {
			status(http.StatusUnauthorized, challenge)(w, r)
			return
		}
		s.registry.ServeHTTP(w, r)
	})
}
