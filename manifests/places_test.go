package manifests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const runner = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: runner, namespace: ci, annotations: {image: "acme/annotated:1"}}
spec:
  template:
    spec:
      containers:
      - name: manager
        image: "acme/manager:1"
        args: ["--verbose", "--image=ghcr.io/acme/worker:2", "--image=", "image=acme/not:1"]
        env: [{name: RUNNER_IMAGE, value: "acme/runner:3"}, {name: OTHER, value: "acme/other:1"}]
`

var runnerPlaces = []Place{
	{Group: "apps", Kind: "Deployment", Path: "spec.template.spec.containers[name=manager].args[*]", Prefix: "--image="},
	{Group: "apps", Kind: "Deployment", Path: "spec.template.spec.containers[*].env[name=RUNNER_IMAGE].value"},
	{Group: "apps", Kind: "Deployment", Path: "metadata.annotations[image]"},
	{Group: "apps", Kind: "Deployment", Path: "spec.template.spec.containers[*].image"}, // the table has it already
	{Group: "apps", Kind: "Deployment", Path: "spec.template.spec", PodSpec: true},      // this one as well
	{Group: "example.org", Kind: "Deployment", Path: "spec.template.spec.containers[*].name"},
}

func TestAddedPlacesAreListedAndPinned(t *testing.T) {
	s := set(t, runner)
	before := s.Digest()
	var got []listed
	for _, image := range s.Images(runnerPlaces) {
		got = append(got, listed{image.Where(), image.Image})
	}
	want := []listed{
		{"container manager", "acme/manager:1"},
		{"spec.template.spec.containers[name=manager].args[1]", "ghcr.io/acme/worker:2"},
		{"spec.template.spec.containers[name=manager].env[name=RUNNER_IMAGE].value", "acme/runner:3"},
		{"metadata.annotations.image", "acme/annotated:1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	pins := Pins{}
	text := runner
	for i, image := range ImageNames(s.Images(runnerPlaces)) {
		pins[image] = fmt.Sprintf("%s@sha256:%064d", strings.Split(image, ":")[0], i)
		text = strings.ReplaceAll(text, image, pins[image])
	}
	pinned, err := s.Pin(pins, runnerPlaces)
	if err != nil {
		t.Fatal(err)
	}
	if s.Digest() != before {
		t.Error("pinning changed the set")
	}
	expected := content(t, text)
	setAnnotation(expected, AnnotationImages, `{"manager":"acme/manager:1","metadata.annotations.image":"acme/annotated:1",`+
		`"spec.template.spec.containers[name=manager].args[1]":"ghcr.io/acme/worker:2",`+
		`"spec.template.spec.containers[name=manager].env[name=RUNNER_IMAGE].value":"acme/runner:3"}`)
	if diff := cmp.Diff(expected.Object, pinned.Objects()[0].Unstructured().Object); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutAddedPlacesArgsAndVariablesAreLeftAlone(t *testing.T) {
	if diff := cmp.Diff([]listed{{"manager", "acme/manager:1"}}, places(set(t, runner))); diff != "" {
		t.Error(diff)
	}
}

func TestAnAddedPlaceCountsMoreThanTheTablesReasonToLeaveIt(t *testing.T) {
	cluster := set(t, kindsOfTestdata(t)[schema.GroupKind{Group: "postgresql.cnpg.io", Kind: "Cluster"}])
	more := []Place{{Group: "postgresql.cnpg.io", Kind: "Cluster", Path: "spec.imageName"}}
	if got := ImageNames(cluster.Images(more)); !cmp.Equal(got, []string{"kept.example/postgresql:16.2"}) {
		t.Errorf("listed: %v", got)
	}
	pins := Pins{"kept.example/postgresql:16.2": "kept.example/postgresql" + digest}
	pinned, err := cluster.Pin(pins, more)
	if err != nil {
		t.Fatal(err)
	}
	if got := pinned.Unpinned(more, nil); len(got) != 0 {
		t.Errorf("unpinned: %v", got)
	}
	if image, _, _ := unstructured.NestedString(pinned.Objects()[0].Unstructured().Object, "spec", "imageName"); image != pins["kept.example/postgresql:16.2"] {
		t.Errorf("pinned to %s", image)
	}
}

func TestTheProxyThatATemplateAsksIstioForIsAnImage(t *testing.T) {
	const annotations = `metadata: {annotations: {sidecar.istio.io/proxyImage: "acme/proxyv2:1"}}`
	for kind, want := range map[string]string{
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {" + annotations + ", spec: {imagePullSecrets: [{name: r}]}}}":                            "annotation sidecar.istio.io/proxyImage",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {sidecar.istio.io/proxyImage: \"acme/proxyv2:1\"}}\nspec: {imagePullSecrets: [r]}":                         "annotation sidecar.istio.io/proxyImage",
		"apiVersion: kubeflow.org/v1\nkind: TFJob\nmetadata: {name: a}\nspec: {tfReplicaSpecs: {PS: {template: {" + annotations + ", spec: {imagePullSecrets: [{name: r}]}}}}}": "spec.tfReplicaSpecs.PS.template.metadata.annotations[sidecar.istio.io/proxyImage]",
	} {
		s := set(t, kind)
		got := s.Images(nil)
		if len(got) != 1 || got[0].Image != "acme/proxyv2:1" || got[0].Where() != want || !cmp.Equal(got[0].PullSecrets, []string{"r"}) {
			t.Errorf("%s: %+v", kind, got)
		}
		pinned, err := s.Pin(Pins{"acme/proxyv2:1": "acme/proxyv2" + digest}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := ImageNames(pinned.Images(nil)); !cmp.Equal(got, []string{"acme/proxyv2" + digest}) {
			t.Errorf("%s: pinned: %v", kind, got)
		}
	}
}

func TestWhatPullsAnImageStandsInThePodSpecOrAroundTheField(t *testing.T) {
	type puller struct {
		Secrets []string
		Account string
	}
	objects := kindsOfTestdata(t)
	kind := func(group, kind string) string { return objects[schema.GroupKind{Group: group, Kind: kind}] }
	pod := func(fields string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}], " + fields + "}"
	}
	for _, test := range []struct {
		text, image string
		want        puller
	}{
		{pod("x: y"), "a", puller{}},
		{pod("imagePullSecrets: [{name: r}, {name: s}], serviceAccountName: cart"), "a", puller{[]string{"r", "s"}, "cart"}},
		{pod("serviceAccount: cart"), "a", puller{nil, "cart"}},
		{pod("serviceAccount: old, serviceAccountName: new"), "a", puller{nil, "new"}},
		{pod("serviceAccountName: default"), "a", puller{}},
		{pod("imagePullSecrets: [{name: \"\"}, {}, 7, null], serviceAccountName: 7"), "a", puller{}},
		{pod("imagePullSecrets: text"), "a", puller{}},
		{kind("monitoring.coreos.com", "Prometheus"), "img.example/prometheus:v2.51.0", puller{[]string{"registry"}, "prometheus-k8s"}},
		{kind("monitoring.coreos.com", "Prometheus"), "img.example/thanos:v0.34.0", puller{[]string{"registry"}, "prometheus-k8s"}},
		{kind("monitoring.coreos.com", "Prometheus"), "img.example/proxy:1", puller{[]string{"registry"}, "prometheus-k8s"}},
		{kind("sparkoperator.k8s.io", "SparkApplication"), "img.example/spark:3.5", puller{[]string{"registry"}, ""}},
		{kind("sparkoperator.k8s.io", "SparkApplication"), "img.example/log:1", puller{[]string{"registry"}, "spark"}},
		{kind("tekton.dev", "TaskRun"), "img.example/kaniko:1", puller{nil, "builder"}},
		{kind("argoproj.io", "Rollout"), "img.example/cart:1", puller{}},
	} {
		found := false
		for _, image := range set(t, test.text).Images(nil) {
			if image.Image == test.image {
				found = true
				if diff := cmp.Diff(test.want, puller{image.PullSecrets, image.ServiceAccount}); diff != "" {
					t.Errorf("%s\n%s: %s", test.text, test.image, diff)
				}
			}
		}
		if !found {
			t.Errorf("%s\nhas no %s", test.text, test.image)
		}
	}
}

func BenchmarkImagesOf3000Objects(b *testing.B) {
	s := set(b, everyKind["Deployment"])
	var objects []Object
	for i := range 3000 {
		u := s.Objects()[0].Unstructured()
		u.SetName(fmt.Sprintf("cart-%d", i))
		o, err := NewObject(u, "deploy.yaml")
		if err != nil {
			b.Fatal(err)
		}
		objects = append(objects, o)
	}
	many, err := NewSet(objects...)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if got := len(many.Images(runnerPlaces)); got != 15000 {
			b.Fatal(got)
		}
	}
}
