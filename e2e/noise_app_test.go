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
)

// noisySync is a Sync "app" in a namespace of its own, with workloads of all kinds.
type noisySync struct {
	*script
	image    string
	n        int    // the newest release
	commitID string // its commit
	pushed   time.Time
	open     bool           // it is not known yet what becomes of it
	since    map[string]int // since which release each workload's template is what it is
	starts   map[string]string
	known    map[string]bool // bad results that the test has failed for
}

// noisyWorkloads are those whose templates a release changes.
var noisyWorkloads = []string{"web", "guarded", "store", "everywhere", "old"}

// noisySyncText takes the repository and watchFor.
const noisySyncText = `apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: app}
spec:
  source: {url: %q, ref: {branch: main}, interval: 1s}
  health: {timeout: 4m, stableFor: 2s, watchFor: %s}
`

// noisyImage pushes the one image, and answers its name.
func noisyImage(t *testing.T, c target) string {
	t.Helper()
	out, err := exec.Command(c.program, "image", "--registry", c.Registry, "--name", "noise:v1", "--builtin", "pause").CombinedOutput()
	if err != nil {
		t.Fatalf("making an image: %v\n%s", err, out)
	}
	return c.Registry + "/noise:v1"
}

// addSync makes the next Sync; every other is watched on after it is kept.
func (n *noise) addSync(t *testing.T, name string) {
	t.Helper()
	s, err := newScript(n.target, name, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.repository = n.git.through(s.repository)
	watchFor := []string{"0s", "3s"}[len(n.syncs)%2]
	n.syncs = append(n.syncs, &noisySync{script: s, image: n.image, since: map[string]int{}, starts: map[string]string{}, known: map[string]bool{}})
	s.kubectl(t, fmt.Sprintf(noisySyncText, s.repository, watchFor), "apply", "-f", "-")
}

// push pushes the next release: other templates for some of the workloads, some of which start slowly, or fail once.
func (s *noisySync) push(t *testing.T, random *rand.Rand) {
	t.Helper()
	s.n++
	for _, name := range noisyWorkloads {
		if s.n == 1 || random.IntN(2) == 0 {
			s.since[name], s.starts[name] = s.n, []string{"", "", "slow", "restart"}[random.IntN(4)]
		}
	}
	var text strings.Builder
	for _, o := range s.objects() {
		document, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s\n", document) // JSON is YAML
	}
	if err := os.WriteFile(filepath.Join(s.clone, "app.yaml"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	s.commit(t, fmt.Sprintf("release %d", s.n))
	var err error
	if s.commitID, err = s.git("rev-parse", "HEAD"); err != nil {
		t.Fatal(err)
	}
	s.pushed, s.open = time.Now(), true
}

// regrets fails the test for each release that was taken back after it had been kept, or before.
func (s *noisySync) regrets(t *testing.T, sync told) {
	t.Helper()
	for _, entry := range sync.Status.History {
		bad := slices.Contains([]string{"RolledBack", "RollingBack", "Failed", "RollbackFailed"}, entry.Result)
		if bad && !s.known[entry.Commit+entry.Result] {
			s.known[entry.Commit+entry.Result] = true
			t.Errorf("%s: commit %.7s, a good one, is %s: %s; %s", s.namespace, entry.Commit, entry.Result, entry.Reason, sync.reports())
		}
	}
}

// objects are the newest release's.
func (s *noisySync) objects() []object {
	r := release{s.n, true}
	selector := func(name string) object { return object{"matchLabels": object{"app": name}} }
	workload := func(kind, name string, spec object) object {
		spec["selector"], spec["template"] = selector(name), s.template(name, object{})
		return r.object("apps/v1", kind, name, object{"spec": spec})
	}
	budget := func(name string, spec object) object {
		spec["selector"] = selector(name)
		return r.object("policy/v1", "PodDisruptionBudget", name, object{"spec": spec})
	}
	return []object{
		r.object("v1", "ConfigMap", "settings", object{"data": object{"n": fmt.Sprint(s.n)}}),
		r.object("v1", "ConfigMap", fmt.Sprintf("only-%d", s.n), nil),
		r.object("v1", "Service", "web", object{"spec": object{"selector": object{"app": "web"}, "ports": []any{object{"port": 80}}}}),
		// Its replicas are an autoscaler's.
		workload("Deployment", "web", object{}),
		r.object("autoscaling/v2", "HorizontalPodAutoscaler", "web", object{"spec": object{
			"scaleTargetRef": object{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 100,
		}}),
		workload("Deployment", "guarded", object{"replicas": 3}),
		budget("guarded", object{"minAvailable": 2}),
		workload("StatefulSet", "store", object{"replicas": 2, "serviceName": "store"}),
		budget("store", object{"maxUnavailable": 1}),
		workload("DaemonSet", "everywhere", object{}),
		r.object("v1", "ReplicationController", "old", object{"spec": object{
			"replicas": 2, "selector": object{"app": "old"}, "template": s.template("old", object{}),
		}}),
		r.object("batch/v1", "Job", fmt.Sprintf("migrate-%d", s.n), object{"spec": object{
			"template": s.template("migrate", object{"restartPolicy": "Never"}),
		}}),
	}
}

// template is a workload's. One that an autoscaler scales asks for a good part of a node, and the others for next to nothing.
func (s *noisySync) template(name string, spec object) object {
	cpu := "10m"
	if name == "web" {
		cpu = "2"
	}
	spec["containers"] = []any{object{"name": "main", "image": s.image, "resources": object{"requests": object{"cpu": cpu}}}}
	metadata := object{"labels": object{"app": name, "noise": "true", "since": fmt.Sprint(s.since[name])}}
	if start := s.starts[name]; start != "" {
		metadata["annotations"] = object{"simulate.belay.dev/start": start}
	}
	return object{"metadata": metadata, "spec": spec}
}
