package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	local "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/cluster"
)

// shop is an API server that holds Secrets and ServiceAccounts of namespace shop, and a private registry.
type shop struct {
	t    *testing.T
	host string // the registry's

	mu       gosync.Mutex
	password string // the registry's, of the user ana; empty for none
	objects  map[string]map[string]any
	read     []string // the paths of the API
	// forbidden are paths of the API
	forbidden []string
}

func openShop(t *testing.T) (*shop, *resolver) {
	t.Helper()
	s := &shop{t: t, objects: map[string]map[string]any{}}
	images := local.New(local.Logger(log.New(io.Discard, "", 0)))
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		password := s.password
		s.mu.Unlock()
		if _, got, _ := r.BasicAuth(); password != "" && got != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	}))
	t.Cleanup(private.Close)
	s.host = strings.TrimPrefix(private.URL, "http://")
	api := httptest.NewServer(s)
	t.Cleanup(api.Close)
	c, err := cluster.Connect(&rest.Config{Host: api.URL}, func(types.NamespacedName) {})
	if err != nil {
		t.Fatal(err)
	}
	asking, err := registry.New(registry.Options{Insecure: []string{s.host}})
	if err != nil {
		t.Fatal(err)
	}
	return s, &resolver{namespace: "shop", cluster: c, registry: asking}
}

// ServeHTTP is the API server: it reads objects, lists them by their labels, and creates Secrets.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/shop/")
	w.Header().Set("Content-Type", "application/json")
	answer := s.objects[path]
	switch {
	case slices.Contains(s.forbidden, path):
		w.WriteHeader(http.StatusForbidden)
		answer = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": http.StatusForbidden,
			"message": path + ` is forbidden: User "ana" cannot list resource "` + path + `" in API group "" in the namespace "shop"`}
	case r.Method == http.MethodPost:
		_ = json.NewDecoder(r.Body).Decode(&answer)
		s.objects[path+"/"+answer["metadata"].(map[string]any)["name"].(string)] = answer
	case path == "secrets" || path == "pods":
		answer = s.list(path, r)
	case answer == nil:
		s.read = append(s.read, path)
		w.WriteHeader(http.StatusNotFound)
		answer = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
	default:
		s.read = append(s.read, path)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *shop) list(path string, r *http.Request) map[string]any {
	list := map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{}}
	onlyMetadata := strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList")
	if onlyMetadata {
		list["kind"], list["apiVersion"] = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil
	}
	items := []any{}
	for name, object := range s.objects {
		u := unstructured.Unstructured{Object: object}
		if !strings.HasPrefix(name, path+"/") || !selector.Matches(labels.Set(u.GetLabels())) {
			continue
		}
		if onlyMetadata {
			object = map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}
		}
		items = append(items, object)
	}
	list["items"] = items
	return list
}

// reads is what was read of the API since the last call, sorted.
func (s *shop) reads() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	read := s.read
	s.read = nil
	slices.Sort(read)
	return read
}

// push pushes an image and answers its digest.
func (s *shop) push(image string) string {
	s.t.Helper()
	content, err := random.Image(64, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	ref, err := name.NewTag(image)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := remote.Write(ref, content); err != nil {
		s.t.Fatal(err)
	}
	digest, err := content.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return digest.String()
}

// lock has the registry ask for a password.
func (s *shop) lock(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// keep puts an object into the cluster.
func (s *shop) keep(path string, object map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[path] = object
}

func (s *shop) config(password string) string {
	return fmt.Sprintf(`{"auths": {%q: {"username": "ana", "password": %q}}}`, s.host, password)
}

func (s *shop) pullSecret(name, password string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": "shop", "name": name},
		"type": "kubernetes.io/dockerconfigjson",
		"data": map[string]any{".dockerconfigjson": base64.StdEncoding.EncodeToString([]byte(s.config(password)))}}
}

// podsOf are pods of namespace shop, each with an image and the pull Secret registry.
func podsOf(t *testing.T, images ...string) []manifests.Image {
	t.Helper()
	var list []manifests.Image
	for i, image := range images {
		pod := objectsOf(t, map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"namespace": "shop", "name": fmt.Sprint("pod-", i)}})
		list = append(list, manifests.Image{Object: pod.Objects()[0], Container: "web", Image: image, PullSecrets: []string{"registry"}})
	}
	return list
}

func TestImagesArePinnedAsTheirPodsWouldPullThem(t *testing.T) {
	for _, test := range []struct {
		name string
		give func(*shop, *resolver, *sync.PinRequest)
		want string // the credentials that are told
	}{
		{"with a pull Secret of the cluster", func(s *shop, _ *resolver, _ *sync.PinRequest) {
			s.keep("secrets/registry", s.pullSecret("registry", "hunter2"))
		}, "Secret shop/registry"},
		{"with one of the same commit", func(s *shop, _ *resolver, request *sync.PinRequest) {
			s.keep("secrets/registry", s.pullSecret("registry", "of yesterday"))
			request.Own = objectsOf(s.t, s.pullSecret("registry", "hunter2"))
		}, "Secret shop/registry"},
		{"with one of the ServiceAccount", func(s *shop, _ *resolver, _ *sync.PinRequest) {
			s.keep("serviceaccounts/default", map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"namespace": "shop", "name": "default"},
				"imagePullSecrets": []any{map[string]any{"name": "account"}}})
			s.keep("secrets/account", s.pullSecret("account", "hunter2"))
		}, "Secret shop/account"},
		{"with the agent's own after them", func(s *shop, r *resolver, _ *sync.PinRequest) {
			r.own = dockerFile(filepath.Join(s.t.TempDir(), "config.json"))
			if err := os.WriteFile(string(r.own), []byte(s.config("hunter2")), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}, "config.json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, r := openShop(t)
			image := s.host + "/cart:1"
			digest := s.push(image)
			s.lock("hunter2")
			request := sync.PinRequest{Images: podsOf(t, image, image), Since: time.Now()}
			test.give(s, r, &request)
			pins, resolved, err := r.Pin(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(manifests.Pins{image: s.host + "/cart@" + digest}, pins); diff != "" {
				t.Error(diff)
			}
			if got := resolved[image]; !strings.HasSuffix(got.Credentials, test.want) || got.At.IsZero() {
				t.Errorf("resolved: %+v", got)
			}
		})
	}
}

