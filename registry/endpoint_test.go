package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// endpointsOf declares endpoints for one host.
func endpointsOf(host string, endpoints ...Endpoint) func(string) ([]Endpoint, error) {
	return func(asked string) ([]Endpoint, error) {
		if asked != host {
			return nil, nil
		}
		return endpoints, nil
	}
}

func at(server *server, path string) *url.URL {
	return &url.URL{Scheme: "http", Host: server.host, Path: path}
}

func resolverOf(t *testing.T, opts Options) *Resolver {
	t.Helper()
	resolver, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return resolver
}

func TestAMirrorIsAskedFirstAndToldForWhom(t *testing.T) {
	for host, image := range map[string]string{"docker.io": "nginx:1", "registry.example.com": "registry.example.com/library/nginx:1"} {
		mirror := serve(t)
		digest := mirror.push("library/nginx:1")
		var asked []string
		mirror.on("*", func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RawQuery)
			mirror.registry.ServeHTTP(w, r)
		})
		resolver := resolverOf(t, Options{Endpoints: endpointsOf(host, Endpoint{URL: at(mirror, "/v2"), Mirror: true})})
		got, err := resolver.Resolve(t.Context(), ask(image), time.Now())
		if err != nil || got[image].Digest != digest {
			t.Errorf("got %v, %v", got, err)
		}
		if diff := gocmp.Diff([]string{"ns=" + host, "ns=" + host, "ns=" + host}, asked); diff != "" {
			t.Error("queries (-want +got):\n" + diff)
		}
		mirror.expect("GET /v2/", "HEAD /v2/library/nginx/manifests/1", "GET /v2/library/nginx/manifests/"+digest)
	}
}

func TestTheNextEndpointIsAskedWhereOneCannotAnswer(t *testing.T) {
	head := "HEAD " + cart + "1"
	for name, test := range map[string]struct {
		spoil func(*server)
		want  []string // of the mirror
	}{
		"down":     {func(s *server) { s.host = deadHost(t) }, nil},
		"5xx":      {func(s *server) { s.on(head, status(http.StatusBadGateway, nil)) }, []string{"GET /v2/", head}},
		"missing":  {func(*server) {}, []string{"GET /v2/", head, "GET " + cart + "1"}},
		"stuck":    {func(s *server) { s.on(head, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }) }, []string{"GET /v2/", head}},
		"429":      {func(s *server) { s.on(head, status(http.StatusTooManyRequests, http.Header{"Retry-After": {"30"}})) }, []string{"GET /v2/", head}},
		"401":      {func(s *server) { s.protect("ana", "pw") }, []string{"GET /v2/", head}},
		"403":      {func(s *server) { s.on(head, status(http.StatusForbidden, nil)) }, []string{"GET /v2/", head}},
		"redirect": {func(s *server) { s.on(head, redirect("http://169.254.169.254/")) }, []string{"GET /v2/", head}},
	} {
		t.Run(name, func(t *testing.T) {
			mirror, origin := serve(t), serve(t)
			digest := origin.push("cart:1")
			test.spoil(mirror)
			resolver := resolverOf(t, Options{
				Timeout:   time.Second,
				Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2"), Mirror: true}, Endpoint{URL: at(origin, "/v2")}),
			})
			got, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
			if err != nil || got["r.io/cart:1"].Digest != digest {
				t.Errorf("got %v, %v", got, err)
			}
			mirror.expect(test.want...)
			origin.expect("GET /v2/", head, "GET "+cart+digest)
		})
	}
}

func TestTheNextEndpointIsAskedWhereAMirrorWasAskedEnough(t *testing.T) {
	mirror, origin := serve(t), serve(t)
	digest := origin.push("cart:1")
	resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2"), Mirror: true}, Endpoint{URL: at(origin, "/v2")})})
	for range burst {
		if err := resolver.guard.budget.enter(hostKey(mirror.host), accountID{}, false); err != nil {
			t.Fatal(err)
		}
	}
	got, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
	if err != nil || got["r.io/cart:1"].Digest != digest {
		t.Errorf("got %v, %v", got, err)
	}
	mirror.expect("GET /v2/")
}

