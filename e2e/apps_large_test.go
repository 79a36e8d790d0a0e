// Promise: a large application is deployed in one commit: Namespaces and CRDs, custom resources of them, webhooks that fail closed,
// aggregated roles and APIs, in whatever order they are listed. Fault "Apply": webhook not ready yet (just installed) → only those
// objects retried.

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLargeApplications deploys each in one commit, changes a few objects in two others, and deletes the Sync. All of them are
// tried with E2E_LARGE=full; two, which have all that is to be had, otherwise.
func TestLargeApplications(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	startAgent(t, c)
	image := noisyImage(t, c)
	for _, shape := range shapes {
		if !shape.always && os.Getenv("E2E_LARGE") != "full" {
			continue
		}
		t.Run(shape.name, func(t *testing.T) {
			s, err := newScript(c, shape.name, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.cleanup)
			app := &largeApp{script: s, shape: shape, image: image, backend: newBackend(t, s.api, shape)}
			app.push(t, 1)
			s.kubectl(t, fmt.Sprintf(largeSync, s.repository), "apply", "-f", "-")
			app.kept(t, 1)
			for release := 2; release <= 3; release++ {
				app.push(t, release)
				s.look(t)
				app.kept(t, release)
			}
			app.leaves(t)
		})
	}
}

// largeSync takes the repository.
const largeSync = `apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: app}
spec:
  source: {url: %q, ref: {branch: main}, interval: 1m}
  health: {timeout: 5m, stableFor: 2s}
`

// largeApp is a large application on its way.
type largeApp struct {
	*script
	shape   shape
	image   string
	backend *backend
	files   map[string][]object
	changed map[string]bool // objects that the newest release changes, "RESOURCE/NAME"
}