func TestARefusedPullSecretIsReadAnewAndOthersAreNot(t *testing.T) {
	s, r := openShop(t)
	image := s.host + "/cart:1"
	s.push(image)
	s.lock("hunter2")
	s.keep("secrets/registry", s.pullSecret("registry", "hunter2"))
	pin := func(again bool) error {
		_, _, err := r.Pin(t.Context(), sync.PinRequest{Images: podsOf(t, image), Since: time.Now(), Again: again})
		return err
	}
	both := []string{"secrets/registry", "serviceaccounts/default"}
	for _, step := range []struct {
		name   string
		before func()
		again  bool
		reads  []string
		fails  bool
	}{
		{"first", func() {}, false, both, false},
		{"again", func() {}, true, nil, false},
		{"the password was changed", func() { s.lock("changed") }, true, both, true},
		{"and again", func() {}, true, both, true},
		{"the Secret was mended", func() { s.keep("secrets/registry", s.pullSecret("registry", "changed")) }, true, both, false},
		{"again", func() {}, true, nil, false},
		{"a new commit", func() {}, false, both, false},
	} {
		step.before()
		if err := pin(step.again); (err != nil) != step.fails {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.reads, s.reads()); diff != "" {
			t.Errorf("%s: read %s", step.name, diff)
		}
	}
}

func TestSomeOfTheImagesAreARepetitionToo(t *testing.T) {
	s, r := openShop(t)
	one, two := s.host+"/cart:1", s.host+"/till:1"
	s.push(one)
	s.push(two)
	for i, images := range [][]string{{one, two}, {two}} {
		s.reads()
		pins, _, err := r.Pin(t.Context(), sync.PinRequest{Images: podsOf(t, images...), Since: time.Now(), Again: i > 0})
		if err != nil || len(pins) != len(images) {
			t.Errorf("%v: got %v, %v", images, pins, err)
		}
	}
	if read := s.reads(); read != nil {
		t.Errorf("read %v", read)
	}
}

func TestOtherImagesThanBeforeAreNoRepetition(t *testing.T) {
	s, r := openShop(t)
	one, two := s.host+"/cart:1", s.host+"/till:1"
	s.push(one)
	s.push(two)
	for _, images := range [][]string{{one}, {one, two}} {
		pins, _, err := r.Pin(t.Context(), sync.PinRequest{Images: podsOf(t, images...), Since: time.Now(), Again: true})
		if err != nil || len(pins) != len(images) {
			t.Errorf("%v: got %v, %v", images, pins, err)
		}
	}
}

func TestPinsCountAlsoWhereAnotherImageIsNotThere(t *testing.T) {
	s, r := openShop(t)
	image := s.host + "/cart:1"
	s.push(image)
	pins, resolved, err := r.Pin(t.Context(), sync.PinRequest{Images: podsOf(t, image, s.host+"/gone:1"), Since: time.Now()})
	if len(pins) != 1 || len(resolved) != 1 || pins[image] == "" {
		t.Errorf("got %v, %v", pins, resolved)
	}
	if list := registryErrors(err); len(list) != 1 || list[0].Image != s.host+"/gone:1" || list[0].Reason != registry.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestMissingDigestsAreNamed(t *testing.T) {
	s, r := openShop(t)
	there := s.host + "/cart@" + s.push(s.host+"/cart:1")
	gone := s.host + "/cart@sha256:" + strings.Repeat("0", 64)
	s.lock("hunter2")
	s.keep("secrets/registry", s.pullSecret("registry", "hunter2"))
	since := time.Now()
	look := func(since time.Time) ([]string, error) {
		return r.Missing(t.Context(), sync.PinRequest{Images: podsOf(t, there, gone, gone), Since: since})
	}
	if missing, err := look(since); err != nil || !slices.Equal(missing, []string{gone}) {
		t.Errorf("got %v, %v", missing, err)
	}
	s.lock("another")
	if missing, err := look(since); err != nil || !slices.Equal(missing, []string{gone}) {
		t.Errorf("an answer that is young enough: got %v, %v", missing, err)
	}
	if missing, err := look(time.Now()); !isUnauthorized(err) || len(missing) != 0 {
		t.Errorf("an answer that is too old: got %v, %v", missing, err)
	}
}

func TestAnImageIsAskedForWithTheCredentialsOfAllItsPods(t *testing.T) {
	secret := func(name string) cluster.PullSecret {
		return cluster.PullSecret{Source: "Secret shop/" + name, Config: []byte(`{}`)}
	}
	images := podsOf(t, "b", "a", "b")
	got := queriesOf(images, [][]cluster.PullSecret{{secret("x"), secret("y")}, {secret("y")}, {secret("z"), secret("x")}})
	var told []string
	for _, query := range got {
		text := query.Image
		for _, c := range query.Credentials {
			text += " " + strings.TrimPrefix(c.Source, "Secret shop/")
		}
		told = append(told, text)
	}
	if diff := cmp.Diff([]string{"a y", "b x y z"}, told); diff != "" {
		t.Error(diff)
	}
	if got[0].Credentials[0] != got[1].Credentials[1] {
		t.Error("a Secret is parsed twice")
	}
}