func TestWhoDoesNotWaitAnyMoreAsksNobodyElse(t *testing.T) {
	mirror, origin := serve(t), serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	mirror.on("HEAD "+cart+"1", func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	var looked []string
	second := Endpoint{URL: at(origin, "/v2")}
	resolver := resolverOf(t, Options{
		Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2"), Mirror: true}, second),
		Provider:  watcher(func(image string) { looked = append(looked, image) }),
	})
	if _, err := resolver.Resolve(ctx, ask("r.io/cart:1"), time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if diff := gocmp.Diff([]string{mirror.host + "/cart"}, looked); diff != "" {
		t.Error("looked for credentials of (-want +got):\n" + diff)
	}
}

// watcher has no credentials, and tells what it is asked for.
type watcher func(image string)

func (w watcher) Credentials(_ context.Context, image string) (*Credentials, error) {
	w(image)
	return nil, nil
}

// deadHost is one where nobody listens.
func deadHost(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestAMirrorThatLiesIsNotPassedOver(t *testing.T) {
	mirror, origin := serve(t), serve(t)
	origin.push("cart:1")
	mirror.on("GET "+cart+"1", content("text/html", []byte("<html>sign in</html>")))
	mirror.on("HEAD "+cart+"1", status(http.StatusOK, http.Header{"Docker-Content-Digest": {someDigest}}))
	mirror.on("GET "+cart+someDigest, content("text/html", []byte("<html>sign in</html>")))
	resolver := resolverOf(t, Options{
		Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2"), Mirror: true}, Endpoint{URL: at(origin, "/v2")}),
	})
	_, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
	if e := firstError(t, err); e.Reason != DigestMismatch {
		t.Errorf("got %v", e)
	}
	origin.expect()
}

func TestTheErrorOfTheLastEndpointIsToldWithTheNumberOfMirrors(t *testing.T) {
	one, two, origin := serve(t), serve(t), serve(t)
	one.on("*", status(http.StatusBadGateway, nil))
	origin.protect("ana", "pw")
	endpoints := []Endpoint{{URL: at(one, "/v2"), Mirror: true}, {URL: at(two, "/v2"), Mirror: true}, {URL: at(origin, "/v2")}}
	for n, want := range map[int]string{
		2: "no credentials for " + origin.host + " were found, and without them it cannot be read; it may not exist; 2 mirrors were asked before, in vain",
		1: "no credentials for " + origin.host + " were found, and without them it cannot be read; it may not exist; a mirror was asked before, in vain",
		0: "no credentials for " + origin.host + " were found, and without them it cannot be read; it may not exist",
	} {
		_, err := resolverOf(t, Options{Endpoints: endpointsOf("r.io", endpoints[2-n:]...)}).Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
		if e := firstError(t, err); e.Reason != Unauthorized || e.Host != "r.io" || e.Detail != want {
			t.Errorf("%d: got %v", n, e)
		}
	}
}

func TestAnEndpointsPathIsBeforeTheRepository(t *testing.T) {
	for path, want := range map[string]struct{ ping, manifests, scope string }{
		"/v2":            {"/v2/", "/v2/cart/manifests/", "repository:cart:pull"},
		"/v2/proxy/hub":  {"/v2/", "/v2/proxy/hub/cart/manifests/", "repository:proxy/hub/cart:pull"},
		"/registry/v2":   {"/registry/v2/", "/registry/v2/cart/manifests/", "repository:cart:pull"},
		"/registry":      {"/registry/", "/registry/cart/manifests/", "repository:cart:pull"},
		"":               {"/", "/cart/manifests/", "repository:cart:pull"},
		"/x/v2/proxy/v2": {"/x/v2/", "/x/v2/proxy/v2/cart/manifests/", "repository:proxy/v2/cart:pull"},
	} {
		server, inner := serve(t), serve(t)
		digest := inner.push("cart:1")
		var scope string
		server.on("GET /token", func(w http.ResponseWriter, r *http.Request) {
			scope = r.URL.Query().Get("scope")
			w.Write([]byte(`{"token": "opaque"}`))
		})
		server.on("*", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer opaque" {
				status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Bearer realm="http://` + server.host + `/token"`}})(w, r)
				return
			}
			r.URL.Path = cart + r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
			inner.registry.ServeHTTP(w, r)
		})
		resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", Endpoint{URL: at(server, path)})})
		got, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
		if err != nil || got["r.io/cart:1"].Digest != digest {
			t.Errorf("%q: got %v, %v", path, got, err)
		}
		if scope != want.scope {
			t.Errorf("%q: got the scope %s", path, scope)
		}
		server.expect("GET /token", "GET "+want.ping, "GET "+want.manifests+digest, "HEAD "+want.manifests+"1")
	}
}

// Mirrors of plain files have nothing at /v2/.
func TestAnEndpointNeedNotAnswerThePing(t *testing.T) {
	for _, code := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusForbidden} {
		server := serve(t)
		digest := server.push("cart:1")
		server.on("GET /v2/", status(code, nil))
		resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", Endpoint{URL: at(server, "/v2")})})
		if got, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now()); err != nil || got["r.io/cart:1"].Digest != digest {
			t.Errorf("%d: got %v, %v", code, got, err)
		}
	}
}

// Where the ping says nothing of tokens, the answer to the manifest does, and that is remembered.
func TestWhatARegistryWantsIsSeenWhenItRefusesAManifest(t *testing.T) {
	server := serve(t)
	one, two := server.push("cart:1"), server.push("cart:2")
	server.wantToken("token")
	server.on("GET /v2/", status(http.StatusOK, nil))
	resolver := server.resolver(t, Options{Credentials: login(t, server.host, "ana", "pw")})
	for _, step := range []struct {
		tag, digest string
		want        []string
	}{
		{"1", one, []string{"GET /v2/", "HEAD " + cart + "1", "GET /token", "HEAD " + cart + "1", "GET " + cart + one}},
		{"2", two, []string{"HEAD " + cart + "2", "GET " + cart + two}},
	} {
		image := server.host + "/cart:" + step.tag
		got, err := resolver.Resolve(t.Context(), ask(image), time.Now())
		if err != nil || got[image].Digest != step.digest {
			t.Errorf("got %v, %v", got, err)
		}
		server.expect(step.want...)
		server.forget()
	}
}

// GitHub's registry answers the ping with the scope of a repository that stands for any.
func TestTheScopeOfAPingDoesNotCount(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	server.wantToken("token")
	challenge := `Bearer realm="http://` + server.host + `/token",service="x",scope="repository:user/image:pull"`
	server.on("GET /v2/", status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}}))
	got := server.resolve(t, Options{Credentials: login(t, server.host, "ana", "pw")}, "cart:1") // the token server wants that of cart alone
	if got[server.host+"/cart:1"] != digest {
		t.Errorf("got %v", got)
	}
}

// A mirror that keeps others' repositories under another name says so when it is asked for a manifest.
func TestTheScopeThatAManifestWantsIsAskedForFirst(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	var scopes [][]string
	server.on("GET /token", func(w http.ResponseWriter, r *http.Request) {
		scopes = append(scopes, r.URL.Query()["scope"])
		fmt.Fprintf(w, `{"token": %q}`, r.URL.Query().Get("scope"))
	})
	server.on("*", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer repository:hub/cart:pull" {
			challenge := `Bearer realm="http://` + server.host + `/token",scope="repository:hub/cart:pull"`
			status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}})(w, r)
			return
		}
		server.registry.ServeHTTP(w, r)
	})
	if got := server.resolve(t, Options{}, "cart:1"); got[server.host+"/cart:1"] != digest {
		t.Errorf("got %v", got)
	}
	want := [][]string{{"repository:cart:pull"}, {"repository:hub/cart:pull", "repository:cart:pull"}}
	if diff := gocmp.Diff(want, scopes); diff != "" {
		t.Error("scopes (-want +got):\n" + diff)
	}
	server.expect("GET /v2/", "GET /token", "HEAD "+cart+"1", "GET /token", "HEAD "+cart+"1", "GET "+cart+digest)
}

func TestCredentialsAreThoseOfTheHostThatIsAsked(t *testing.T) {
	mirror := serve(t)
	digest := mirror.push("team/cart:1")
	mirror.protect("mirror", "pw")
	all := append(login(t, "r.io", "origin", "secret"), login(t, mirror.host, "mirror", "pw")...)
	all[0].Source, all[1].Source = "Secret shop/origin", "Secret shop/mirror"
	var shown []string
	mirror.on("HEAD /v2/team/cart/manifests/1", func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		shown = append(shown, user)
		mirror.registry.ServeHTTP(w, r)
	})
	resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2"), Mirror: true})})
	got, err := resolver.Resolve(t.Context(), []Query{{"r.io/team/cart:1", all}}, time.Now())
	if err != nil || got["r.io/team/cart:1"].Digest != digest || got["r.io/team/cart:1"].Source != "Secret shop/mirror" {
		t.Errorf("got %v, %v", got, err)
	}
	if diff := gocmp.Diff([]string{"mirror"}, shown); diff != "" {
		t.Error("users (-want +got):\n" + diff)
	}
}

func TestAnEndpointsHeadersStayWithIt(t *testing.T) {
	other, mirror := serve(t), serve(t)
	digest := other.push("cart:1")
	seen := map[*server][]string{}
	for _, s := range []*server{other, mirror} {
		s.on("*", func(w http.ResponseWriter, r *http.Request) {
			seen[s] = append(seen[s], r.Header.Get("X-Team")+cmp.Or(r.Header.Get("Authorization"), "-"))
			s.registry.ServeHTTP(w, r)
		})
	}
	mirror.on("HEAD "+cart+"1", redirect("http://"+other.host+cart+"1"))
	mirror.on("GET "+cart+digest, redirect("http://"+other.host+cart+digest))
	resolver := resolverOf(t, Options{
		Insecure: []string{other.host},
		Endpoints: endpointsOf("r.io", Endpoint{
			URL: at(mirror, "/v2"), Header: http.Header{"x-team": {"shop"}, "Authorization": {"Basic x"}},
		}),
	})
	if _, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now()); err != nil {
		t.Fatal(err)
	}
	want := map[*server][]string{other: {"-", "-"}, mirror: {"shopBasic x"}}
	for s, want := range want {
		if diff := gocmp.Diff(want, seen[s]); diff != "" {
			t.Error("headers (-want +got):\n" + diff)
		}
	}
}

// A redirect from a declared endpoint goes where nobody has declared anything.
func TestARedirectLeavesDeclaredGround(t *testing.T) {
	target, mirror := serve(t), serve(t)
	_, port, _ := net.SplitHostPort(target.host)
	for to, want := range map[string]Reason{
		"http://" + target.host + cart + "1":       Redirected,
		"https://localhost:" + port + cart + "1":   AddressRefused,
		"http://localhost:" + port + cart + "1":    Redirected,
		"https://169.254.169.254/latest/meta-data": AddressRefused,
	} {
		mirror.on("HEAD "+cart+"1", redirect(to))
		resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2")})})
		_, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
		if e := firstError(t, err); e.Reason != want {
			t.Errorf("%s: got %v", to, e)
		}
	}
	target.expect()
}

func TestAnEndpointHasItsOwnTLS(t *testing.T) {
	inner := serve(t)
	digest := inner.push("cart:1")
	secure := httptest.NewUnstartedServer(inner.registry)
	secure.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	secure.Config.ErrorLog = silent
	secure.StartTLS()
	t.Cleanup(secure.Close)
	u, err := url.Parse(secure.URL + "/v2")
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AddCert(secure.Certificate())
	for name, test := range map[string]struct {
		endpoint Endpoint
		want     string
	}{
		"trusted":    {Endpoint{URL: u, RootCAs: authorities}, ""},
		"unverified": {Endpoint{URL: u, SkipVerify: true}, ""},
		"untrusted":  {Endpoint{URL: u}, "its certificate is not trusted"},
	} {
		resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", test.endpoint)})
		got, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
		if test.want == "" {
			if err != nil || got["r.io/cart:1"].Digest != digest {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
			continue
		}
		if e := firstError(t, err); e.Reason != Unavailable || !strings.HasPrefix(e.Detail, test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Settings without a URL are for the registry itself, which may not be everywhere for that.
func TestTLSWithoutAURLOpensNoAddress(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = silent
	secure.StartTLS()
	t.Cleanup(secure.Close)
	host := strings.TrimPrefix(secure.URL, "https://")
	for _, insecure := range []bool{false, true} {
		opts := Options{Endpoints: endpointsOf(host, Endpoint{SkipVerify: true})}
		want := AddressRefused
		if insecure {
			opts.Insecure, want = []string{host}, Unavailable // for it answers the ping with 404
		}
		_, err := resolverOf(t, opts).Resolve(t.Context(), ask(host+"/cart:1"), time.Now())
		if e := firstError(t, err); e.Reason != want {
			t.Errorf("%t: got %v", insecure, e)
		}
	}
}

func TestAChangedAuthorityCountsAtOnce(t *testing.T) {
	inner := serve(t)
	inner.push("cart:1")
	secure := httptest.NewUnstartedServer(inner.registry)
	secure.Config.ErrorLog = silent
	secure.StartTLS()
	t.Cleanup(secure.Close)
	u, _ := url.Parse(secure.URL + "/v2")
	endpoint := Endpoint{URL: u}
	resolver := resolverOf(t, Options{Endpoints: func(string) ([]Endpoint, error) { return []Endpoint{endpoint}, nil }})
	resolve := func() error {
		_, err := resolver.Resolve(t.Context(), ask("r.io/cart:1"), time.Now())
		return err
	}
	if resolve() == nil {
		t.Error("it is trusted before its authority is declared")
	}
	endpoint.RootCAs = x509.NewCertPool()
	endpoint.RootCAs.AddCert(secure.Certificate())
	if err := resolve(); err != nil {
		t.Error(err)
	}
	endpoint.RootCAs = nil
	if resolve() == nil {
		t.Error("it is trusted after its authority is declared no more")
	}
}

func TestUnreadableEndpointsAreToldAndNothingIsAsked(t *testing.T) {
	server := serve(t)
	resolver := server.resolver(t, Options{Endpoints: func(string) ([]Endpoint, error) {
		return nil, errors.New("certs.d/r.io/hosts.toml:3: no such key")
	}})
	_, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), time.Now())
	if e := firstError(t, err); e.Reason != EndpointsUnreadable || !e.Temporary || !strings.Contains(e.Detail, "hosts.toml:3: no such key") {
		t.Errorf("got %v", e)
	}
	server.expect()
}
