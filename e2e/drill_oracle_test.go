package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// inventory is all that is in a case's namespace, and what is its own beside namespaces, by "Kind/name": whatever kinds the
// API server has. The API server is asked, and not belay.
type inventory struct {
	own     map[string]string // the objects that nobody else makes of others, without what changes by itself, as JSON
	derived map[string]string // those that have a controller, such as pods, with the release that they say they are of
}

// notOwn are the resources that controllers make of others without saying so, and what belay itself needs.
var notOwn = []string{"events", "endpoints", "leases", "syncs", "bindings", "componentstatuses"}

// snapshot takes the inventory.
func (p *patient) snapshot(t *testing.T) inventory {
	t.Helper()
	lists, err := p.d.kinds.ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) { // one case's API has nobody behind it
		t.Fatal(err)
	}
	found := inventory{map[string]string{}, map[string]string{}}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range list.APIResources {
			if slices.Contains(kind.Verbs, "list") && !slices.Contains(notOwn, kind.Name) {
				p.take(t, found, version.WithResource(kind.Name), kind.Namespaced)
			}
		}
	}
	return found
}

// take adds the objects of one kind to the inventory.
func (p *patient) take(t *testing.T, found inventory, kind schema.GroupVersionResource, namespaced bool) {
	t.Helper()
	var list *unstructured.UnstructuredList
	var err error
	if namespaced {
		list, err = p.d.objects.Resource(kind).Namespace(p.namespace).List(t.Context(), metav1.ListOptions{})
	} else {
		list, err = p.d.objects.Resource(kind).List(t.Context(), metav1.ListOptions{LabelSelector: "belay.dev/namespace=" + p.namespace})
	}
	if err != nil {
		t.Fatalf("listing %s: %v", kind, err)
	}
	for _, o := range list.Items {
		name := o.GetKind() + "/" + o.GetName()
		switch {
		case name == "ConfigMap/kube-root-ca.crt" || name == "ServiceAccount/default" || o.Object["type"] == "belay.dev/release":
		case metav1.GetControllerOf(&o) != nil:
			found.derived[name] = o.GetAnnotations()["release"]
		default:
			found.own[name] = lasting(t, o.Object)
		}
	}
}

// lasting is an object as JSON, byte for byte, without what controllers write in it.
func lasting(t *testing.T, o object) string {
	t.Helper()
	o = essence(o)
	metadata := o["metadata"].(object)
	managers := slices.DeleteFunc(slices.Clone(metadata["managedFields"].([]any)), func(entry any) bool {
		return entry.(object)["subresource"] != nil
	})
	slices.SortFunc(managers, func(a, b any) int {
		return cmp.Compare(fmt.Sprint(a.(object)["manager"]), fmt.Sprint(b.(object)["manager"]))
	})
	metadata["managedFields"] = managers
	if annotations, ok := metadata["annotations"].(object); ok {
		// They count the releases, backwards and forwards.
		annotations = maps.Clone(annotations)
		delete(annotations, "deployment.kubernetes.io/revision")
		delete(annotations, "deprecated.daemonset.template.generation")
		metadata["annotations"] = annotations
	}
	text, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkBack wants all to be as it was before the bad release, byte for byte, but for what a rollback leaves by promise, and
// nothing to be of the bad release.
func (p *patient) checkBack(t *testing.T, was inventory) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(soon); ; time.Sleep(200 * time.Millisecond) {
		is := p.snapshot(t)
		left = p.left(is)
		for _, name := range p.leaves {
			delete(is.own, name)
		}
		diff := gocmp.Diff(was.own, is.own)
		if diff == "" && len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("of the bad release is left: %q; and the objects are not those of the good one (-was +is):\n%s", left, diff)
			return
		}
	}
}

// left are the objects of controllers that are still of the bad release. The histories of Deployments, StatefulSets and
// DaemonSets are meant to keep it.
func (p *patient) left(is inventory) []string {
	var left []string
	for name, release := range is.derived {
		isHistory := strings.HasPrefix(name, "ReplicaSet/") || strings.HasPrefix(name, "ControllerRevision/")
		if release == "bad" && !isHistory {
			left = append(left, name)
		}
	}
	return left
}

// checkUntouched wants belay to have written nothing of the case's since it came to rest, while others went on.
func (p *patient) checkUntouched(t *testing.T) {
	t.Helper()
	if p.from == 0 {
		return // it has failed, and said so; or there is no log to read
	}
	events, _, err := p.audit(p.from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.isWrite() && e.ObjectRef.Namespace == p.namespace {
			t.Errorf("%s was at rest, and belay did: %s %s/%s", p.name, e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name)
		}
	}
}
