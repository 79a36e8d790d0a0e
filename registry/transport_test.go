// FAULTS, Registry: redirects to private, loopback, metadata or API addresses, self-signed TLS, credentials go only to the registry they belong to.

package registry

import (
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnUndeclaredLocalHostIsNotConnectedTo(t *testing.T) {
	server := serve(t)
	_, port, _ := net.SplitHostPort(server.host)
	for _, host := range []string{server.host, "localhost:" + port, "[::1]:" + port, "169.254.169.254", "10.0.0.1"} {
		resolver, err := New(Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = resolver.Resolve(t.Context(), ask(host+"/cart:1"), time.Now())
		if e := firstError(t, err); e.Reason != AddressRefused || e.Temporary {
			t.Errorf("%s: got %v", host, e)
		}
	}
	server.expect()
}

func TestARedirectInwardsIsNotConnectedTo(t *testing.T) {
	target := serve(t)
	_, port, _ := net.SplitHostPort(target.host)
	for to, want := range map[string]Reason{
		"https://localhost:" + port + "/x": AddressRefused,
		"https://169.254.169.254/latest":   AddressRefused,
		"http://localhost:" + port + "/x":  Redirected,
		"http://169.254.169.254/latest":    Redirected,
		"file:///etc/passwd":               Redirected,
	} {
		for _, method := range []string{"HEAD ", "GET "} {
			server := serve(t)
			server.on("HEAD "+cart+"1", status(http.StatusMethodNotAllowed, nil))
			server.on(method+cart+"1", redirect(to))
			e := server.fail(t, Options{}, "cart:1")
			if e.Reason != want {
				t.Errorf("%s%s: got %s: %v", method, to, e.Reason, e)
			}
			if strings.Contains(e.Error(), to) {
				t.Errorf("the error shows what the server said: %v", e)
			}
			want := []string{"GET /v2/", "HEAD " + cart + "1"}
			if method == "GET " {
				want = append(want, "GET "+cart+"1")
			}
			server.expect(want...)
		}
	}
	target.expect()
}

func TestARedirectIsFollowedWithoutCredentials(t *testing.T) {
	target := serve(t)
	digest := target.push("cart:1")
	target.on("*", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("credentials were sent to another host")
		}
		target.registry.ServeHTTP(w, r)
	})
	server := serve(t)
	server.protect("ana", "pw")
	for _, identifier := range []string{"1", digest} {
		server.on("HEAD "+cart+identifier, redirect("http://"+target.host+cart+identifier))
		server.on("GET "+cart+identifier, redirect("http://"+target.host+cart+identifier))
	}
	opts := Options{Credentials: login(t, server.host, "ana", "pw"), Insecure: []string{target.host}}
	if got := server.resolve(t, opts, "cart:1")[server.host+"/cart:1"]; got != digest {
		t.Errorf("got %s, want %s", got, digest)
	}
	target.expect("GET "+cart+digest, "HEAD "+cart+"1")
}

// For net/http another port is the same host, and keeps the header.
func TestAuthorizationStaysAtItsPort(t *testing.T) {
	target := serve(t)
	target.on("GET /x", func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("credentials were sent to another port")
		}
	})
	server := serve(t)
	server.on("GET /x", redirect("http://"+target.host+"/x"))
	client := http.Client{Transport: way{guard: newGuard(Options{Insecure: []string{server.host, target.host}}, time.Now)}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.host+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Basic secret")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	target.expect("GET /x")
}

func TestAPingIsNotRedirected(t *testing.T) {
	target := serve(t)
	server := serve(t)
	server.on("GET /v2/", redirect("http://"+target.host+"/v2/"))
	if e := server.fail(t, Options{Insecure: []string{target.host}}, "cart:1"); e.Reason != Redirected {
		t.Errorf("got %v", e)
	}
	target.expect()
	server.expect("GET /v2/")
}

