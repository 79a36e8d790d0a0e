package cluster

// Fault "Apply": fields that people wrote with kubectl become belay's, so that what Git does not have goes
// (kustomize-controller#486).

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

const (
	update = metav1.ManagedFieldsOperationUpdate
	apply  = metav1.ManagedFieldsOperationApply
)

// summary is what each manager holds.
func summary(entries []metav1.ManagedFieldsEntry) (texts []string) {
	for _, e := range entries {
		texts = append(texts, e.Manager+" "+string(e.Operation)+" "+e.Subresource+" "+string(e.FieldsV1.GetRawBytes()))
	}
	return texts
}

func TestWhatPeopleWroteByHandBecomesBelays(t *testing.T) {
	ours := fields("belay", apply, "", `{"f:data":{"f:a":{}}}`)
	for _, test := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    []string // empty for no change
	}{
		{"beside what belay holds", []metav1.ManagedFieldsEntry{ours, fields("kubectl-edit", update, "", `{"f:data":{"f:b":{}}}`)},
			[]string{`belay Apply  {"f:data":{"f:a":{},"f:b":{}}}`}},
		{"of an object that is nobody's", []metav1.ManagedFieldsEntry{fields("kubectl-create", update, "", `{"f:data":{"f:b":{}}}`)},
			[]string{`belay Apply  {"f:data":{"f:b":{}}}`}},
		{"applied on the server's side, and again on the client's", []metav1.ManagedFieldsEntry{
			fields("kubectl", apply, "", `{"f:data":{"f:b":{}}}`), fields("kubectl-client-side-apply", update, "", `{"f:data":{"f:c":{}}}`)},
			[]string{`belay Apply  {"f:data":{"f:b":{},"f:c":{}}}`}},
		{"but not where a subresource was written", []metav1.ManagedFieldsEntry{ours, fields("kubectl", update, "scale", `{"f:spec":{"f:replicas":{}}}`)}, nil},
		{"nor a restart", []metav1.ManagedFieldsEntry{ours, fields("kubectl-rollout", update, "", `{"f:spec":{"f:template":{}}}`)}, nil},
		{"nor a label", []metav1.ManagedFieldsEntry{ours, fields("kubectl-label", update, "", `{"f:metadata":{}}`)}, nil},
		{"nor what other managers add", []metav1.ManagedFieldsEntry{ours, fields("lens", update, "", `{"f:data":{"f:b":{}}}`)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			moved, changed, err := takeOver(test.entries, allByHand)
			if err != nil || changed != (test.want != nil) {
				t.Fatalf("changed %t: %v", changed, err)
			}
			if diff := cmp.Diff(test.want, summary(moved)); changed && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A Service whose port was changed by hand has two ports of one name, as soon as Git's is written again.
func TestListItemsInTheWayOfAnApplyBecomeBelays(t *testing.T) {
	wanted := live(t, `{apiVersion: v1, kind: Service, spec: {ports: [{name: http, port: 9898}, {name: dns, port: 53, protocol: UDP}]}}`).Object
	lens := func(text string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{fields("lens", update, "", text)}
	}
	for _, test := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		refused string
		want    []string
	}{
		{"another port", lens(`{"f:metadata":{"f:labels":{"f:x":{}}},"f:spec":{"f:ports":{"k:{\"port\":1234,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}}}}`), "spec.ports[1].name",
			[]string{`lens Update  {"f:metadata":{"f:labels":{"f:x":{}}}}`, `belay Apply  {"f:spec":{"f:ports":{"k:{\"port\":1234,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}}}}`}},
		{"an error about a list as a whole", lens(`{"f:spec":{"f:ports":{"k:{\"port\":1234,\"protocol\":\"TCP\"}":{".":{}}}}}`), "spec",
			[]string{`belay Apply  {"f:spec":{"f:ports":{"k:{\"port\":1234,\"protocol\":\"TCP\"}":{}}}}`}},
		{"Git's own port, with its default", lens(`{"f:spec":{"f:ports":{"k:{\"port\":9898,\"protocol\":\"TCP\"}":{".":{},"f:targetPort":{}}}}}`), "spec.ports[1].name", nil},
		{"the same number of another protocol", lens(`{"f:spec":{"f:ports":{"k:{\"port\":9898,\"protocol\":\"UDP\"}":{".":{}}}}}`), "spec.ports[1].name",
			[]string{`belay Apply  {"f:spec":{"f:ports":{"k:{\"port\":9898,\"protocol\":\"UDP\"}":{}}}}`}},
		{"an error about something else", lens(`{"f:spec":{"f:ports":{"k:{\"port\":1234,\"protocol\":\"TCP\"}":{".":{}}}}}`), "spec.type", nil},
		{"a list that Git does not have", lens(`{"f:spec":{"f:other":{"k:{\"port\":1234}":{".":{}}}}}`), "spec.other[0]", nil},
		{"what admission added to belay's write", []metav1.ManagedFieldsEntry{fields("belay", update, "", `{"f:spec":{"f:ports":{"k:{\"port\":1234,\"protocol\":\"TCP\"}":{".":{}}}}}`)}, "spec.ports[1]", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			moved, changed, err := takeOver(test.entries, inTheWay(wanted, []string{test.refused}))
			if err != nil || changed != (test.want != nil) {
				t.Fatalf("changed %t: %v", changed, err)
			}
			if diff := cmp.Diff(test.want, summary(moved)); changed && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnItemInsideAnotherItemIsFound(t *testing.T) {
	wanted := live(t, `{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, ports: [{containerPort: 80, name: http}]}]}}`).Object
	entries := []metav1.ManagedFieldsEntry{fields("lens", update, "", `{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:ports":{"k:{\"containerPort\":81,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}}}}}}`)}
	moved, _, err := takeOver(entries, inTheWay(wanted, []string{"spec.containers[0].ports[1].name"}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`lens Update  {"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}}}`,
		`belay Apply  {"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{"f:ports":{"k:{\"containerPort\":81,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}}}}}}`,
	}
	if diff := cmp.Diff(want, summary(moved)); diff != "" {
		t.Error(diff)
	}
}

func TestHoldersAreNamedWithWhatBelayDoesNotHold(t *testing.T) {
	entries := []metav1.ManagedFieldsEntry{
		fields("belay", apply, "", `{"f:data":{"f:a":{}}}`),
		fields("kubectl-edit", update, "", `{"f:data":{"f:a":{},"f:b":{},"f:c":{},"f:d":{},"f:e":{}}}`),
		fields("lens", update, "", `{"f:data":{"f:x":{}}}`),
	}
	want := `manager "kubectl-edit" holds .data.b, .data.c, .data.d, 1 more`
	if got := holders(entries, allByHand); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// An autoscaler's replicas, or what is to be ignored, is theirs who write it, with kubectl or not.
func TestWhatIsLeftToOthersIsNotTakenOver(t *testing.T) {
	w := write{approach: approach{left: []fieldpath.Path{fieldpath.MakePathOrDie("data", "color")}}}
	for text, want := range map[string]string{
		`{"f:data":{"f:color":{}}}`:                                 ``,
		`{"f:data":{"f:color":{"f:deeper":{}},"f:colors":{}}}`:      `.data.colors`,
		`{"f:data":{"f:greeting":{}},"f:metadata":{"f:labels":{}}}`: `.data.greeting, .metadata.labels`,
	} {
		got := holders([]metav1.ManagedFieldsEntry{fields("kubectl-edit", update, "", text)}, w.byHand)
		if got != "" {
			got = strings.TrimPrefix(got, `manager "kubectl-edit" holds `)
		}
		if got != want {
			t.Errorf("of %s: got %q, want %q", text, got, want)
		}
	}
}
