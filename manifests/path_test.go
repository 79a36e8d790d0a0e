package manifests

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const paths = `{
  "spec": {
    "image": "a",
    "list": [{"name": "x", "value": "b"}, {"name": "y", "value": "c"}, {"name": "x", "value": "d"}, "e", 7, null, ["f"]],
    "map": {"b": {"image": "g"}, "a": {"image": "h"}, "c": "i", "0": "j", "a.b/c": "k", "q\"]": "l", "it's": "m", "": "n", "=": "o", "*": "p"}
  }
}`

func TestPathsLeadToWhatTheyName(t *testing.T) {
	for _, test := range []struct {
		path string
		want string // the texts, one letter each
	}{
		{"spec.image", "a"},
		{"spec[image]", "a"},
		{`spec["image"]`, "a"},
		{"spec.list[*].value", "bcd"},
		{"spec.list[name=x].value", "bd"},
		{"spec.list[name='x'].value", "bd"},
		{`spec.list[name="y"].value`, "c"},
		{"spec.list[value=c].name", "y"},
		{"spec.list[1].value", "c"},
		{"spec.list[3]", "e"},
		{"spec.list[*][0]", "f"},
		{"spec.list[*]", "e"},
		{"spec.map.*.image", "hg"},
		{"spec.map.*", "npjokiml"},
		{"spec.map[a.b/c]", "k"},
		{`spec.map["0"]`, "j"},
		{"spec.map.0", "j"},
		{`spec.map["q\"]"]`, "l"},
		{`spec.map['q"]']`, "l"},
		{`spec.map["it's"]`, "m"},
		{`spec.map[""]`, "n"},
		{`spec.map["="]`, "o"},
		{`spec.map['*']`, "p"},
		{"spec.none.image", ""},
		{"spec.image.deeper", ""},
		{"spec.list.value", ""},
		{"spec.list.*", ""},
		{"spec.map[*]", ""},
		{"spec.map[0]", ""},
		{"spec.list[99]", ""},
		{"spec", ""},
	} {
		t.Run(test.path, func(t *testing.T) {
			p, err := parsePath(test.path)
			if err != nil {
				t.Fatal(err)
			}
			var root any
			if err := json.Unmarshal([]byte(paths), &root); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			p.walk(&site{value: root}, func(at *site) {
				if text, ok := at.value.(string); ok {
					got.WriteString(text)
				}
			})
			if got.String() != test.want {
				t.Errorf("got %q, want %q", got.String(), test.want)
			}
		})
	}
}

func TestPlacesThatMeanNothingAreRefused(t *testing.T) {
	for _, test := range []struct {
		place Place
		says  string
	}{
		{Place{Kind: "App", Path: ""}, `images of App: a path is missing: write one such as "spec.image"`},
		{Place{Group: "x.io", Kind: "App", Path: "/spec/image"}, `images of x.io/App: path "/spec/image": begin with the name of a field`},
		{Place{Kind: "App", Path: "{.spec.image}"}, "begin with the name of a field"},
		{Place{Kind: "App", Path: "$.spec.image"}, "begin with the name of a field"},
		{Place{Kind: "App", Path: ".spec"}, "begin with the name of a field"},
		{Place{Kind: "App", Path: "*"}, "begin with the name of a field"},
		{Place{Kind: "App", Path: "[*].image"}, "begin with the name of a field"},
		{Place{Kind: "App", Path: "spec..image"}, "take one dot away"},
		{Place{Kind: "App", Path: "spec."}, "take one dot away"},
		{Place{Kind: "App", Path: "spec[*"}, "a bracket is not closed"},
		{Place{Kind: "App", Path: `spec["a]`}, "a bracket is not closed"},
		{Place{Kind: "App", Path: `spec["a"`}, "a bracket is not closed"},
		{Place{Kind: "App", Path: "spec['a]"}, "a bracket is not closed"},
		{Place{Kind: "App", Path: "spec[]"}, "write [*]"},
		{Place{Kind: "App", Path: "spec[name=]"}, "write [name=VALUE]"},
		{Place{Kind: "App", Path: "spec[a=b=c].x y"}, `[x y]`},
		{Place{Kind: "App", Path: "spec[*]image"}, "after a bracket comes a dot"},
		{Place{Kind: "App", Path: "spec.a/b"}, "goes into brackets: [a/b]"},
		{Place{Kind: "App", Path: "spec.a]b"}, "goes into brackets"},
		{Place{Kind: "App", Path: "spec[a*]"}, `into quotes: ["a*"]`},
		{Place{Path: "spec.image"}, "the kind is missing"},
		{Place{Group: "apps/v1", Kind: "App", Path: "spec.image"}, "write the group without its version: apps, not apps/v1"},
		{Place{Group: "v1", Kind: "Pod", Path: "spec.image"}, "leave the group of the core kinds empty"},
		{Place{Kind: "Secret", Path: "stringData.image"}, "what is in Secrets is not looked at"},
		{Place{Kind: "App", Path: "spec", PodSpec: true, Prefix: "--image="}, "a pod spec has no prefix"},
		{Place{Kind: "App", Path: "status.image"}, "status says of no image what is to run"},
		{Place{Kind: "App", Path: "kind"}, "kind says of no image what is to run"},
		{Place{Kind: "App", Path: "metadata.name"}, "only metadata.annotations[KEY]"},
		{Place{Kind: "App", Path: "metadata.labels[a]"}, "only metadata.annotations[KEY]"},
	} {
		err := CheckPlace(test.place)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v, want %q", test.place, err, test.says)
		}
		if _, err := (Set{}).Pin(nil, []Place{test.place}); err == nil {
			t.Errorf("%+v: pinning takes it", test.place)
		}
		if got := set(t, everyKind["Pod"]).Images([]Place{test.place}); len(got) != 5 {
			t.Errorf("%+v: it changes what is listed: %v", test.place, got)
		}
	}
	for _, fine := range []Place{
		{Kind: "Pod", Path: "metadata.annotations[sidecar.istio.io/proxyImage]"},
		{Kind: "Pod", Path: "metadata.annotations.*"},
		{Group: "x.io", Kind: "App", Path: "spec[a=b=c].x"},
		{Group: "x.io", Kind: "App", Path: "spec.template", PodSpec: true},
	} {
		if err := CheckPlace(fine); err != nil {
			t.Errorf("%+v: %v", fine, err)
		}
	}
}

