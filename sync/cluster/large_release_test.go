// Promise: a release of 680 objects, 12 MB, single ones of 500 KB is stored so that each request is one that etcd takes.

package cluster

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/belay-gitops/belay/manifests"
)

func TestALargeReleaseIsStoredInRequestsThatEtcdTakes(t *testing.T) {
	// etcd's default --max-request-bytes (https://etcd.io/docs/v3.6/dev-guide/limit/).
	const mostEtcdTakes = 3 << 19
	random := rand.NewChaCha8([32]byte{})
	text := func(bytes int) string { // that hardly can be compressed
		noise := make([]byte, bytes*3/4)
		random.Read(noise) //nolint:errcheck // it never fails
		return base64.StdEncoding.EncodeToString(noise)
	}
	var contents []map[string]any
	total := 0
	for i := range 680 {
		size := 3100
		if i%34 == 0 { // 20 of them
			size = 500_000
		}
		total += size
		contents = append(contents, map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": fmt.Sprintf("object-%d", i), "namespace": "shop"}, "data": map[string]any{"text": text(size)}})
	}
	if total < 12_000_000 {
		t.Fatalf("%d bytes", total)
	}
	release := manifests.Release{Number: 1, Objects: set(t, contents...)}
	journal, api := journalOn(t)
	if err := journal.Store(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	if len(api.all()) < 9 {
		t.Errorf("%d Secrets: this tests nothing of chunks", len(api.all()))
	}
	for _, secret := range api.all() {
		body, err := json.Marshal(secret.Object)
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > mostEtcdTakes*9/10 {
			t.Errorf("%s has %d bytes", secret.GetName(), len(body))
		}
	}
	back, err := journal.Load(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if back.Objects.Digest() != release.Objects.Digest() {
		t.Error("it is not what was stored")
	}
}
