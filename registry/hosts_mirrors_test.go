package registry

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDockerHubIsAskedForThroughAPlainMirror(t *testing.T) {
	origin := serve(t)
	digest := origin.push("library/nginx:1.27")
	mirror := mirrorOf(t, origin, nil, func(req *http.Request) bool { return req.URL.Query().Get("ns") == "docker.io" })
	dir := certsOf(t, "-- docker.io/hosts.toml --\n"+`
[host."`+mirror.url+`"]
  capabilities = ["pull", "resolve"]
  [host."`+mirror.url+`".header]
    x-team = ["shop", "web"]
`)
	got := resolveBy(t, dir, Options{Credentials: login(t, "docker.io", "ana", "hunter2")}, "nginx:1.27", "docker.io/library/nginx:1.27")
	if got["nginx:1.27"].Digest != digest || got["docker.io/library/nginx:1.27"].Digest != digest || got["nginx:1.27"].Source != "" {
		t.Errorf("got %+v, want %s", got, digest)
	}
	mirror.expect(
		"GET /v2/?ns=docker.io",
		"GET /v2/library/nginx/manifests/"+digest+"?ns=docker.io",
		"HEAD /v2/library/nginx/manifests/1.27?ns=docker.io",
	)
	for _, header := range mirror.headers {
		if header.Get("Authorization") != "" || !slices.Equal(header["X-Team"], []string{"shop", "web"}) {
			t.Errorf("the mirror was sent %v", header)
		}
	}
}

