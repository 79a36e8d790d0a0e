package manifests

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func mark(o Object) string {
	text, _, _ := unstructured.NestedString(o.Unstructured().Object, "spec", "template", "metadata", "annotations", AnnotationTemplate)
	return text
}

func stamped(t *testing.T, s Set) Set {
	t.Helper()
	after, err := s.StampTemplates()
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func TestOnlyTemplatesWhosePodsNobodyReplacesAreStamped(t *testing.T) {
	for kind, text := range everyKind {
		s := set(t, text)
		before := contents(s)
		after := stamped(t, s)
		want := kind == "ReplicationController" || kind == "ReplicaSet"
		if got := mark(after.Objects()[0]) != ""; got != want {
			t.Errorf("%s: stamped is %t", kind, got)
		}
		if !want && after.Digest() != s.Digest() {
			t.Errorf("%s was changed", kind)
		}
		if diff := cmp.Diff(before, contents(s)); diff != "" {
			t.Errorf("%s: the set itself was changed: %s", kind, diff)
		}
	}
}

const controller = `
apiVersion: v1
kind: ReplicationController
metadata: {name: cart, annotations: {owner: a}}
spec: {replicas: 2, template: {metadata: {labels: {app: cart}, annotations: {a: b}}, spec: {containers: [{name: cart, image: "acme/cart:2.0"}]}}}`

func TestAStampChangesWithTheTemplateAlone(t *testing.T) {
	first := mark(stamped(t, set(t, controller)).Objects()[0])
	if len(first) != 16 {
		t.Errorf("the mark is %q", first)
	}
	for change, same := range map[string]bool{"replicas: 2→replicas: 3": true, "owner: a→owner: b": true, "cart:2.0→cart:2.1": false, "a: b→a: c": false} {
		from, to, _ := strings.Cut(change, "→")
		got := mark(stamped(t, set(t, strings.Replace(controller, from, to, 1))).Objects()[0])
		if (got == first) != same {
			t.Errorf("%s: the mark was %s and is %s", change, first, got)
		}
	}
}

func TestStampingAgainGivesTheSameStamp(t *testing.T) {
	for name, text := range map[string]string{
		"with annotations":    controller,
		"without annotations": strings.Replace(controller, ", annotations: {a: b}}", "}", 1),
		"without metadata":    strings.Replace(controller, "metadata: {labels: {app: cart}, annotations: {a: b}}, ", "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			once := stamped(t, set(t, text))
			if diff := cmp.Diff(contents(once), contents(stamped(t, once))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAControllerWithoutATemplateIsLeftAlone(t *testing.T) {
	for _, spec := range []string{"", "spec: {}", "spec: {template: text}"} {
		s := set(t, "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: cart}\n"+spec)
		if after := stamped(t, s); after.Digest() != s.Digest() {
			t.Errorf("%q was changed to %v", spec, contents(after))
		}
	}
}
