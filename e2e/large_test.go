// Promise: a Sync may hold 3,000 objects, 4 MB of YAML; its releases are stored in chunks, each well under what the API
// server takes. Fault: `etcdserver: request is too large` (fleet#3482).

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	largeObjects = 3000
	largeFiles   = 30
)

// TestThreeThousandObjects deploys them, changes one, and reverts that.
func TestThreeThousandObjects(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	s, err := newScript(c, "large", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	texts := s.large(t)
	s.commit(t, "3,000 objects")
	s.kubectl(t, fmt.Sprintf(killedSync, s.repository, "1s"), "apply", "-f", "-")
	newAgent(t, s.target, "--leader-elect=false")
	s.deployed(t, "deploying")
	if diff := cmp.Diff(texts, s.texts(t)); diff != "" {
		t.Errorf("the objects are not what was pushed:\n%s", diff)
	}
	s.chunksOf(t, 1)

	_, from, err := s.audit(0)
	if err != nil {
		t.Fatal(err)
	}
	first := texts["object-0000"]
	s.edit(t, first, "changed")
	s.commit(t, "change one")
	s.deployed(t, "changing one")
	texts["object-0000"] = "changed"
	if diff := cmp.Diff(texts, s.texts(t)); diff != "" {
		t.Errorf("after the change:\n%s", diff)
	}
	if _, err := s.git("revert", "--no-edit", "HEAD"); err != nil {
		t.Fatal(err)
	}
	s.send(t)
	s.deployed(t, "reverting it")
	texts["object-0000"] = first
	if diff := cmp.Diff(texts, s.texts(t)); diff != "" {
		t.Errorf("after the revert:\n%s", diff)
	}
	events, _, err := s.audit(from)
	if err != nil {
		t.Fatal(err)
	}
	var written []string
	for _, e := range events {
		if e.isWrite() && e.ObjectRef.Namespace == s.namespace {
			written = append(written, e.Verb+" "+e.ObjectRef.Name)
		}
	}
	if diff := cmp.Diff([]string{"patch object-0000", "patch object-0000"}, written); diff != "" {
		t.Errorf("what was written since the first release:\n%s", diff)
	}
}

// large writes the objects, with texts that can hardly be compressed, and answers the texts.
func (s *script) large(t *testing.T) map[string]string {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	texts, size := map[string]string{}, 0
	for file := range largeFiles {
		var yaml strings.Builder
		for i := range largeObjects / largeFiles {
			name, noise := fmt.Sprintf("object-%04d", file*largeObjects/largeFiles+i), make([]byte, 930)
			random.Read(noise) //nolint:errcheck // it never fails
			texts[name] = base64.StdEncoding.EncodeToString(noise)
			fmt.Fprintf(&yaml, "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  labels: {app: large}\ndata:\n  text: %s\n", name, texts[name])
		}
		size += yaml.Len()
		if err := os.WriteFile(filepath.Join(s.clone, fmt.Sprintf("objects-%02d.yaml", file)), []byte(yaml.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d objects, %.1f MB of YAML", len(texts), float64(size)/1e6)
	return texts
}

// edit replaces a text in the first file.
func (s *script) edit(t *testing.T, before, after string) {
	t.Helper()
	path := filepath.Join(s.clone, "objects-00.yaml")
	yaml, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(yaml), before, after, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// deployed waits for what was pushed, and tells how long that took.
func (s *script) deployed(t *testing.T, what string) {
	t.Helper()
	head, err := s.git("rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	belay(t, "wait", "app", "--kubeconfig", s.kubeconfig, "--commit", head, "--timeout", "5m")
	t.Logf("%s took %.1fs", what, time.Since(began).Seconds())
}

// texts are the objects in the cluster: names with their texts.
func (s *script) texts(t *testing.T) map[string]string {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Data     map[string]string
		}
	}
	if err := json.Unmarshal(s.kubectl(t, "", "get", "configmaps", "--selector=belay.dev/sync=app", "--output=json"), &list); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, item := range list.Items {
		texts[item.Metadata.Name] = item.Data["text"]
	}
	return texts
}

// chunksOf wants a release to be in several Secrets, none of them over 1 MiB of data, nor over what etcd takes.
func (s *script) chunksOf(t *testing.T, release int) {
	t.Helper()
	var list struct{ Items []json.RawMessage }
	selector := fmt.Sprintf("--selector=belay.dev/release-of=app,belay.dev/release=%d", release)
	if err := json.Unmarshal(s.kubectl(t, "", "get", "secrets", selector, "--output=json"), &list); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, item := range list.Items {
		var secret struct{ Data map[string][]byte }
		if err := json.Unmarshal(item, &secret); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(secret.Data["release"]))
	}
	t.Logf("release %d is in Secrets of %v bytes", release, sizes)
	if len(sizes) < 2 {
		t.Errorf("release %d is in %d Secrets: this tests nothing of chunks", release, len(sizes))
	}
	if largest := slices.Max(sizes); largest >= 1<<20 {
		t.Errorf("a Secret of %d bytes", largest)
	}
}
