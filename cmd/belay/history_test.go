package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// aRecord is a stored release.
func aRecord(number int, result manifests.Result) manifests.Record {
	return manifests.Record{Number: number, Commit: manifests.Commit{Hash: strings.Repeat(string(rune('a'+number)), 40)},
		Outcome: manifests.Outcome{Result: result}}
}

func TestHistoryShowsARowForEachReleaseNewestFirst(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	records := []manifests.Record{
		{Number: 41, Commit: manifests.Commit{Hash: "41aa", Author: "Ana <ana@example.com>", Subject: "Bump\x1b[31m cart\nand more of it"},
			At: now.Add(-50 * time.Hour), Outcome: manifests.Outcome{Result: manifests.Kept, Took: 1549 * time.Millisecond}},
		{Number: 42, Commit: manifests.Commit{Hash: "9f2c1e7aaaa", Author: "Bo", Subject: strings.Repeat("ä", 60)},
			At: now.Add(-time.Minute), Outcome: manifests.Outcome{Result: manifests.RolledBack, Reason: "CrashLoopBackOff", Took: 48 * time.Second}},
		{Number: 43, Commit: manifests.Commit{Hash: "9f2c1e7aaaa"}, At: now, Outcome: manifests.Outcome{Result: manifests.Applying}},
	}
	want := [][]string{
		{"43", "9f2c1e7", "-", "-", "Applying", "-", "0s", "0s ago"},
		{"42", "9f2c1e7", "Bo", strings.Repeat("ä", 49) + "…", "RolledBack", "CrashLoopBackOff", "48s", "60s ago"},
		{"41", "41aa", "Ana <ana@example.com>", "Bump [31m cart and more of it", "Kept", "-", "1.5s", "2d2h ago"},
	}
	if diff := cmp.Diff(want, historyRows(entries(records), now)); diff != "" {
		t.Error(diff)
	}
	if rows := historyRows(entries(nil), now); len(rows) != 0 {
		t.Errorf("of no release: %v", rows)
	}
	if text, _ := json.Marshal(entries(nil)); string(text) != "[]" {
		t.Errorf("no release as JSON: %s", text)
	}
}

func TestOfOneReleaseEverythingKnownIsTold(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	record := aRecord(2, manifests.RolledBack)
	record.Commit.Author, record.Commit.Subject, record.At = "Ana", "Bump cart", now.Add(-time.Hour)
	record.Outcome.Reason, record.Outcome.Message, record.Outcome.Took = "CrashLoopBackOff", "Deployment/shop/cart:\nexit code 1", 1234*time.Millisecond
	release := manifests.Release{Objects: objectsOf(t, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}}),
		Pins: manifests.Pins{"cart:2": "cart@sha256:02", "basket:1": "basket@sha256:01"}}
	want := [][]string{
		{"Release:", "2"}, {"Commit:", strings.Repeat("c", 40)}, {"Author:", "Ana"}, {"Subject:", "Bump cart"}, {"Result:", "RolledBack"},
		{"Reason:", "CrashLoopBackOff"}, {"Message:", "Deployment/shop/cart: exit code 1"}, {"Took:", "1.2s"},
		{"When:", "2026-01-02T11:00:00Z, 60m ago"}, {"Objects:", "1"}, {"Images:", "basket:1 -> sha256:01"}, {"", "cart:2 -> sha256:02"},
	}
	if diff := cmp.Diff(want, details(record, release, now)); diff != "" {
		t.Error(diff)
	}
	kept := details(aRecord(1, manifests.Kept), manifests.Release{}, now)
	for _, row := range kept {
		if row[0] == "Reason:" || row[0] == "Message:" || row[0] == "Images:" {
			t.Errorf("of a healthy release without images: %v", row)
		}
	}
}

func objectsOf(t *testing.T, contents ...map[string]any) manifests.Set {
	t.Helper()
	var objects []manifests.Object
	for _, content := range contents {
		o, err := manifests.NewObject(&unstructured.Unstructured{Object: content}, "x.yaml")
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	set, err := manifests.NewSet(objects...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestTheObjectsOfAReleaseAreAYAMLStreamOrAList(t *testing.T) {
	objects := objectsOf(t,
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"x": "yes"}},
		map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "b"}, "stringData": map[string]any{"p": "hunter2"}},
	)
	const yes = `---
apiVersion: v1
data:
  x: "yes"
kind: ConfigMap
metadata:
  name: a
---
apiVersion: v1
kind: Secret
metadata:
  name: b
stringData:
  p: `
	const list = `{"apiVersion":"v1","items":[{"apiVersion":"v1","data":{"x":"yes"},"kind":"ConfigMap","metadata":{"name":"a"}},` +
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"b"},"stringData":{"p":"***"}}],"kind":"List"}`
	for _, test := range []struct {
		name string
		h    historyCommand
		want string
	}{
		{"a stream with a Secret's values masked", historyCommand{output: "yaml"}, yes + "'***'\n"},
		{"and with them", historyCommand{output: "yaml", showSecrets: true}, yes + "hunter2\n"},
		{"a List", historyCommand{output: "json"}, list},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, compact bytes.Buffer
			if err := test.h.objects(&out, objects); err != nil {
				t.Fatal(err)
			}
			got := out.String()
			if test.h.output == "json" && json.Compact(&compact, out.Bytes()) == nil {
				got = compact.String()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if err := (historyCommand{output: "wide"}).objects(&bytes.Buffer{}, objects); err == nil || !strings.Contains(err.Error(), "json and yaml are what there is") {
		t.Errorf("-o wide: %v", err)
	}
}