func TestAMirrorIsShownTheCredentialsOfItsOwnHost(t *testing.T) {
	origin := serve(t)
	digest := origin.push("library/nginx:1.27")
	mirror := mirrorOf(t, &server{t: t, registry: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != "robot" || password != "of the mirror" {
			w.Header().Set("WWW-Authenticate", `Basic realm="mirror"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		origin.registry.ServeHTTP(w, req)
	})}, nil, anything)
	dir := certsOf(t, "-- docker.io/hosts.toml --\nserver = \""+mirror.url+"\"\n")
	hub := login(t, "docker.io", "ana", "hunter2")
	if e := refusedBy(t, dir, Options{Credentials: hub}, "nginx:1.27"); e.Reason != Unauthorized || strings.Contains(e.Detail, "hunter2") {
		t.Errorf("with those of Docker Hub: got %v", e)
	}
	for _, header := range mirror.headers {
		if header.Get("Authorization") != "" {
			t.Errorf("the mirror was sent %v", header)
		}
	}
	own := login(t, mirror.host, "robot", "of the mirror")
	got := resolveBy(t, dir, Options{Credentials: slices.Concat(hub, own)}, "nginx:1.27")
	if got["nginx:1.27"].Digest != digest || got["nginx:1.27"].Source != own[0].Source {
		t.Errorf("got %+v, want %s", got, digest)
	}
}

func TestARegistryWithAPrivateAuthorityIsAskedItself(t *testing.T) {
	origin := serve(t)
	digest := origin.push("shop/cart:1")
	private := mirrorOf(t, origin, withTLS, anything)
	image := private.host + "/shop/cart:1"
	for name, files := range map[string]string{
		"hosts.toml":     "-- HOST/hosts.toml --\nserver = \"https://HOST\"\nca = \"ca.pem\"\n-- HOST/ca.pem --\nCA",
		"without server": "-- HOST/hosts.toml --\nca = \"ca.pem\"\n-- HOST/ca.pem --\nCA",
		"Docker's form":  "-- HOST/ca.crt --\nCA",
		"port":           "-- PORT/ca.crt --\nCA",
		"skip_verify":    "-- HOST/hosts.toml --\nserver = \"https://HOST\"\nskip_verify = true\n",
	} {
		private.forget()
		port := strings.Replace(private.host, ":", "_", 1) + "_"
		dir := certsOf(t, strings.NewReplacer("HOST", private.host, "PORT", port, "CA", private.ca).Replace(files))
		if got := resolveBy(t, dir, Options{}, image); got[image].Digest != digest {
			t.Errorf("%s: got %+v, want %s", name, got, digest)
		}
		private.expect("GET /v2/", "GET /v2/shop/cart/manifests/"+digest, "HEAD /v2/shop/cart/manifests/1")
	}

	private.forget()
	dir := certsOf(t, "-- "+private.host+"/hosts.toml --\nserver = \""+private.url+"\"\n")
	if e := refusedBy(t, dir, Options{}, image); e.Reason != Unavailable {
		t.Errorf("without the authority: got %v", e)
	}
	private.expect()
}

func TestMirrorsAreTriedInTheOrderOfTheFile(t *testing.T) {
	origin := serve(t)
	digest := origin.push("shop/cart:1")
	empty := mirrorOf(t, origin, nil, nothing)
	full := mirrorOf(t, origin, withTLS, anything)
	last := mirrorOf(t, origin, nil, anything)
	dir := certsOf(t, strings.NewReplacer("EMPTY", empty.url, "FULL", full.url, "LAST", last.url, "CA", full.ca).Replace(`
-- _default/hosts.toml --
server = "LAST"
[host."LAST/pull-only"]
  capabilities = ["pull"]
[host."EMPTY"]
[host."FULL"]
  ca = "ca.pem"
-- _default/ca.pem --
CA`))
	const image = "quay.io/shop/cart:1"
	if got := resolveBy(t, dir, Options{}, image); got[image].Digest != digest {
		t.Errorf("got %+v, want %s", got, digest)
	}
	empty.expect("GET /v2/?ns=quay.io", "GET /v2/shop/cart/manifests/1?ns=quay.io", "HEAD /v2/shop/cart/manifests/1?ns=quay.io")
	full.expect("GET /v2/?ns=quay.io", "GET /v2/shop/cart/manifests/"+digest+"?ns=quay.io", "HEAD /v2/shop/cart/manifests/1?ns=quay.io")
	last.expect()
}

func TestAMirrorMayHaveItsAPIElsewhere(t *testing.T) {
	origin := serve(t)
	digest := origin.push("shop/cart:1")
	within := http.StripPrefix("/hub", origin.registry)
	odd := &server{t: t, registry: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.URL.Path = strings.Replace(req.URL.Path, "/hub/", "/hub/v2/", 1)
		within.ServeHTTP(w, req)
	})}
	mirror := mirrorOf(t, odd, nil, func(req *http.Request) bool { return req.URL.Path != "/hub/" })
	dir := certsOf(t, "-- quay.io/hosts.toml --\n[host.\""+mirror.url+"/hub/\"]\noverride_path = true\n")
	const image = "quay.io/shop/cart:1"
	if got := resolveBy(t, dir, Options{}, image); got[image].Digest != digest {
		t.Errorf("got %+v, want %s", got, digest)
	}
	mirror.expect("GET /hub/?ns=quay.io", "GET /hub/shop/cart/manifests/"+digest+"?ns=quay.io", "HEAD /hub/shop/cart/manifests/1?ns=quay.io")
}

// containerd's documentation has plain HTTP together with skip_verify, and the nodes try both.
func TestPlainHTTPWithTLSSettingsFindsBoth(t *testing.T) {
	origin := serve(t)
	digest := origin.push("shop/cart:1")
	const image = "quay.io/shop/cart:1"
	for name, mirror := range map[string]*mirror{
		"HTTP":  mirrorOf(t, origin, nil, anything),
		"HTTPS": mirrorOf(t, origin, withTLS, anything),
	} {
		dir := certsOf(t, "-- quay.io/hosts.toml --\n[host.\"http://"+mirror.host+"\"]\nskip_verify = true\n")
		if got := resolveBy(t, dir, Options{}, image); got[image].Digest != digest {
			t.Errorf("%s: got %+v, want %s", name, got, digest)
		}
		mirror.expect("GET /v2/?ns=quay.io", "GET /v2/shop/cart/manifests/"+digest+"?ns=quay.io", "HEAD /v2/shop/cart/manifests/1?ns=quay.io")
	}
}

func TestAMirrorMayAskForAClientCertificate(t *testing.T) {
	certificate, key := selfSigned(t)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM([]byte(certificate))
	origin := serve(t)
	digest := origin.push("shop/cart:1")
	mirror := mirrorOf(t, origin, func(config *tls.Config) {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = clients
	}, anything)
	const image = "quay.io/shop/cart:1"
	for client, want := range map[string]string{`client = "both.pem"`: digest, `client = [["only.cert", "only.key"]]`: digest, "": ""} {
		dir := certsOf(t, strings.NewReplacer("URL", mirror.url, "CLIENT", client, "CA", mirror.ca, "CERT", certificate, "KEY", key).Replace(`
-- quay.io/hosts.toml --
server = "URL"
ca = "ca.pem"
CLIENT
-- quay.io/ca.pem --
CA
-- quay.io/both.pem --
CERTKEY
-- quay.io/only.cert --
CERT
-- quay.io/only.key --
KEY`))
		if want == "" {
			if e := refusedBy(t, dir, Options{}, image); e.Reason != Unavailable {
				t.Errorf("without: got %v", e)
			}
		} else if got := resolveBy(t, dir, Options{}, image); got[image].Digest != want {
			t.Errorf("%s: got %+v, want %s", client, got, want)
		}
	}
}

// Nobody vouches for the registry behind a mirror, or for what an image of some host names.
func TestWhatIsNotDeclaredKeepsTheRulesForAddresses(t *testing.T) {
	origin := serve(t)
	origin.push("shop/cart:1")
	private := mirrorOf(t, origin, withTLS, anything)
	empty := mirrorOf(t, origin, nil, nothing)
	image := private.host + "/shop/cart:1"
	for name, files := range map[string]string{
		"a mirror for all":          "-- _default/hosts.toml --\n[host.\"EMPTY\"]\n",
		"a mirror for it":           "-- HOST/hosts.toml --\n[host.\"EMPTY\"]\n",
		"an authority for all":      "-- _default/hosts.toml --\nca = \"ca.pem\"\n-- _default/ca.pem --\nCA",
		"Docker's form for all":     "-- _default/ca.crt --\nCA",
		"nothing is looked at, all": "-- _default/hosts.toml --\nskip_verify = true\n",
		"another host":              "-- quay.io/hosts.toml --\nserver = \"EMPTY\"\n",
	} {
		dir := certsOf(t, strings.NewReplacer("HOST", private.host, "EMPTY", empty.url, "CA", private.ca).Replace(files))
		if e := refusedBy(t, dir, Options{}, image); e.Reason != AddressRefused {
			t.Errorf("%s: got %s: %v", name, e.Reason, e)
		}
	}
	private.expect()
}

func TestAHostsFileThatCannotBeReadLeadsNowhere(t *testing.T) {
	origin := serve(t)
	digest := origin.push("shop/cart:1")
	other := serve(t)
	other.push("shop/cart:1")
	dir := certsOf(t, "-- "+origin.host+"/hosts.toml --\nserver = hunter2\n")
	resolver, err := New(Options{Insecure: []string{origin.host, other.host}, Endpoints: Hosts(dir)})
	if err != nil {
		t.Fatal(err)
	}
	image := origin.host + "/shop/cart:1"
	_, err = resolver.Resolve(t.Context(), ask(image, other.host+"/shop/cart:1"), time.Now())
	e := firstError(t, err)
	if e.Reason != EndpointsUnreadable || e.Image != image || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), other.host) ||
		!strings.Contains(e.Detail, filepath.Join(dir, origin.host, "hosts.toml")+": this is not TOML") {
		t.Errorf("got %v", err)
	}
	origin.expect()

	if err := os.WriteFile(filepath.Join(dir, origin.host, "hosts.toml"), []byte(`server = "http://`+origin.host+`"`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := resolver.Resolve(t.Context(), ask(image), time.Now())
	if err != nil || got[image].Digest != digest {
		t.Errorf("mended: got %v, %v", got, err)
	}
}

// resolveBy resolves images by what dir declares.
func resolveBy(t *testing.T, dir string, opts Options, images ...string) map[string]Resolution {
	t.Helper()
	opts.Endpoints = Hosts(dir)
	resolver, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := resolver.Resolve(t.Context(), ask(images...), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// refusedBy is the error of what dir declares.
func refusedBy(t *testing.T, dir string, opts Options, images ...string) *Error {
	t.Helper()
	opts.Endpoints = Hosts(dir)
	resolver, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = resolver.Resolve(t.Context(), ask(images...), time.Now())
	return firstError(t, err)
}

// mirror has the images of a server, and remembers what it is asked.
type mirror struct {
	t    *testing.T
	url  string // http://127.0.0.1:…, or https
	host string
	ca   string // PEM; empty without TLS

	mu       sync.Mutex
	requests []string
	headers  []http.Header
}

// mirrorOf serves what origin has, over HTTPS if secure is not nil, which may then change what is asked of clients. Requests
// for which admit is false are not found.
func mirrorOf(t *testing.T, origin *server, secure func(*tls.Config), admit func(*http.Request) bool) *mirror {
	t.Helper()
	m := &mirror{t: t}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		m.mu.Lock()
		m.requests = append(m.requests, req.Method+" "+req.URL.RequestURI())
		m.headers = append(m.headers, req.Header)
		m.mu.Unlock()
		if !admit(req) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		origin.registry.ServeHTTP(w, req)
	}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure != nil {
		web.TLS = &tls.Config{}
		secure(web.TLS)
		web.StartTLS()
	} else {
		web.Start()
	}
	t.Cleanup(web.Close)
	m.url, m.host = web.URL, web.Listener.Addr().String()
	if secure != nil {
		m.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	}
	return m
}

func anything(*http.Request) bool { return true }

func nothing(*http.Request) bool { return false }

func withTLS(*tls.Config) {}

func (m *mirror) expect(want ...string) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(want)
	slices.Sort(m.requests)
	if diff := cmp.Diff(want, m.requests); diff != "" && len(want)+len(m.requests) > 0 {
		m.t.Error("requests (-want +got):\n" + diff)
	}
}

func (m *mirror) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests, m.headers = nil, nil
}
