// FAULTS, Rollback: release record lost or corrupt.
// Faults: release record lost or corrupt (checksum), or of a newer belay: no guess, nothing is written, the message says
// what to do.

package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// damage is what befalls the stored release 2 of a Sync while no agent runs.
type damage struct {
	name   string
	noise  bool // gives the release a second chunk
	do     func(*testing.T, *script)
	reason string
	words  string
	mend   func(*testing.T, *script, string)
}

var damages = []damage{
	{name: "lost", reason: "ReleaseLost", words: "release 2 of Sync lost/app: the Sync's status tells of it, and the last of its Secrets is not there",
		do:   func(t *testing.T, s *script) { s.kubectl(t, "", "delete", "secret", "belay.app.2.0") },
		mend: asAdvised},
	{name: "corrupt", reason: "ReleaseCorrupt", words: "release 2 of Sync corrupt/app: its checksum is wrong",
		do: flipByte, mend: asAdvised},
	{name: "chunk", noise: true, reason: "ReleaseCorrupt", words: "release 2 of Sync chunk/app: a chunk of it is missing",
		do: loseChunk, mend: restoreChunk},
	{name: "newer", reason: "ReleaseNewer", words: "release 2 of Sync newer/app was stored by a newer belay (format 2; this one reads 1): run that version or a later one",
		do:   func(t *testing.T, s *script) { setFormat(t, s, 2) },
		mend: func(t *testing.T, s *script, _ string) { setFormat(t, s, 1) }},
}

// TestDamagedReleasesAreNotGuessed stops the agent, damages what it stored, pushes a bad commit, and starts the agent
// again: it says what is wrong and leaves the cluster as it is. Once that is mended it goes on.
func TestDamagedReleasesAreNotGuessed(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	scripts := make([]*script, len(damages))
	for i, d := range damages {
		s, err := newScript(c, d.name, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s.image(t)
		s.release(t, 1, true)
		kubectl(t, c, fmt.Sprintf(killedSync, s.repository, "1s"), "apply", "--namespace="+s.namespace, "-f", "-")
		scripts[i] = s
	}
	agent := newAgent(t, scripts[0].target, "--leader-elect=false")
	for i, d := range damages {
		s := scripts[i]
		s.settled(t, 1, true)
		if d.noise {
			s.noise(t)
		}
		s.release(t, 2, true)
		s.settled(t, 2, true)
	}
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	agent.Wait() //nolint:errcheck // it was killed

	_, from, err := scripts[0].audit(0)
	if err != nil {
		t.Fatal(err)
	}
	before := make([][]string, len(damages))
	for i, d := range damages {
		before[i] = scripts[i].names(t)
		d.do(t, scripts[i])
		scripts[i].release(t, 3, false)
	}
	newAgent(t, scripts[0].target, "--leader-elect=false")
	for i, d := range damages {
		t.Run(d.name, func(t *testing.T) { d.seen(t, scripts[i], from, before[i]) })
	}
}

// seen wants the damage told, nothing written, and life to go on once it is mended.
func (d damage) seen(t *testing.T, s *script, from int64, before []string) {
	var message string
	await(t, d.reason, func() bool {
		out := string(s.kubectl(t, "", "get", "sync", "app", "--output", `jsonpath={.status.conditions[?(@.type=="Ready")].reason} {.status.conditions[?(@.type=="Ready")].message}`))
		reason, rest, _ := strings.Cut(out, " ")
		message = rest
		return reason == d.reason
	})
	if !strings.Contains(message, d.words) {
		t.Errorf("the message is %q\nwant %q in it", message, d.words)
	}
	if d.reason == "ReleaseNewer" && strings.Contains(message, "delete") {
		t.Errorf("deleting a sound release is advised: %s", message)
	}
	events, _, err := s.audit(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.isWrite() && e.ObjectRef.Namespace == s.namespace {
			t.Errorf("%s %s/%s was written", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name)
		}
	}
	if diff := cmp.Diff(before, s.names(t)); diff != "" {
		t.Errorf("the objects have changed:\n%s", diff)
	}
	s.release(t, 4, true)
	d.mend(t, s, message)
	s.settled(t, 4, true)
}

// kubectl runs kubectl in the script's namespace.
func (s *script) kubectl(t *testing.T, stdin string, args ...string) []byte {
	t.Helper()
	return kubectl(t, s.target, stdin, append(args, "--namespace="+s.namespace)...)
}

// noise adds what cannot be compressed to the next commit: 1.5 MB of it make a release of two chunks.
func (s *script) noise(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for i := range 3 {
		random := make([]byte, 380_000)
		rand.Read(random) //nolint:errcheck // it never fails
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: noise-%d}\ndata: {noise: %s}\n", i, base64.StdEncoding.EncodeToString(random))
	}
	if err := os.WriteFile(filepath.Join(s.clone, "noise.yaml"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// asAdvised does what the message says, word for word.
func asAdvised(t *testing.T, s *script, message string) {
	t.Helper()
	_, advice, _ := strings.Cut(message, "go on without: ")
	advice, _, found := strings.Cut(advice, " (objects that")
	if !found {
		t.Fatalf("there is no advice in %q", message)
	}
	cmd := exec.Command("sh", "-c", advice)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(s.Kubectl)+":"+os.Getenv("PATH"), "KUBECONFIG="+s.kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", advice, err, out)
	}
}

// stored reads one of the script's Secrets, to be changed and made anew: it is immutable.
func (s *script) stored(t *testing.T, name string) map[string]any {
	t.Helper()
	var secret map[string]any
	if err := json.Unmarshal(s.kubectl(t, "", "get", "secret", name, "--output=json"), &secret); err != nil {
		t.Fatal(err)
	}
	metadata := secret["metadata"].(map[string]any)
	delete(metadata, "resourceVersion")
	delete(metadata, "uid")
	return secret
}

func (s *script) create(t *testing.T, secret map[string]any) {
	t.Helper()
	text, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	s.kubectl(t, string(text), "create", "-f", "-")
}

func flipByte(t *testing.T, s *script) {
	t.Helper()
	secret := s.stored(t, "belay.app.2.0")
	data := secret["data"].(map[string]any)
	text, err := base64.StdEncoding.DecodeString(data["release"].(string))
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	data["release"] = base64.StdEncoding.EncodeToString(text)
	s.kubectl(t, "", "delete", "secret", "belay.app.2.0")
	s.create(t, secret)
}

func loseChunk(t *testing.T, s *script) {
	t.Helper()
	secret := s.stored(t, "belay.app.2.0")
	s.kubectl(t, "", "get", "secret", "belay.app.2.1") // the last one is another
	text, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.clone, "..", "chunk.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.kubectl(t, "", "delete", "secret", "belay.app.2.0")
}

func restoreChunk(t *testing.T, s *script, _ string) {
	t.Helper()
	s.kubectl(t, "", "create", "-f", filepath.Join(s.clone, "..", "chunk.json"))
}

// setFormat has the record of release 2 tell of another format, as a later belay would write it.
func setFormat(t *testing.T, s *script, format int) {
	t.Helper()
	metadata := s.stored(t, "belay.app.2.0")["metadata"].(map[string]any)
	var record map[string]any
	if err := json.Unmarshal([]byte(metadata["annotations"].(map[string]any)["belay.dev/record"].(string)), &record); err != nil {
		t.Fatal(err)
	}
	record["format"] = format
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	s.kubectl(t, "", "annotate", "secret", "belay.app.2.0", "--overwrite", "belay.dev/record="+string(text))
}
