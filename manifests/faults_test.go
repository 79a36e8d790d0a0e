package manifests

// Each of these failed once.

import (
	"strings"
	gosync "sync"
	"testing"
)

// An unquoted number among the labels is a common slip. The API server refuses it; belay, adding its own labels,
// drops all that are there instead, without a word.
func TestLabelsThatAreNoTextAreNotDroppedSilently(t *testing.T) {
	const text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cart, labels: {app: cart, release: 2}}"
	o, err := NewObject(content(t, text), "cart.yaml")
	if err != nil {
		return // refused: as good
	}
	s, err := NewSet(o)
	if err != nil {
		t.Fatal(err)
	}
	owned, err := s.OwnedBy("team", "shop")
	if err != nil {
		return
	}
	labels, _ := owned.Objects()[0].Unstructured().Object["metadata"].(map[string]any)["labels"].(map[string]any)
	if labels["app"] != "cart" {
		t.Errorf("the labels were %q and are %v", "{app: cart, release: 2}", labels)
	}
}

// The same with annotations, when an image is pinned.
func TestAnnotationsThatAreNoTextAreNotDroppedSilently(t *testing.T) {
	const text = `{apiVersion: v1, kind: Pod, metadata: {name: cart, annotations: {team: shop, port: 8080}}, spec: {containers: [{name: c, image: a}]}}`
	o, err := NewObject(content(t, text), "cart.yaml")
	if err != nil {
		return
	}
	s, err := NewSet(o)
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := s.Pin(Pins{"a": "a@sha256:01"}, nil)
	if err != nil {
		return
	}
	annotations, _ := pinned.Objects()[0].Unstructured().Object["metadata"].(map[string]any)["annotations"].(map[string]any)
	if annotations["team"] != "shop" {
		t.Errorf("the annotations are %v", annotations)
	}
}

// `annotations:` with nothing behind it is what many templates render to.
func TestATemplateWithEmptyAnnotationsIsStamped(t *testing.T) {
	for _, empty := range []string{"metadata: {annotations: null}", "metadata: null"} {
		text := strings.Replace(controller, "metadata: {labels: {app: cart}, annotations: {a: b}}", empty, 1)
		after, err := set(t, text).StampTemplates()
		if err != nil {
			t.Errorf("%s: %v", empty, err)
			continue
		}
		if mark(after.Objects()[0]) == "" {
			t.Errorf("%s: not stamped", empty)
		}
	}
}

// A value can be read from everywhere at once; -race tells if reading it wrote to it.
func TestImagesAreReadSideBySide(t *testing.T) {
	s := set(t, everyKind["Deployment"])
	var group gosync.WaitGroup
	for range 4 {
		group.Go(func() {
			_ = s.Images(nil)
			_ = s.Digest()
		})
	}
	group.Wait()
}
