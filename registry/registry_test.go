// FAULTS, Registry: tag missing, index without the nodes' architecture, @sha256 already there.

package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/name"
	local "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestTwoTagsOfOneRepositoryCostOnePing(t *testing.T) {
	server := serve(t)
	one, two := server.push("shop/cart:1"), server.push("shop/cart:2")
	images := []string{server.host + "/shop/cart:1", server.host + "/shop/cart:2", server.host + "/shop/cart:1"}

	got, err := server.resolver(t, Options{}).Resolve(t.Context(), ask(images...), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{images[0]: one, images[1]: two}, digests(got)); diff != "" {
		t.Error("pins (-want +got):\n" + diff)
	}
	server.expect(
		"GET /v2/",
		"GET /v2/shop/cart/manifests/"+one, "GET /v2/shop/cart/manifests/"+two,
		"HEAD /v2/shop/cart/manifests/1", "HEAD /v2/shop/cart/manifests/2",
	)
}

func TestTwoRepositoriesOfOneRegistryCostOnePing(t *testing.T) {
	server := serve(t)
	cart, till := server.push("cart:1"), server.push("till:1")
	server.resolve(t, Options{}, "cart:1", "till:1")
	server.expect(
		"GET /v2/",
		"GET /v2/cart/manifests/"+cart, "GET /v2/till/manifests/"+till,
		"HEAD /v2/cart/manifests/1", "HEAD /v2/till/manifests/1",
	)
}

func TestTagsOfOneDigestCostOneManifest(t *testing.T) {
	server := serve(t)
	image := randomImage(t)
	digest := server.pushImage("cart:1", image)
	server.pushImage("cart:latest", image)
	server.resolve(t, Options{}, "cart:1", "cart:latest")
	server.expect(
		"GET /v2/", "GET /v2/cart/manifests/"+digest,
		"HEAD /v2/cart/manifests/1", "HEAD /v2/cart/manifests/latest",
	)
}

func TestAnUnchangedTagCostsNoManifestTheSecondTime(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	resolver := server.resolver(t, Options{})
	images := []string{server.host + "/cart:1"}
	if _, err := resolver.Resolve(t.Context(), ask(images...), time.Now()); err != nil {
		t.Fatal(err)
	}
	server.forget()
	if _, err := resolver.Resolve(t.Context(), ask(images...), time.Now()); err != nil {
		t.Fatal(err)
	}
	server.expect("HEAD /v2/cart/manifests/1")
}

