// FAULTS, Registry: images in all workloads and in custom resources.

package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// podSpec has an image in every place that a pod spec has for one, and a few that are none.
const podSpec = `{
  initContainers: [{name: migrate, image: "acme/migrate:1"}, {name: sidecar, image: "acme/proxy:2", restartPolicy: Always}],
  containers: [{name: cart, image: "acme/cart:2.0", env: [{name: image, value: "acme/not:1"}]}, {name: empty, image: ""}, {name: none}],
  ephemeralContainers: [{name: debug, image: "busybox"}],
  volumes: [{name: model, image: {reference: "acme/model:7"}}, {name: tmp, emptyDir: {}}, {name: image, configMap: {name: image}}],
}`

func inKind(apiVersion, kind, open, close string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: cart, namespace: shop}\n%s%s%s", apiVersion, kind, open, podSpec, close)
}

// everyKind is each kind that holds a pod spec, with the spec in its place.
var everyKind = map[string]string{
	"Pod":                   inKind("v1", "Pod", "spec: ", ""),
	"PodTemplate":           inKind("v1", "PodTemplate", "template: {spec: ", "}"),
	"ReplicationController": inKind("v1", "ReplicationController", "spec: {template: {spec: ", "}}"),
	"Deployment":            inKind("apps/v1", "Deployment", "spec: {template: {spec: ", "}}"),
	"StatefulSet":           inKind("apps/v1", "StatefulSet", "spec: {template: {spec: ", "}}"),
	"DaemonSet":             inKind("apps/v1", "DaemonSet", "spec: {template: {spec: ", "}}"),
	"ReplicaSet":            inKind("apps/v1", "ReplicaSet", "spec: {template: {spec: ", "}}"),
	"Job":                   inKind("batch/v1", "Job", "spec: {template: {spec: ", "}}"),
	"CronJob":               inKind("batch/v1", "CronJob", "spec: {jobTemplate: {spec: {template: {spec: ", "}}}}"),
}

type listed struct{ Container, Image string }

func places(s Set) []listed {
	var all []listed
	for _, image := range s.Images(nil) {
		all = append(all, listed{image.Container, image.Image})
	}
	return all
}

func TestEveryImageOfEveryKindIsFound(t *testing.T) {
	want := []listed{
		{"migrate", "acme/migrate:1"}, {"sidecar", "acme/proxy:2"},
		{"cart", "acme/cart:2.0"}, {"debug", "busybox"}, {"volume model", "acme/model:7"},
	}
	for _, row := range table {
		for kind := range strings.FieldsSeq(row.kinds) {
			if row.project == "Kubernetes" && everyKind[kind] == "" {
				t.Errorf("%s is in the table and not tested", kind)
			}
		}
	}
	for kind, text := range everyKind {
		t.Run(kind, func(t *testing.T) {
			s := set(t, text)
			if diff := cmp.Diff(want, places(s)); diff != "" {
				t.Error(diff)
			}
			if got := s.Images(nil)[0].Object.String(); got != kind+"/shop/cart (deploy.yaml)" {
				t.Errorf("the image is said to be of %s", got)
			}
		})
	}
}