// FuzzPaths looks for a path or an object that breaks walking, writes to what it reads, or is told by a path that leads
// elsewhere.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{"spec.list[name=x].value", "spec.map.*.image", `spec["a\"]"]`, "spec.list[*][0]", "a['b']", "a[0][1]", "a..b", "[", "a[b=\"c\"]"} {
		f.Add(path, paths)
	}
	f.Add("a.*.*.*[*][*]", `{"a":{"":{"[":{"]":[[1,"x",null]]}}}}`)
	f.Fuzz(func(t *testing.T, text, object string) {
		var root map[string]any
		p, err := parsePath(text)
		if err != nil || json.Unmarshal([]byte(object), &root) != nil {
			t.Skip()
		}
		before, err := json.Marshal(root)
		if err != nil {
			t.Skip()
		}
		exacts := map[string]bool{}
		p.walk(&site{value: root}, func(at *site) {
			exact := at.exact()
			if exacts[exact] {
				t.Errorf("two places are called %s", exact)
			}
			exacts[exact] = true
			for _, name := range []string{exact, at.readable()} {
				again, err := parsePath(name)
				if err != nil {
					t.Fatalf("%s is said to lead there, and is no path: %v", name, err)
				}
				var found []*site
				again.walk(&site{value: root}, func(s *site) { found = append(found, s) })
				there := slices.ContainsFunc(found, func(s *site) bool { return s.exact() == exact })
				if !there || name == exact && len(found) != 1 {
					t.Errorf("%s leads to %d places, not to %s", name, len(found), exact)
				}
			}
		})
		after, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(before), string(after)); diff != "" {
			t.Error("walking changed the object", diff)
		}
	})
}

// FuzzPlaces looks for a place that spoils what it leads to.
func FuzzPlaces(f *testing.F) {
	f.Add("spec.image", "", false, `{"apiVersion":"x.io/v1","kind":"App","metadata":{"name":"a"},"spec":{"image":"a:1"}}`)
	f.Add("spec.args[*]", "--image=", false, `{"apiVersion":"x.io/v1","kind":"App","metadata":{"name":"a"},"spec":{"args":["--image=a:1","--image="]}}`)
	f.Add("spec", "", true, `{"apiVersion":"x.io/v1","kind":"App","metadata":{"name":"a"},"spec":{"containers":[{"image":"a:1"}],"volumes":[{"image":{"reference":"a:1"}}]}}`)
	f.Add("spec.*", "", true, `{"apiVersion":"x.io/v1","kind":"App","metadata":{"name":"a"},"spec":{"a":{"containers":[{"image":"a:1"}]},"metadata":{"annotations":{"sidecar.istio.io/proxyImage":"a:1"}}}}`)
	f.Add("metadata.annotations.*", "", false, `{"apiVersion":"x.io/v1","kind":"App","metadata":{"name":"a","annotations":{"a":"a:1","belay.dev/images":"a:1"}}}`)
	f.Fuzz(func(t *testing.T, path, prefix string, podSpec bool, text string) {
		o, ok := fuzzedObject(text)
		if !ok {
			t.Skip()
		}
		id := o.ID()
		more := []Place{{Group: id.Group, Kind: id.Kind, Path: path, Prefix: prefix, PodSpec: podSpec}}
		if CheckPlace(more[0]) != nil {
			t.Skip()
		}
		s, err := NewSet(o)
		if err != nil {
			t.Fatal(err)
		}
		before, images := s.Digest(), s.Images(more)
		pins, labels := Pins{}, map[string]bool{}
		for _, image := range images {
			pins[image.Image] = "pinned.example/a@sha256:00"
			labels[image.Container] = true
		}
		if len(labels) != len(images) {
			t.Errorf("%d images are called %v", len(images), labels)
		}
		s.Unpinned(more, nil)
		pinned, err := s.Pin(pins, more)
		if err != nil {
			t.Fatal(err)
		}
		if s.Digest() != before {
			t.Error("the set was written to")
		}
		if len(images) > 0 && pinned.Digest() == before && ImageNames(images)[0] != pins[ImageNames(images)[0]] {
			t.Error("nothing was pinned")
		}
		if pinned.Objects()[0].ID() != id {
			t.Errorf("%s became %s", id, pinned.Objects()[0].ID())
		}
	})
}