func TestAMovedTagIsSeen(t *testing.T) {
	server := serve(t)
	resolver := server.resolver(t, Options{})
	image := server.host + "/cart:latest"
	for range 2 {
		want := server.push("cart:latest")
		got, err := resolver.Resolve(t.Context(), ask(image), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got[image].Digest != want {
			t.Errorf("got %s, want %s", got[image].Digest, want)
		}
	}
}

func TestADigestIsNotAskedFor(t *testing.T) {
	server := serve(t)
	digest := "sha256:" + strings.Repeat("a", 64)
	pins := server.resolve(t, Options{}, "cart:1@"+digest, "cart@"+digest)
	want := map[string]string{server.host + "/cart:1@" + digest: digest, server.host + "/cart@" + digest: digest}
	if diff := cmp.Diff(want, pins); diff != "" {
		t.Error("pins (-want +got):\n" + diff)
	}
	server.expect()
}

func TestTheDigestOfAnIndexIsTheIndexs(t *testing.T) {
	server := serve(t)
	digest := server.pushIndex("cart:1", "linux/amd64", "linux/arm64/v8")
	for _, platforms := range [][]string{nil, {"linux/amd64"}, {"linux/arm64"}, {"linux/s390x", "linux/arm64/v8"}} {
		pins := server.resolve(t, Options{Platforms: nodes(platforms...)}, "cart:1")
		if got := pins[server.host+"/cart:1"]; got != digest {
			t.Errorf("platforms %v: got %s, want %s", platforms, got, digest)
		}
	}
}

func TestAnIndexForOtherNodesIsRefused(t *testing.T) {
	server := serve(t)
	digest := server.pushIndex("cart:1", "linux/arm64/v8", "linux/amd64")
	e := server.fail(t, Options{Platforms: nodes("linux/s390x")}, "cart:1")
	if e.Reason != PlatformMissing || !strings.HasSuffix(e.Error(), "the nodes are linux/s390x, and the image is for linux/amd64, linux/arm64") {
		t.Errorf("got %s: %v", e.Reason, e)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+digest)
}

func TestAMissingTagIsNotFound(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	e := server.fail(t, Options{}, "cart:2")
	want := Error{Image: server.host + "/cart:2", Host: server.host, Reason: NotFound, Detail: "the registry has no such tag"}
	if diff := cmp.Diff(want, *e); diff != "" {
		t.Error("error (-want +got):\n" + diff)
	}
	if got, want := e.Error(), "resolving "+server.host+"/cart:2: the registry has no such tag"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheLongestWaitComesFirst(t *testing.T) {
	server := serve(t)
	server.on("HEAD /v2/a/manifests/1", status(http.StatusBadGateway, nil))
	other := serve(t) // what one host says of waiting does not count for another
	other.on("HEAD /v2/b/manifests/1", status(http.StatusServiceUnavailable, http.Header{"Retry-After": {"7200"}}))
	images := []string{server.host + "/c:1", other.host + "/b:1", server.host + "/a:1"}
	_, err := server.resolver(t, Options{Insecure: []string{other.host}}).Resolve(t.Context(), ask(images...), time.Now())

	var got []string
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		e := err.(*Error)
		got = append(got, e.Image[strings.Index(e.Image, "/"):]+" "+string(e.Reason)+" "+e.RetryAfter.String())
	}
	want := []string{"/b:1 Unavailable 1h0m0s", "/a:1 Unavailable 0s", "/c:1 NotFound 0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("errors (-want +got):\n" + diff)
	}
}

func TestOneMalformedImageMeansNoRequest(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	if e := server.fail(t, Options{}, "cart:1", "Cart:1"); e.Reason != InvalidReference {
		t.Errorf("got %s", e.Reason)
	}
	server.expect()
}

func TestACancelledCallIsNotTheRegistrysFault(t *testing.T) {
	server := serve(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped")
	server.on("GET /v2/", func(w http.ResponseWriter, r *http.Request) { cancel(stop); <-r.Context().Done() })
	_, err := server.resolver(t, Options{}).Resolve(ctx, ask(server.host+"/cart:1"), time.Now())
	if e := (*Error)(nil); !errors.Is(err, stop) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

func TestAMalformedPlatformIsNamed(t *testing.T) {
	for _, platform := range []string{"", "linux", "a/b/c/d"} {
		if _, err := parsePlatforms([]string{platform}); err == nil || !strings.Contains(err.Error(), `"`+platform+`"`) {
			t.Errorf("%q: got %v", platform, err)
		}
	}
}

// ask asks for images with no credentials but the agent's.
func ask(images ...string) []Query {
	var queries []Query
	for _, image := range images {
		queries = append(queries, Query{Image: image})
	}
	return queries
}

func digests(answers map[string]Resolution) map[string]string {
	digests := make(map[string]string, len(answers))
	for image, answer := range answers {
		digests[image] = answer.Digest
	}
	return digests
}

func nodes(platforms ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return platforms, nil }
}

// A server is a real registry on loopback that counts, and that can be told to
// answer some requests otherwise.
type server struct {
	t        *testing.T
	host     string
	registry http.Handler

	mu       sync.Mutex
	requests []string
	script   map[string]http.HandlerFunc
	token    string
}

func serve(t *testing.T) *server {
	quiet := local.Logger(log.New(io.Discard, "", 0))
	s := &server{t: t, registry: local.New(quiet), script: make(map[string]http.HandlerFunc)}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.Path
		s.mu.Lock()
		s.requests = append(s.requests, request)
		scripted := s.script[request]
		if scripted == nil {
			scripted = s.script["*"]
		}
		s.mu.Unlock()
		if r.Method == http.MethodConnect {
			scripted = status(http.StatusMethodNotAllowed, nil) // the registry panics on it
		}
		if scripted == nil {
			scripted = s.registry.ServeHTTP
		}
		scripted(w, r)
	}))
	t.Cleanup(web.Close)
	s.host = strings.TrimPrefix(web.URL, "http://")
	return s
}

