package registry

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// A signing is what the real cosign left in a registry (testdata/cosign), of the image cart, which tests may change.
type signing struct {
	manifests, blobs map[string][]byte // by tag or digest
	digest           string            // of the image
	tag              string            // what cosign makes of it
}

func readSigning(t testing.TB, name string) signing {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "cosign", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	s := signing{manifests: make(map[string][]byte), blobs: make(map[string][]byte)}
	for _, file := range archive.Files {
		content := bytes.TrimSuffix(file.Data, []byte("\n"))
		if name, ok := strings.CutPrefix(file.Name, "manifests/"); ok {
			s.manifests[name] = content
		} else {
			s.blobs[strings.TrimPrefix(file.Name, "blobs/")] = content
		}
	}
	s.digest = digestOf(s.manifests["1"])
	s.tag = tagOf(s.digest)
	return s
}

func readKeys(t testing.TB, names ...string) []PublicKey {
	t.Helper()
	var text []byte
	for _, name := range names {
		each, err := os.ReadFile(filepath.Join("testdata", "cosign", name+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, each...)
	}
	if len(names) == 0 {
		return nil
	}
	keys, err := ParsePublicKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// layers are the signatures under cosign's tag, of which each can be changed and kept again.
func (s signing) layers(t *testing.T) []map[string]any {
	t.Helper()
	var image struct {
		Layers []map[string]any `json:"layers"`
	}
	if err := json.Unmarshal(s.manifests[s.tag+".sig"], &image); err != nil {
		t.Fatal(err)
	}
	return image.Layers
}

func (s signing) keepLayers(t *testing.T, layers []map[string]any) {
	t.Helper()
	s.manifests[s.tag+".sig"] = encoded(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "layers": layers})
}

// payload is the digest of what the first layer signs.
func (s signing) payload(t *testing.T) string {
	t.Helper()
	return s.layers(t)[0]["digest"].(string)
}

// bundle is the digest of the manifest that refers to the image, and of the bundle in it.
func (s signing) bundle(t *testing.T) (manifest, blob string) {
	t.Helper()
	for digest, text := range s.manifests {
		if blob, refusal := bundleOf(text); refusal == nil && blob != "" {
			return digest, blob
		}
	}
	t.Fatal("no bundle")
	return "", ""
}

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// keep puts a signing into the registry as the repository cart, and returns the image with its digest.
func (s *server) keep(signing signing) string {
	s.t.Helper()
	for digest, content := range signing.blobs {
		s.put(http.MethodPost, "/v2/cart/blobs/uploads/?digest="+digest, "application/octet-stream", content)
	}
	// An index comes after what is in it, as a registry wants it: sha256:… before the tag sha256-….
	names := slices.Sorted(maps.Keys(signing.manifests))
	slices.Reverse(names)
	for _, name := range names {
		var manifest struct {
			MediaType string `json:"mediaType"`
		}
		mediaType := "text/html"
		if json.Unmarshal(signing.manifests[name], &manifest) == nil {
			mediaType = manifest.MediaType
		}
		s.put(http.MethodPut, "/v2/cart/manifests/"+name, mediaType, signing.manifests[name])
	}
	return s.host + "/cart@" + signing.digest
}

func (s *server) put(method, target, mediaType string, content []byte) {
	s.t.Helper()
	req := httptest.NewRequest(method, target, bytes.NewReader(content))
	req.Header.Set("Content-Type", mediaType)
	answer := httptest.NewRecorder()
	s.registry.ServeHTTP(answer, req)
	if answer.Code != http.StatusCreated {
		s.t.Fatalf("%s %s: %d: %s", method, target, answer.Code, answer.Body)
	}
}

// verify verifies an image of the server by the keys so named.
func (s *server) verify(t *testing.T, image string, keys ...string) error {
	t.Helper()
	return s.resolver(t, Options{}).Verify(t.Context(), Query{Image: image}, readKeys(t, keys...))
}

// wantRefused wants an error of a reason that has some words in it.
func wantRefused(t *testing.T, err error, reason Reason, words ...string) {
	t.Helper()
	e := firstError(t, err)
	if e.Reason != reason {
		t.Errorf("got %s: %v, want %s", e.Reason, e, reason)
	}
	for _, word := range words {
		if !strings.Contains(e.Error(), word) {
			t.Errorf("%q is not in the message: %v", word, e)
		}
	}
}