// push writes a release into the repository.
func (a *largeApp) push(t *testing.T, release int) {
	t.Helper()
	before := a.files
	a.files = a.shape.files(a.backend, a.image, release)
	names, bytes, objects, largest := slices.Sorted(maps.Keys(a.files)), 0, 0, 0
	a.changed = map[string]bool{}
	for _, name := range names {
		var text strings.Builder
		for i, o := range a.files[name] {
			document, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			if before == nil || !cmp.Equal(before[name][i], o) {
				a.changed[strings.ToLower(o["kind"].(string))+"s/"+o["metadata"].(object)["name"].(string)] = true
			}
			fmt.Fprintf(&text, "---\n%s\n", document) // JSON is YAML
			objects, largest = objects+1, max(largest, len(document))
		}
		bytes += text.Len()
		if err := os.WriteFile(filepath.Join(a.clone, name), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if a.shape.kustomized {
		text := "resources:\n- " + strings.Join(names, "\n- ") + "\n"
		if err := os.WriteFile(filepath.Join(a.clone, "kustomization.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if _, a.marked, err = a.audit(0); err != nil {
		t.Fatal(err)
	}
	t.Logf("release %d: %d objects, %.1f MB, the largest %d KB; %d of them new or changed", release, objects, float64(bytes)/1e6, largest>>10, len(a.changed))
	a.started = time.Now()
	a.commit(t, fmt.Sprintf("release %d", release))
}

// kept waits for the verdict, and asks the API server how it is.
func (a *largeApp) kept(t *testing.T, release int) {
	t.Helper()
	if a.shape.caLater && release == 1 {
		a.fillAuthority(t)
	}
	result, sync, took := a.ends(t, 4*time.Minute)
	t.Logf("release %d: %s after %.1fs; the webhooks answered %d times, and were away %d times", release, result, took.Seconds(), a.backend.asked.Load(), a.backend.away.Load())
	if result != "Kept" {
		t.Fatalf("it was %s: %s", result, sync.reports())
	}
	if release > 1 && (a.backend.asked.Load() == 0 || a.backend.away.Load() == 0) {
		t.Error("the webhooks were not asked, or never away: this tests nothing of them")
	}
	a.onceEach(t, release)
	if diff := cmp.Diff(a.names(), a.live(t)); diff != "" {
		t.Errorf("the objects are not those of the release (-want +got):\n%s", diff)
	}
	a.hasRights(t)
	if a.shape.api {
		a.kubectl(t, "", "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1.api."+a.shape.group())
	}
}

// onceEach wants each changed object to have been written once, and no other, but for those that the webhooks have not seen
// yet: what they add is missing in them until the second release.
func (a *largeApp) onceEach(t *testing.T, release int) {
	t.Helper()
	events, _, err := a.audit(a.marked)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, e := range events {
		if e.isWrite() && e.ResponseStatus.Code < 300 {
			times[e.ObjectRef.Resource+"/"+e.ObjectRef.Name]++
		}
	}
	for name, count := range times {
		if count > 1 {
			t.Errorf("%s was written %d times", name, count)
		}
		seenLate := release == 2 && (strings.HasPrefix(name, "configmaps/") || strings.HasPrefix(name, a.shape.name+"part"))
		if seenLate && !a.changed[name] {
			delete(times, name)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(a.changed)), slices.Sorted(maps.Keys(times))); diff != "" {
		t.Errorf("release %d: what was written is not what it changes (-want +got):\n%s", release, diff)
	}
}

// fillAuthority does as a controller of the application does: it says in the webhooks by what to check their certificate.
func (a *largeApp) fillAuthority(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"validating", "mutating"} {
		path := "/apis/admissionregistration.k8s.io/v1/" + kind + "webhookconfigurations/" + a.shape.name
		patch := fmt.Sprintf(`[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":%q}]`, a.backend.authority())
		awaitWithin(t, 5*time.Minute, 200*time.Millisecond, kind+" webhooks", func() bool {
			return a.api.try(t.Context(), http.MethodPatch, path, "application/json-patch+json", patch, &object{}) == nil
		})
	}
}

// names are the objects of the release, "KIND/NAME".
func (a *largeApp) names() []string {
	var names []string
	for _, objects := range a.files {
		for _, o := range objects {
			names = append(names, o["kind"].(string)+"/"+o["metadata"].(object)["name"].(string))
		}
	}
	slices.Sort(names)
	return names
}

// live lists what is in the cluster, of all kinds that the application has.
func (a *largeApp) live(t *testing.T) []string {
	t.Helper()
	kinds := strings.Join(slices.Sorted(maps.Keys(a.resources())), ",")
	text := a.kubectl(t, "", "get", kinds, "--all-namespaces", "--selector=app.kubernetes.io/part-of="+a.shape.name,
		"--output=jsonpath={range .items[*]}{.kind}/{.metadata.name}{\"\\n\"}{end}")
	names := strings.Fields(string(text))
	slices.Sort(names)
	return names
}

// resources are the application's kinds, as kubectl takes them.
func (a *largeApp) resources() map[string]bool {
	resources := map[string]bool{}
	for _, objects := range a.files {
		for _, o := range objects {
			group, _, grouped := strings.Cut(o["apiVersion"].(string), "/")
			resource := o["kind"].(string)
			if grouped {
				resource += ".v1." + group
			}
			resources[resource] = true
		}
	}
	return resources
}

// hasRights wants the aggregated ClusterRole to have what its controller has put together.
func (a *largeApp) hasRights(t *testing.T) {
	t.Helper()
	var role struct{ Rules []object }
	a.api.get(t, "/apis/rbac.authorization.k8s.io/v1/clusterroles/"+a.shape.name+"-all", &role)
	if len(role.Rules) != a.shape.kinds {
		t.Errorf("the aggregated role has %d rules, not %d", len(role.Rules), a.shape.kinds)
	}
}

// leaves deletes the Sync, after which nothing is left but what is never pruned.
func (a *largeApp) leaves(t *testing.T) {
	t.Helper()
	began := time.Now()
	a.kubectl(t, "", "delete", "sync", "app", "--timeout=180s")
	t.Logf("deleted after %.1fs", time.Since(began).Seconds())
	want := []string{"Namespace/" + a.shape.namespace()}
	for i := range a.shape.kinds {
		want = append(want, "CustomResourceDefinition/"+a.shape.plural(i)+"."+a.shape.group())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, a.live(t)); diff != "" {
		t.Errorf("what is left is not what is never pruned (-want +got):\n%s", diff)
	}
	// The next application's cluster is not to be busy with the kinds of this one.
	a.kubectl(t, "", "delete", "customresourcedefinitions", "--selector=app.kubernetes.io/part-of="+a.shape.name, "--wait=false")
}