// on answers a request such as "GET /v2/" by handler; "*" is any other.
func (s *server) on(request string, handler http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[request] = handler
}

func (s *server) resolver(t *testing.T, opts Options) *Resolver {
	t.Helper()
	return s.resolverAt(t, opts, time.Now)
}

// resolverAt is one with a clock of the test's.
func (s *server) resolverAt(t *testing.T, opts Options, now func() time.Time) *Resolver {
	t.Helper()
	opts.Insecure = append(opts.Insecure, s.host)
	resolver, err := newResolver(opts, now)
	if err != nil {
		t.Fatal(err)
	}
	return resolver
}

// resolve resolves images of the server, written without its host.
func (s *server) resolve(t *testing.T, opts Options, images ...string) map[string]string {
	t.Helper()
	answers, err := s.resolver(t, opts).Resolve(t.Context(), ask(s.images(images)...), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return digests(answers)
}

// fail resolves images of the server and returns the error to act on.
func (s *server) fail(t *testing.T, opts Options, images ...string) *Error {
	t.Helper()
	_, err := s.resolver(t, opts).Resolve(t.Context(), ask(s.images(images)...), time.Now())
	return firstError(t, err)
}

func (s *server) images(short []string) []string {
	var images []string
	for _, image := range short {
		images = append(images, s.host+"/"+image)
	}
	return images
}

func (s *server) expect(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(want)
	slices.Sort(s.requests)
	if diff := cmp.Diff(want, s.requests, cmpopts.EquateEmpty()); diff != "" {
		s.t.Error("requests (-want +got):\n" + diff)
	}
}

// expectBut leaves out the requests that begin with prefix.
func (s *server) expectBut(prefix string, want ...string) {
	s.t.Helper()
	s.mu.Lock()
	s.requests = slices.DeleteFunc(s.requests, func(request string) bool { return strings.HasPrefix(request, prefix) })
	s.mu.Unlock()
	s.expect(want...)
}

func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

func (s *server) push(ref string) string { return s.pushImage(ref, randomImage(s.t)) }

func (s *server) pushImage(ref string, image v1.Image, options ...remote.Option) string {
	s.t.Helper()
	if err := remote.Write(s.reference(ref), image, options...); err != nil {
		s.t.Fatal(err)
	}
	s.forget()
	digest, err := image.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return digest.String()
}

func (s *server) pushIndex(ref string, platforms ...string) string {
	s.t.Helper()
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        randomImage(s.t),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}},
	})
	for _, platform := range platforms {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			s.t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: randomImage(s.t), Descriptor: v1.Descriptor{Platform: p}})
	}
	if err := remote.WriteIndex(s.reference(ref), index); err != nil {
		s.t.Fatal(err)
	}
	s.forget()
	digest, err := index.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return digest.String()
}

func (s *server) reference(ref string) name.Reference {
	s.t.Helper()
	parsed, err := name.ParseReference(s.host + "/" + ref)
	if err != nil {
		s.t.Fatal(err)
	}
	return parsed
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func status(code int, header http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for key, values := range header {
			w.Header()[key] = values
		}
		w.WriteHeader(code)
		io.WriteString(w, "a secret of the server")
	}
}

func content(mediaType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{mediaType}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}
