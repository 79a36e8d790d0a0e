// FAULTS, Registry: images in all workloads and in custom resources.

package manifests

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// tableRow is a row of [table], or of [tagged].
type tableRow struct {
	project, group string
	kinds, paths   []string
}

// customRows are all rows but those of Kubernetes itself, whose kinds have tests of their own.
func customRows() []tableRow {
	var rows []tableRow
	for _, row := range table {
		if row.project != "Kubernetes" {
			rows = append(rows, tableRow{row.project, row.group, strings.Fields(row.kinds), strings.Fields(row.podSpecs + " " + row.images)})
		}
	}
	for _, row := range tagged {
		rows = append(rows, tableRow{row.project, row.group, strings.Fields(row.kinds), strings.Fields(row.images)})
	}
	return rows
}

// kindsOfTestdata is the text of each object of testdata/kinds.yaml.
func kindsOfTestdata(t testing.TB) map[schema.GroupKind]string {
	t.Helper()
	text, err := os.ReadFile("testdata/kinds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[schema.GroupKind]string{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		kind := content(t, document).GroupVersionKind().GroupKind()
		if objects[kind] != "" {
			t.Fatalf("two objects are %s", kind)
		}
		objects[kind] = document
	}
	return objects
}

var (
	pinnable = regexp.MustCompile(`img\.example/[^"]+`)
	kept     = regexp.MustCompile(`kept\.example/[^"]+`)
)

// everyDigest is pins for every image of a text that has one of img.example.
func everyDigest(text string) Pins {
	pins := Pins{}
	for i, image := range pinnable.FindAllString(text, -1) {
		pins[image] = strings.Split(image, ":")[0] + "@sha256:" + strings.Repeat(string("0123456789abcdef"[i%16]), 64)
	}
	return pins
}

func TestEveryPathOfTheTableLeadsToAnImageOfItsKind(t *testing.T) {
	objects := kindsOfTestdata(t)
	tested := map[schema.GroupKind]bool{}
	for _, row := range customRows() {
		gk := schema.GroupKind{Group: row.group, Kind: row.kinds[0]}
		tested[gk] = true
		if objects[gk] == "" {
			t.Errorf("%s: testdata/kinds.yaml has no %s", row.project, gk)
			continue
		}
		root := &site{value: content(t, objects[gk]).Object}
		reached := map[string]bool{}
		for _, text := range row.paths {
			mustParse(text).walk(root, func(*site) {
				for _, part := range parts(row.project, text) {
					reached[part] = true
				}
			})
		}
		for _, text := range row.paths {
			for _, part := range parts(row.project, text) {
				if !reached[part] {
					t.Errorf("%s: %s of testdata/kinds.yaml has nothing at %s", row.project, gk, part)
				}
			}
		}
	}
	for gk := range objects {
		if !tested[gk] {
			t.Errorf("testdata/kinds.yaml has a %s, the table has no row that begins with it", gk)
		}
	}
}

// parts is the path; of Argo's workflows, whose many templates have the same fields, the template and the field.
func parts(project, path string) []string {
	for field := range strings.FieldsSeq(argoTemplate) {
		if template, ok := strings.CutSuffix(path, "."+field); ok && project == "Argo Workflows" {
			return []string{template, field}
		}
	}
	return []string{path}
}

func TestTheImagesOfEveryKindOfTheTable(t *testing.T) {
	objects := kindsOfTestdata(t)
	for _, row := range customRows() {
		first := schema.GroupKind{Group: row.group, Kind: row.kinds[0]}
		for _, kind := range row.kinds {
			text := strings.Replace(objects[first], "kind: "+row.kinds[0], "kind: "+kind, 1)
			t.Run(row.group+" "+kind, func(t *testing.T) { checkImages(t, text) })
		}
	}
}

