package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checkWhole asks the API server, and not belay, whether the cluster is at one release: these objects are there and no
// other, and applying them, as belay would, would change nothing.
func (s *script) checkWhole(t *testing.T, r release, digest string) {
	t.Helper()
	repository, _, _ := strings.Cut(s.tag(), ":v1")
	expected := r.objects(repository + "@" + digest)
	var names []string
	for _, o := range expected {
		names = append(names, fmt.Sprintf("%s/%s of %d", o["kind"], o["metadata"].(object)["name"], r.n))
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, s.names(t)); diff != "" {
		t.Errorf("the objects are not those of release %d (-want +got):\n%s", r.n, diff)
		return
	}
	for _, o := range expected {
		metadata := o["metadata"].(object)
		metadata["labels"] = object{"belay.dev/sync": "app", "belay.dev/namespace": s.namespace}
		if o["kind"] == "Deployment" {
			metadata["annotations"].(object)["belay.dev/images"] = fmt.Sprintf(`{"hello":%q}`, s.tag())
		}
		if diff := s.wouldChange(t, o); diff != "" {
			t.Errorf("%s/%s is not that of release %d; applying that would change (-is +would be):\n%s", o["kind"], metadata["name"], r.n, diff)
		}
	}
}

// wouldChange is what a server-side apply of an object would change, by a dry run. Controllers may write the object
// between the two questions, so that a difference has to last.
func (s *script) wouldChange(t *testing.T, o object) (diff string) {
	t.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf(resources[o["kind"].(string)], s.namespace) + "/" + o["metadata"].(object)["name"].(string)
	for range 5 {
		var is, would object
		s.api.get(t, path, &is)
		s.api.ask(t, http.MethodPatch, path+"?dryRun=All&force=true&fieldManager=belay&fieldValidation=Strict", "application/apply-patch+yaml", string(body), &would)
		if diff = cmp.Diff(essence(is), essence(would)); diff == "" {
			return ""
		}
		time.Sleep(100 * time.Millisecond)
	}
	return diff
}

// essence is an object without what changes although nobody asks for it. Who manages which field stays.
func essence(o object) object {
	o = maps.Clone(o)
	delete(o, "status")
	metadata := maps.Clone(o["metadata"].(object))
	delete(metadata, "resourceVersion")
	delete(metadata, "generation")
	for _, entry := range metadata["managedFields"].([]any) {
		delete(entry.(object), "time")
	}
	o["metadata"] = metadata
	return o
}

// checkOrder holds what the API server was asked for a release against the promises: owned first, prune last, and
// nothing that both releases have is ever deleted. The release came over the one that was deployed.
func (s *script) checkOrder(t *testing.T, events []auditEvent, r release, deployed int) {
	t.Helper()
	leaving := deployed // what only this release has goes
	if !r.good {
		leaving = r.n
	}
	record := fmt.Sprintf("belay.app.%d.0", r.n)
	stored, marked := false, false
	for _, e := range events {
		what := fmt.Sprintf("%s %s/%s by %s", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, e.ImpersonatedUser.Username)
		switch {
		case e.ObjectRef.Namespace != s.namespace || e.ResponseStatus.Code >= 300 && !e.isCutOff():
		case e.ObjectRef.Name == record:
			stored = stored || e.Verb == "create"
			marked = marked || e.Verb == "patch"
		case !e.isWrite() || e.isCutOff():
		case !stored:
			t.Errorf("before release %d was stored: %s", r.n, what)
		case e.Verb == "delete" && e.ObjectRef.Name != fmt.Sprintf("only-%d", leaving):
			t.Errorf("in release %d, which has no other to delete than only-%d: %s", r.n, leaving, what)
		case e.Verb == "delete" && !marked:
			t.Errorf("before there was a verdict on release %d: %s", r.n, what)
		}
	}
	if !stored || !marked {
		t.Errorf("by the audit log release %d was stored: %t, judged: %t", r.n, stored, marked)
	}
}
