package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type object = map[string]any

// release is one release of the application that is deployed while agents die.
type release struct {
	n    int
	good bool // or else its pods crash
}

// resources is where the application's objects are.
var resources = map[string]string{
	"Deployment": "/apis/apps/v1/namespaces/%s/deployments",
	"Service":    "/api/v1/namespaces/%s/services",
	"ConfigMap":  "/api/v1/namespaces/%s/configmaps",
	"Secret":     "/api/v1/namespaces/%s/secrets",
}

// objects are what a release is: a Deployment, a Service, a Secret and ConfigMaps that every release has, and a ConfigMap
// that only this one has. All of them differ from release to release.
func (r release) objects(image string) []object {
	pod := object{"labels": object{"app": "hello", "release": fmt.Sprint(r.n)}}
	if !r.good {
		pod["annotations"] = object{"simulate.belay.dev/fail": "CrashLoopBackOff"}
	}
	selector := object{"app": "hello"}
	objects := []object{
		r.object("apps/v1", "Deployment", "hello", object{"spec": object{
			"selector": object{"matchLabels": selector},
			"template": object{"metadata": pod, "spec": object{"containers": []any{object{"name": "hello", "image": image}}}},
		}}),
		r.object("v1", "Service", "hello", object{"spec": object{"selector": selector, "ports": []any{object{"port": 80}}}}),
		r.object("v1", "Secret", "hello", object{"data": object{"password": base64.StdEncoding.EncodeToString(fmt.Append(nil, r.n))}}),
		r.object("v1", "ConfigMap", fmt.Sprintf("only-%d", r.n), nil),
	}
	for i := range 3 {
		objects = append(objects, r.object("v1", "ConfigMap", fmt.Sprintf("shared-%d", i), object{"data": object{"n": fmt.Sprint(r.n)}}))
	}
	return objects
}

func (r release) object(version, kind, name string, content object) object {
	o := object{"apiVersion": version, "kind": kind, "metadata": object{
		"name": name, "annotations": object{"release": fmt.Sprint(r.n)},
	}}
	maps.Copy(o, content)
	return o
}

// names lists a release's objects as [script.names] does.
func (r release) names() []string {
	var names []string
	for _, o := range r.objects("") {
		names = append(names, fmt.Sprintf("%s/%s of %d", o["kind"], o["metadata"].(object)["name"], r.n))
	}
	slices.Sort(names)
	return names
}

// killedSync takes the repository and stableFor.
const killedSync = `apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: app}
spec:
  source: {url: %q, ref: {branch: main}, interval: 1s}
  health: {timeout: 30s, stableFor: %s}
`

// tag is the application's image as Git has it.
func (s *script) tag() string { return s.Registry + "/" + s.namespace + ":v1" }

// image pushes the application's image, and answers its digest.
func (s *script) image(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(s.program, "image", "--registry", s.Registry, "--name", s.namespace+":v1",
		"--builtin", "hello", "--message", "v1").CombinedOutput()
	if err != nil {
		t.Fatalf("making an image: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// release pushes a release. Three bad ones within the hour freeze the Sync, as they should; then it does as people would.
func (s *script) release(t *testing.T, n int, good bool) {
	t.Helper()
	if n > 1 && s.isFrozen(t) {
		defer s.thaw(t)
	}
	var text strings.Builder
	for _, o := range (release{n, good}).objects(s.tag()) {
		document, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s\n", document) // JSON is YAML
	}
	if err := os.WriteFile(filepath.Join(s.clone, "app.yaml"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	s.commit(t, fmt.Sprintf("release %d", n))
}

// sync is where the Sync is.
func (s *script) sync() string {
	return "/apis/belay.dev/v1alpha1/namespaces/" + s.namespace + "/syncs/app"
}

func (s *script) isFrozen(t *testing.T) bool {
	t.Helper()
	var list struct{ Items []syncStatus }
	s.api.get(t, "/apis/belay.dev/v1alpha1/namespaces/"+s.namespace+"/syncs", &list)
	return slices.ContainsFunc(list.Items, func(sync syncStatus) bool {
		return slices.ContainsFunc(sync.Status.Conditions, func(c condition) bool { return c.Reason == "Frozen" })
	})
}

// thaw asks for another try, as belay sync --retry does.
func (s *script) thaw(t *testing.T) {
	t.Helper()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"belay.dev/sync-at":%q,"belay.dev/retry-at":%q}}}`, now, now)
	s.api.ask(t, http.MethodPatch, s.sync(), "application/merge-patch+json", patch, &object{})
}

// condition is one of a Sync's.
type condition struct{ Type, Status, Reason string }

// syncStatus is what a Sync says of itself.
type syncStatus struct {
	Status struct {
		Phase      string
		Wanted     struct{ Commit string }
		History    []struct{ Commit string }
		Conditions []condition
	}
}

// hasSettled tells whether the Sync says that the pushed release is kept, or rolled back.
func (s *script) hasSettled(t *testing.T, good bool) bool {
	t.Helper()
	head, err := s.git("rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	var sync syncStatus
	s.api.get(t, s.sync(), &sync)
	phase := map[bool]string{true: "Kept", false: "RolledBack"}[good]
	status := sync.Status
	reconciling := func(c condition) bool { return c.Type == "Reconciling" && c.Status == "True" }
	if slices.ContainsFunc(status.Conditions, reconciling) {
		return false
	}
	return status.Phase == phase && status.Wanted.Commit == head && len(status.History) > 0 && status.History[0].Commit == head
}

// settled waits until the Sync says that the pushed release is kept, or rolled back.
func (s *script) settled(t *testing.T, n int, good bool) {
	t.Helper()
	await(t, fmt.Sprintf("release %d to be %s", n, map[bool]string{true: "kept", false: "rolled back"}[good]),
		func() bool { return s.hasSettled(t, good) })
}

// names lists the application's objects in the cluster, each with the release that it says it is of.
func (s *script) names(t *testing.T) []string {
	t.Helper()
	var names []string
	for kind, path := range resources {
		var list struct{ Items []object }
		s.api.get(t, fmt.Sprintf(path, s.namespace), &list)
		for _, item := range list.Items {
			metadata := item["metadata"].(object)
			if metadata["name"] == "kube-root-ca.crt" || item["type"] == "belay.dev/release" {
				continue
			}
			annotations, _ := metadata["annotations"].(object)
			names = append(names, fmt.Sprintf("%s/%s of %v", kind, metadata["name"], annotations["release"]))
		}
	}
	slices.Sort(names)
	return names
}