// checkImages wants the images of img.example found and pinned, and nothing else changed; and those of kept.example told
// with a reason.
func checkImages(t *testing.T, text string) {
	s := set(t, text)
	before := s.Digest()
	var got []string
	for _, image := range s.Images(nil) {
		got = append(got, image.Image)
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(pinnable.FindAllString(text, -1)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("listed:", diff)
	}
	pins := everyDigest(text)
	pinned, err := s.Pin(pins, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Digest() != before {
		t.Error("pinning changed the set")
	}
	images := checkPinned(t, text, pins, pinned)
	if got := slices.Sorted(maps.Values(images)); !slices.Equal(got, want) {
		t.Errorf("%s keeps %v, want %v", AnnotationImages, got, want)
	}
	var left []string
	for _, u := range pinned.Unpinned(nil, nil) {
		if !isFilledIn(u.Image) {
			left = append(left, u.Image)
		}
		if u.Reason == "" || u.Reason == "it is not resolved" {
			t.Errorf("%s is left with the reason %q", u.Image, u.Reason)
		}
	}
	if diff := cmp.Diff(kept.FindAllString(text, -1), left); diff != "" {
		t.Error("left:", diff)
	}
}

// checkPinned wants what Git has with the images replaced and the annotation added; it answers the annotation.
func checkPinned(t *testing.T, text string, pins Pins, pinned Set) map[string]string {
	got := pinned.Objects()[0]
	images := map[string]string{}
	if annotation := got.Annotation(AnnotationImages); annotation != "" {
		if err := json.Unmarshal([]byte(annotation), &images); err != nil {
			t.Fatal(err)
		}
	}
	for image, digest := range pins {
		text = strings.ReplaceAll(text, `"`+image+`"`, `"`+digest+`"`)
	}
	want := content(t, text)
	if len(images) > 0 {
		setAnnotation(want, AnnotationImages, got.Annotation(AnnotationImages))
	}
	if diff := cmp.Diff(want.Object, got.Unstructured().Object); diff != "" {
		t.Error("pinned:", diff)
	}
	return images
}

func TestTheTableCountsInAnyVersionOfAKindAndInNoOtherGroup(t *testing.T) {
	rollout := kindsOfTestdata(t)[schema.GroupKind{Group: "argoproj.io", Kind: "Rollout"}]
	if got := set(t, strings.Replace(rollout, "v1alpha1", "v7", 1)).Images(nil); len(got) != 1 {
		t.Errorf("another version has the images %v", got)
	}
	if got := set(t, strings.Replace(rollout, "argoproj.io", "example.org", 1)).Images(nil); len(got) != 0 {
		t.Errorf("another group has the images %v", got)
	}
}

func TestImagesOfOneObjectAreToldApart(t *testing.T) {
	objects := kindsOfTestdata(t)
	for gk, want := range map[schema.GroupKind][]string{
		{Group: "argoproj.io", Kind: "Rollout"}: {"cart"},
		{Group: "argoproj.io", Kind: "Experiment"}: {
			"spec.templates[name=baseline].template.spec.containers[name=cart].image",
			"spec.templates[name=canary].template.spec.containers[name=cart].image",
		},
		{Group: "kubeflow.org", Kind: "PyTorchJob"}: {
			"spec.pytorchReplicaSpecs.Master.template.spec.containers[name=pytorch].image",
			"spec.pytorchReplicaSpecs.Worker.template.spec.initContainers[name=fetch].image",
			"spec.pytorchReplicaSpecs.Worker.template.spec.containers[name=pytorch].image",
		},
		{Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet"}: {
			"vllm", "spec.leaderWorkerTemplate.workerTemplate.spec.containers[0].image",
		},
		{Group: "monitoring.coreos.com", Kind: "Prometheus"}: {"spec.image", "spec.thanos.image", "setup", "proxy"},
		{Group: "tekton.dev", Kind: "Pipeline"}: {
			"spec.tasks[name=test].taskSpec.stepTemplate.image",
			"spec.tasks[name=test].taskSpec.steps[name=test].image", "spec.tasks[name=test].taskSpec.steps[1].image",
			"spec.tasks[name=test].taskSpec.sidecars[name=db].image", "spec.finally[name=tell].taskSpec.stepTemplate.image",
			"spec.finally[name=tell].taskSpec.steps[name=test].image", "spec.finally[name=tell].taskSpec.sidecars[name=db].image",
		},
	} {
		var got []string
		for _, image := range set(t, objects[gk]).Images(nil) {
			got = append(got, image.Container)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(gk, diff)
		}
	}
}

func TestEntriesWithTheSameNameAreToldByTheirIndex(t *testing.T) {
	const text = `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: a}
spec: {templates: [{name: a, container: {image: "img.example/a:1"}}, {name: a, container: {image: "img.example/a:2"}}]}`
	s, err := set(t, text).Pin(everyDigest(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"spec.templates[1].container.image":"img.example/a:2","spec.templates[name=a].container.image":"img.example/a:1"}`
	if got := s.Objects()[0].Annotation(AnnotationImages); got != want {
		t.Errorf("%s is %s", AnnotationImages, got)
	}
}