func TestARedirectLoopEnds(t *testing.T) {
	server := serve(t)
	server.on("HEAD "+cart+"1", redirect(cart+"1"))
	if e := server.fail(t, Options{}, "cart:1"); e.Reason != Redirected {
		t.Errorf("got %v", e)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1", "HEAD "+cart+"1", "HEAD "+cart+"1", "HEAD "+cart+"1")
}

func TestHTTPSIsNotLeftByRedirect(t *testing.T) {
	target := serve(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			redirect("http://"+target.host+r.URL.Path)(w, r)
		}
	}))
	t.Cleanup(secure.Close)
	authorities := x509.NewCertPool()
	authorities.AddCert(secure.Certificate())
	host := strings.TrimPrefix(secure.URL, "https://")

	resolver, err := New(Options{Insecure: []string{host, target.host}, RootCAs: authorities})
	if err != nil {
		t.Fatal(err)
	}
	_, err = resolver.Resolve(t.Context(), ask(host+"/cart:1"), time.Now())
	if e := firstError(t, err); e.Reason != Redirected {
		t.Errorf("got %v", e)
	}
	target.expect()
}

func TestAnUntrustedCertificateIsNamed(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	host := strings.TrimPrefix(secure.URL, "https://")
	resolver, err := New(Options{Insecure: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = resolver.Resolve(t.Context(), ask(host+"/cart:1"), time.Now())
	if e := firstError(t, err); e.Reason != Unavailable || !strings.Contains(e.Detail, "certificate") {
		t.Errorf("got %v", e)
	}
}

func TestAProxyIsUsedForNamesOnly(t *testing.T) {
	proxy := serve(t)
	digest := proxy.push("cart:1")
	resolver, err := New(Options{
		Insecure: []string{"registry.example"},
		Proxy:    http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.host}),
	})
	if err != nil {
		t.Fatal(err)
	}
	image := "registry.example/cart:1"
	if got, err := resolver.Resolve(t.Context(), ask(image), time.Now()); err != nil || got[image].Digest != digest {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = resolver.Resolve(t.Context(), ask("169.254.169.254/cart:1"), time.Now())
	if e := firstError(t, err); e.Reason != AddressRefused {
		t.Errorf("got %v", e)
	}
}

// silent drops what a server says of handshakes that are meant to fail.
var silent = log.New(io.Discard, "", 0)

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

func firstError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return e
}

func TestARefusedHostIsNotLedTo(t *testing.T) {
	server := serve(t)
	opts := Options{Refuse: []string{"api.example.com:6443", "metadata.example.com", server.host}}
	for _, image := range []string{"api.example.com:6443/pods:1", "API.example.com:6443/pods:1", "metadata.example.com/x:1", "metadata.example.com:8080/x:1"} {
		_, err := resolverOf(t, opts).Resolve(t.Context(), ask(image), time.Now())
		if e := firstError(t, err); e.Reason != AddressRefused || e.Temporary || !strings.Contains(e.Detail, "the API server") {
			t.Errorf("%s: got %v", image, e)
		}
	}
	for _, to := range []string{"https://api.example.com:6443/x", "https://metadata.example.com/x", "https://Metadata.example.com./x", "https://api.example.com.:6443/x"} {
		server.on("HEAD "+cart+"1", redirect(to))
		if e := server.fail(t, opts, "cart:1"); e.Reason != AddressRefused || !strings.Contains(e.Detail, "the API server") { // the server itself is declared
			t.Errorf("%s: got %v", to, e)
		}
	}
}