func TestEveryImageOfEveryKindIsPinned(t *testing.T) {
	pins := Pins{
		"acme/migrate:1": "acme/migrate@sha256:01", "acme/proxy:2": "acme/proxy@sha256:02", "acme/cart:2.0": "acme/cart@sha256:03",
		"busybox": "busybox@sha256:04", "acme/model:7": "acme/model@sha256:05", "acme/not:1": "acme/not@sha256:06",
	}
	for kind, text := range everyKind {
		t.Run(kind, func(t *testing.T) {
			pinned, err := set(t, text).Pin(pins, nil)
			if err != nil {
				t.Fatal(err)
			}
			// What is pinned is what Git has with the images replaced and the annotation added, and nothing else.
			for tag, digest := range pins {
				if tag != "acme/not:1" {
					text = strings.ReplaceAll(text, `"`+tag+`"`, `"`+digest+`"`)
				}
			}
			want := content(t, text)
			want.SetAnnotations(map[string]string{AnnotationImages: `{"cart":"acme/cart:2.0","debug":"busybox",` +
				`"migrate":"acme/migrate:1","sidecar":"acme/proxy:2","volume model":"acme/model:7"}`})
			if diff := cmp.Diff(want.Object, pinned.Objects()[0].Unstructured().Object); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOtherKindsHaveNoImages(t *testing.T) {
	for _, text := range []string{
		inKind("v1", "Service", "spec: ", ""),
		inKind("extensions/v1beta1", "Pod", "spec: ", ""),
		inKind("example.org/v1", "Deployment", "spec: {template: {spec: ", "}}"),
		inKind("v1", "Deployment", "spec: {template: {spec: ", "}}"),
	} {
		if got := places(set(t, text)); len(got) > 0 {
			t.Errorf("%s\ngot %v", text, got)
		}
	}
}

func TestAPodSpecOfTheWrongShapeHasNoImages(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: cart}\n"
	for _, spec := range []string{
		"", "spec: null", "spec: text", "spec: []", "spec: {containers: {name: a, image: b}}", "spec: {containers: [text, 1, null]}",
		"spec: {containers: [{name: a, image: 7}]}", "spec: {containers: [{name: a, image: {a: b}}]}",
		"spec: {volumes: [{name: a, image: text}, {name: b, image: {reference: 7}}, {name: c, image: null}]}",
	} {
		s := set(t, pod+spec)
		if got := places(s); len(got) > 0 {
			t.Errorf("%s: got %v", spec, got)
		}
		if _, err := s.Pin(Pins{"b": "b@sha256:01"}, nil); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

func TestContainersWithoutANameAreToldByTheirPlace(t *testing.T) {
	s := set(t, `
apiVersion: v1
kind: Pod
metadata: {name: cart}
spec:
  initContainers: [{image: a}]
  containers: [{name: x, image: b}, {image: c}]
  volumes: [{image: {reference: d}}]`)
	want := []listed{{"initContainers[0]", "a"}, {"x", "b"}, {"containers[1]", "c"}, {"volume 0", "d"}}
	if diff := cmp.Diff(want, places(s)); diff != "" {
		t.Error(diff)
	}
}

func TestImagesThatAreToBeLeftAloneAreNeitherListedNorPinned(t *testing.T) {
	text := strings.Replace(everyKind["Deployment"], "namespace: shop", `namespace: shop, annotations: {belay.dev/resolve: "disabled"}`, 1)
	s := set(t, text)
	if got := places(s); len(got) > 0 {
		t.Errorf("listed: %v", got)
	}
	pinned, err := s.Pin(Pins{"acme/cart:2.0": "acme/cart@sha256:03"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(s), contents(pinned)); diff != "" {
		t.Error("pinned:", diff)
	}
	other := set(t, strings.Replace(text, `"disabled"`, `"no"`, 1))
	if len(places(other)) == 0 {
		t.Error("another value than disabled counts too")
	}
}

func TestImageNamesAreSortedAndEachIsThereOnce(t *testing.T) {
	s := set(t, everyKind["Pod"], everyKind["Deployment"], cartService)
	want := []string{"acme/cart:2.0", "acme/migrate:1", "acme/model:7", "acme/proxy:2", "busybox"}
	if diff := cmp.Diff(want, ImageNames(s.Images(nil))); diff != "" {
		t.Error(diff)
	}
}

func TestPinKeepsWhatGitHad(t *testing.T) {
	const text = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, annotations: {team: shop, belay.dev/images: '{"old":"x"}'}}
spec: {template: {metadata: {annotations: {a: b}}, spec: {containers: [
  {name: cart, image: "acme/cart:2.0"}, {name: log, image: "acme/log@sha256:99"}, {name: other, image: "acme/other:1"}]}}}`
	s := set(t, text)
	before := contents(s)
	pins := Pins{"acme/cart:2.0": "acme/cart@sha256:03", "acme/log@sha256:99": "acme/log@sha256:99"}
	given := maps.Clone(pins)
	pinned, err := s.Pin(pins, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("in an annotation of the owner, beside its other annotations", func(t *testing.T) {
		got := pinned.Objects()[0].Unstructured().GetAnnotations()
		want := map[string]string{"team": "shop", AnnotationImages: `{"cart":"acme/cart:2.0"}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and leaves alone what has no pin or is a digest already", func(t *testing.T) {
		want := []listed{{"cart", "acme/cart@sha256:03"}, {"log", "acme/log@sha256:99"}, {"other", "acme/other:1"}}
		if diff := cmp.Diff(want, places(pinned)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and changes neither the set nor the pins it is given", func(t *testing.T) {
		if diff := cmp.Diff(before, contents(s)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(given, pins); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and a second time does nothing", func(t *testing.T) {
		again, err := pinned.Pin(pins, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(contents(pinned), contents(again)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and without pins does nothing", func(t *testing.T) {
		for _, none := range []Pins{nil, {}, {"acme/unknown:1": "acme/unknown@sha256:01"}} {
			same, err := s.Pin(none, nil)
			if err != nil {
				t.Fatal(err)
			}
			if same.Digest() != s.Digest() {
				t.Errorf("%v changed the set", none)
			}
		}
	})
}

// FuzzPinning looks for an object that pinning or storing spoils: whatever is pinned must keep all but its images,
// must not change what it was made of, and must come back from JSON with the same digest.
func FuzzPinning(f *testing.F) {
	for _, kind := range slices.Sorted(maps.Keys(everyKind)) {
		body, err := json.Marshal(content(f, everyKind[kind]).Object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(body), "acme/cart:2.0", "acme/cart@sha256:03")
	}
	f.Add(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"a"},{"image":"a"}],"n":9223372036854775807}}`, "a", "b")
	f.Add(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","annotations":null},"spec":{"volumes":[{"image":{"reference":"a"}}],"x":1e300}}`, "a", "a")
	f.Fuzz(func(t *testing.T, text, image, digest string) {
		o, ok := fuzzedObject(text)
		if !ok || !utf8.ValidString(digest) { // a pin is text
			t.Skip()
		}
		s, err := NewSet(o)
		if err != nil {
			t.Fatal(err)
		}
		before, names := s.Digest(), ImageNames(s.Images(nil))
		pinned, err := s.Pin(Pins{image: digest}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Digest() != before {
			t.Error("pinning changed the set")
		}
		if slices.Contains(names, image) && image != digest && pinned.Digest() == before {
			t.Error("nothing was pinned")
		}
		if len(pinned.Images(nil)) != len(s.Images(nil)) && digest != "" {
			t.Error("images were lost")
		}
		var back Set
		stored, err := json.Marshal(pinned)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(stored, &back); err != nil {
			t.Fatal(err)
		}
		if back.Digest() != pinned.Digest() {
			t.Errorf("stored as %s, read back as %v", stored, contents(back))
		}
	})
}
