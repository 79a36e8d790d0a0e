// Promise: real applications deploy in one commit and are kept, with all images pinned, or are refused with the right reason.

package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// corpora holds real applications that are not belay's, and what kustomize and kubectl make of them.
const corpora = "../../shared/corpora"

// realApp is one of them: a line of apps.csv.
type realApp struct {
	name    string
	dir     string            // below corpora
	unknown bool              // some of its kinds have no CRD
	objects []string          // "VERSION,KIND,NAME"
	images  []string          // as Git has them
	digests map[string]string // of those without one, in the mirror
}

// TestRealApplications deploys each by the real agent. Their registries cannot be reached: the agent, as the nodes would, asks
// a mirror that has small images under their names.
func TestRealApplications(t *testing.T) {
	t.Parallel()
	apps := realApps(t)
	c := startSimulated(t)
	c.certsD = t.TempDir()
	m := &mirror{c: c, pushed: map[string]string{}}
	startAgent(t, c, "--registry-hosts-dir="+c.certsD)
	for _, app := range apps {
		t.Run(app.name, func(t *testing.T) {
			app.mirrored(t, m)
			s := app.deploy(t, c)
			switch {
			case app.unknown:
				app.refusedUnseen(t, s)
			case app.name == "cassandra":
				app.refusedForItsClaims(t, s)
			default:
				app.kept(t, s)
			}
		})
	}
}

// deploy pushes the application in one commit to a repository and a namespace of its own.
func (a realApp) deploy(t *testing.T, c target) *script {
	t.Helper()
	s, err := newScript(c, a.name, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cleanup)
	// The first two parts are apps and the application, whose folders refer to each other.
	whole := filepath.Join(strings.Split(a.dir, "/")[:2]...)
	if err := os.CopyFS(filepath.Join(s.clone, whole), os.DirFS(filepath.Join(corpora, whole))); err != nil {
		t.Fatal(err)
	}
	s.commit(t, a.name)
	_, s.marked, err = s.audit(0)
	if err != nil {
		t.Fatal(err)
	}
	s.started = time.Now()
	s.kubectl(t, fmt.Sprintf(realSync, s.repository, a.dir), "apply", "-f", "-")
	return s
}

// realSync takes the repository and the path.
const realSync = `apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: app}
spec:
  source: {url: %q, path: %q, ref: {branch: main}, interval: 1m}
  health: {timeout: 5m, stableFor: 2s}
`

// kept wants a release that is kept, of just the objects that kustomize or kubectl would apply, with the images pinned.
func (a realApp) kept(t *testing.T, s *script) {
	result, sync, took := s.ends(t, 2*time.Minute)
	if result != "Kept" {
		t.Fatalf("it was %s: %s", result, sync.reports())
	}
	t.Logf("%d objects, kept after %.1fs", len(a.objects), took.Seconds())
	objects, images := s.deployedObjects(t, a)
	if diff := cmp.Diff(a.objects, objects); diff != "" {
		t.Errorf("the objects are not those that are expected (-want +got):\n%s", diff)
	}
	var want []string
	for _, image := range a.images {
		name, digest, pinned := strings.Cut(image, "@")
		if !pinned {
			digest = a.digests[name]
		}
		want = append(want, name[:strings.LastIndex(name, ":")]+"@"+digest)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, images); diff != "" {
		t.Errorf("the images are not pinned to what the registry has (-want +got):\n%s", diff)
	}
	s.kubectl(t, "", "delete", "sync", "app", "--timeout=60s")
	if objects, _ := s.deployedObjects(t, a); len(objects) > 0 {
		t.Errorf("the Sync is gone, and these are there still: %v", objects)
	}
}

// refusedForItsClaims wants the reason to be told while the volume of a claim is waited for, and not at the end of the time.
func (a realApp) refusedForItsClaims(t *testing.T, s *script) {
	result, sync, took := s.ends(t, time.Minute)
	t.Logf("%s after %.1fs: %s", result, took.Seconds(), sync.reports())
	if result != "Failed" || sync.Status.Held == nil {
		t.Fatalf("it was %s", result)
	}
	if most := 45 * time.Second; took > most {
		t.Errorf("it took %s, %s is the most", took, most)
	}
	held := sync.Status.Held
	for _, part := range []string{"StatefulSet/", "cassandra-data-cassandra-0", "StorageClass fast", "k8s.io/minikube-hostpath"} {
		if held.Reason == "TimedOut" || !strings.Contains(held.Message, part) {
			t.Errorf("it does not say %s: %s: %s", part, held.Reason, held.Message)
		}
	}
}

// refusedUnseen wants nothing to have been written of an application that has kinds without a CRD.
func (a realApp) refusedUnseen(t *testing.T, s *script) {
	await(t, "the reason", func() bool {
		status, reason, _ := s.told(t).condition("Ready")
		return status == "False" && reason == "UnknownKind"
	})
	t.Logf("refused after %.1fs: %s", time.Since(s.started).Seconds(), s.told(t).reports())
	if history := s.told(t).Status.History; len(history) > 0 {
		t.Errorf("there was a release: %v", history)
	}
	events, _, err := s.audit(s.marked)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.isWrite() && e.ObjectRef.Namespace == s.namespace {
			t.Errorf("it was written: %s %s/%s", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name)
		}
	}
}

// deployedObjects lists what is in the cluster of the kinds of an application, as a.objects does, and the images of pods'
// templates.
func (s *script) deployedObjects(t *testing.T, a realApp) (objects, images []string) {
	t.Helper()
	kinds := map[string]bool{}
	for _, o := range a.objects {
		kinds[strings.Split(o, ",")[1]] = true
	}
	var names []string
	for kind := range kinds {
		names = append(names, kind)
	}
	var list struct {
		Items []struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
			Spec             struct {
				Template struct {
					Spec struct {
						InitContainers, Containers []struct{ Image string }
					}
				}
			}
		}
	}
	text := s.kubectl(t, "", "get", strings.Join(names, ","), "--selector=belay.dev/sync=app,belay.dev/namespace="+s.namespace, "--output=json")
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		objects = append(objects, strings.Join([]string{item.APIVersion, item.Kind, item.Metadata.Name}, ","))
		for _, c := range slices.Concat(item.Spec.Template.Spec.InitContainers, item.Spec.Template.Spec.Containers) {
			images = append(images, c.Image)
		}
	}
	slices.Sort(objects)
	slices.Sort(images)
	return objects, slices.Compact(images)
}

// realApps reads the corpus.
func realApps(t *testing.T) []realApp {
	t.Helper()
	rows := corpus(t, "apps.csv")
	unknown := slices.Index(rows[0], "crs_without_crd")
	var apps []realApp
	for _, row := range rows[1:] {
		app := realApp{name: row[0], dir: row[1], unknown: row[unknown] != "0"}
		for _, o := range corpus(t, "expected/"+app.name+".objects.csv")[1:] {
			app.objects = append(app.objects, strings.Join([]string{o[0], o[1], o[3]}, ","))
		}
		slices.Sort(app.objects)
		text, err := os.ReadFile(filepath.Join(corpora, "expected", app.name+".images"))
		if err != nil {
			t.Fatal(err)
		}
		app.images = strings.Fields(string(text))
		apps = append(apps, app)
	}
	return apps
}

// corpus reads a table, or skips the test where there is none.
func corpus(t *testing.T, name string) [][]string {
	t.Helper()
	file, err := os.Open(filepath.Join(corpora, name))
	if os.IsNotExist(err) {
		t.Skipf("the corpus of applications is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
