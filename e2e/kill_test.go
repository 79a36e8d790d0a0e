package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKilledAgentLeavesOneRelease kills the agent with SIGKILL at random moments between the first object applied and
// the release kept, 20 times, of good and of bad releases in turn. Another agent then takes over, and in the end every
// object is of one release: none extra, none missing. The oracle is the list of files that was pushed.
func TestKilledAgentLeavesOneRelease(t *testing.T) {
	t.Parallel()
	const kills = 20
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	c := startCluster(t, "simulated")
	kubectl(t, c, string(belay(t, "install", "--crds-only")), "apply", "-f", "-")
	s, err := newScript(c, "killed", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deployed := 1
	s.release(t, 1, true)
	kubectl(t, c, fmt.Sprintf(killedSync, s.repository), "apply", "--namespace=killed", "-f", "-")
	agent := s.agent(t)
	s.settled(t, 1, true)

	for n := 2; n < kills+2; n++ {
		good := random.IntN(2) == 0
		_, from, err := s.audit(0)
		if err != nil {
			t.Fatal(err)
		}
		s.release(t, n, good)
		s.written(t, from)
		// The release cannot be kept sooner than stableFor, a second, after its last object.
		time.Sleep(time.Duration(random.IntN(900)) * time.Millisecond)
		if err := agent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		agent.Wait() //nolint:errcheck // it was killed
		agent = s.agent(t)
		s.settled(t, n, good)
		if good {
			deployed = n
		}
		if diff := cmp.Diff(objectsOf(deployed), s.objects(t)); diff != "" {
			t.Fatalf("kill %d, of %s release %d: the objects are not those of release %d (-want +got):\n%s",
				n-1, map[bool]string{true: "good", false: "bad"}[good], n, deployed, diff)
		}
	}
	t.Logf("%d/%d whole", kills, kills)
}

const killedSync = `apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: app}
spec:
  source: {url: %q, ref: {branch: main}, interval: 1s}
  health: {timeout: 30s, stableFor: 1s}
`

// agent starts an agent that does not wait for the lease of the one that was killed.
func (s *script) agent(t *testing.T) *exec.Cmd {
	t.Helper()
	return newAgent(t, s.target, "--leader-elect=false")
}

// release pushes release n: a Deployment, ten ConfigMaps that every release has, and one that only this one has. A bad
// one crashes.
func (s *script) release(t *testing.T, n int, good bool) {
	t.Helper()
	fail := ""
	if !good {
		fail = ", annotations: {simulate.belay.dev/fail: CrashLoopBackOff}"
	}
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: apps/v1
kind: Deployment
metadata: {name: hello, annotations: {release: "%d"}}
spec:
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello, release: "%d"}%s}
    spec: {containers: [{name: hello, image: %q}]}
`, n, n, fail, s.Registry+"/killed:v1")
	for _, name := range configMapsOf(n) {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, annotations: {release: \"%d\"}}\n", name, n)
	}
	if n == 1 {
		out, err := exec.Command(s.program, "image", "--registry", s.Registry, "--name", "killed:v1", "--builtin", "hello", "--message", "v1").CombinedOutput()
		if err != nil {
			t.Fatalf("making an image: %v\n%s", err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(s.clone, "app.yaml"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "--quiet", "-m", fmt.Sprintf("release %d", n)}, {"push", "--quiet", "origin", "HEAD:main"}} {
		if _, err := s.git(args...); err != nil {
			t.Fatal(err)
		}
	}
}

func configMapsOf(n int) []string {
	names := []string{fmt.Sprintf("only-%d", n)}
	for i := range 10 {
		names = append(names, fmt.Sprintf("shared-%d", i))
	}
	return names
}

// objectsOf is what the cluster has to hold of release n: names with the release that they say they are of.
func objectsOf(n int) []string {
	objects := []string{fmt.Sprintf("Deployment/hello of %d", n)}
	for _, name := range configMapsOf(n) {
		objects = append(objects, fmt.Sprintf("ConfigMap/%s of %d", name, n))
	}
	slices.Sort(objects)
	return objects
}

// objects is what the cluster holds.
func (s *script) objects(t *testing.T) []string {
	t.Helper()
	var list struct {
		Items []struct {
			Kind     string
			Metadata struct {
				Name              string
				Annotations       map[string]string
				DeletionTimestamp string
			}
		}
	}
	text := kubectl(t, s.target, "", "get", "deployments,configmaps", "--namespace="+s.namespace, "--output=json")
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	var objects []string
	for _, item := range list.Items {
		if item.Metadata.Name != "kube-root-ca.crt" {
			objects = append(objects, fmt.Sprintf("%s/%s of %s", item.Kind, item.Metadata.Name, item.Metadata.Annotations["release"]))
		}
	}
	slices.Sort(objects)
	return objects
}

// written waits until belay has written an application's object after a line of the audit log.
func (s *script) written(t *testing.T, from int) {
	t.Helper()
	await(t, "the first write", func() bool {
		events, _, err := s.audit(from)
		if err != nil {
			return false // a line may be half written
		}
		return slices.ContainsFunc(events, func(e auditEvent) bool { return e.isWrite() && e.ObjectRef.Namespace == s.namespace })
	})
}

// settled waits until the Sync says that the pushed release is kept, or rolled back.
func (s *script) settled(t *testing.T, n int, good bool) {
	t.Helper()
	head, err := s.git("rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	phase := map[bool]string{true: "Kept", false: "RolledBack"}[good]
	await(t, fmt.Sprintf("release %d to be %s", n, phase), func() bool {
		out := string(kubectl(t, s.target, "", "get", "sync", "app", "--namespace="+s.namespace, "--output",
			"jsonpath={.status.phase} {.status.wanted.commit} {.status.history[0].commit} {.status.conditions[?(@.type==\"Reconciling\")].status}"))
		return strings.TrimSpace(out) == phase+" "+head+" "+head
	})
}

// await polls a condition of the world outside, which calls nobody.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s in vain", soon, what)
		}
	}
}