func TestADeclaredHostIsNotRefused(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	for name, resolver := range map[string]*Resolver{
		"insecure": server.resolver(t, Options{Refuse: []string{server.host}}),
		"endpoint": resolverOf(t, Options{Refuse: []string{server.host}, Endpoints: endpointsOf(server.host, Endpoint{URL: at(server, "/v2")})}),
	} {
		image := server.host + "/cart:1"
		if got, err := resolver.Resolve(t.Context(), ask(image), time.Now()); err != nil || got[image].Digest != digest {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestTheAddressesOfARefusedHostAreRefused(t *testing.T) {
	d := newDialer(Options{})
	refused := []netip.AddrPort{netip.MustParseAddrPort("203.0.113.7:6443"), netip.MustParseAddrPort("203.0.113.8:0"), netip.MustParseAddrPort("[2001:db8::7]:443")}
	for address, want := range map[string]bool{
		"203.0.113.7:6443": true, "203.0.113.7:443": false, "203.0.113.8:443": true, "203.0.113.8:5000": true,
		"[::ffff:203.0.113.7]:6443": true, "[2001:db8::7]:443": true, "[2001:db8::8]:443": false, "203.0.113.9:6443": false,
	} {
		if err := d.judge(address, refused); (err != nil) != want || want && !errors.Is(err, errRefused) {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

// Nothing is sent: the address is judged before.
func TestARefusedAddressIsNotDialled(t *testing.T) {
	d := newDialer(Options{Refuse: []string{"203.0.113.7:6443"}})
	if _, err := d.careful(t.Context(), "tcp", "203.0.113.7:6443"); !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
}

func TestTheAddressesOfARefusedHostAreLookedUp(t *testing.T) {
	got, err := refusal{"localhost:6443", "203.0.113.7", "[2001:db8::7]:443"}.addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1:6443", "203.0.113.7:0", "[2001:db8::7]:0"} {
		if !slices.Contains(got, netip.MustParseAddrPort(want)) {
			t.Errorf("got %v, and %s is not there", got, want)
		}
	}
}

func TestAMalformedHostIsNamed(t *testing.T) {
	for _, opts := range []Options{{Insecure: []string{"http://r.io"}}, {Refuse: []string{"::1"}}, {Insecure: []string{""}}} {
		if _, err := New(opts); err == nil || !strings.Contains(err.Error(), "it should be like registry.example.com") {
			t.Errorf("%+v: got %v", opts, err)
		}
	}
}

// Settings without a URL open no address, but the proxy is the operator's.
func TestAProxyIsReachedWithTheTLSOfARegistry(t *testing.T) {
	proxy := serve(t) // which refuses CONNECT
	opts := Options{
		Endpoints: endpointsOf("registry.example", Endpoint{SkipVerify: true}),
		Proxy: func(r *http.Request) (*url.URL, error) {
			return &url.URL{Scheme: "http", Host: proxy.host}, nil
		},
	}
	_, err := resolverOf(t, opts).Resolve(t.Context(), ask("registry.example/cart:1"), time.Now())
	if e := firstError(t, err); e.Reason != Unavailable {
		t.Errorf("got %v", e)
	}
	proxy.expect("CONNECT ")
}

// A proxy may take for an address what we take for a name.
func TestAnAddressHoweverWrittenIsNotLeftToTheProxy(t *testing.T) {
	proxy := namesOnly(http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example"}))
	for host, want := range map[string]bool{
		"registry.example": true, "registry.example.": true, "r2.example:443": true, "1.registry.example": true, "0xabc.example": true,
		"10.0.0.1": false, "[::1]": false, "[fe80::1%25eth0]": false, "10.0.0.1.": false,
		"2130706433": false, "127.1": false, "0x7f.1": false, "0x7f000001": false, "0177.0.0.1": false, "169.254.0xA9FE": false, "127.0.0.0X1.": false,
	} {
		u, err := url.Parse("https://" + host + "/v2/")
		if err != nil {
			t.Fatal(err)
		}
		got, err := proxy(&http.Request{URL: u})
		if err != nil || (got != nil) != want {
			t.Errorf("%s: got %v, %v", host, got, err)
		}
	}
}

// Package http makes ASCII of what it dials, so that ｌocalhost is another host than the one that was looked at.
func TestAHostIsWrittenInASCII(t *testing.T) {
	proxy, server := serve(t), serve(t)
	opts := Options{Refuse: []string{"api.example.com"}, Proxy: func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == server.host {
			return nil, nil
		}
		return &url.URL{Scheme: "http", Host: proxy.host}, nil
	}}
	for _, to := range []string{"https://１２７.0.0.1/x", "https://api。example.com/x", "https://%EF%BD%81pi.example.com/x"} {
		server.on("HEAD "+cart+"1", redirect(to))
		if e := server.fail(t, opts, "cart:1"); e.Reason != AddressRefused {
			t.Errorf("%s: got %v", to, e)
		}
	}
	proxy.expect()
}
