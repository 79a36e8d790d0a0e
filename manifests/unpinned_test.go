// FAULTS, Registry: images in all workloads and in custom resources.

package manifests

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

type unpinned struct{ Where, Image, Reason string }

func left(s Set, pins Pins, more []Place, why func(string) string) []unpinned {
	pinned, err := s.Pin(pins, more)
	if err != nil {
		panic(err)
	}
	var all []unpinned
	for _, u := range pinned.Unpinned(more, why) {
		all = append(all, unpinned{u.Where, u.Image, u.Reason})
	}
	return all
}

func TestWhatHasNeitherAPinNorADigestIsUnpinned(t *testing.T) {
	s := set(t, `
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers: [{name: a, image: "acme/a:1"}, {name: b, image: "acme/b:1"}, {name: c, image: "acme/c:1`+digest+`"}, {name: d, image: "local/d:1"}, {name: e}]
  volumes: [{name: v, image: {reference: "acme/v:1"}}]`)
	pins := Pins{"acme/a:1": "acme/a" + digest}
	why := func(image string) string {
		if MatchesAny(image, []string{"local/*"}) {
			return "it is excluded by spec.images.exclude"
		}
		return ""
	}
	want := []unpinned{
		{"container b", "acme/b:1", "it is not resolved"}, {"container d", "local/d:1", "it is excluded by spec.images.exclude"},
		{"volume v", "acme/v:1", "it is not resolved"},
	}
	if diff := cmp.Diff(want, left(s, pins, nil, why)); diff != "" {
		t.Error(diff)
	}
	t.Run("and nobody need say why", func(t *testing.T) {
		if got := left(s, pins, nil, nil); len(got) != 3 || got[1].Reason != "it is not resolved" {
			t.Errorf("got %v", got)
		}
	})
}

func TestAnObjectThatIsNotToBeResolvedSaysSo(t *testing.T) {
	s := set(t, `
apiVersion: v1
kind: Pod
metadata: {name: a, annotations: {belay.dev/resolve: disabled}}
spec: {containers: [{name: a, image: "acme/a:1"}]}`, `
apiVersion: example.org/v1
kind: App
metadata: {name: a, annotations: {belay.dev/resolve: disabled}}
spec: {image: "acme/a:1"}`)
	want := []unpinned{
		{"container a", "acme/a:1", "belay.dev/resolve is disabled on the object"},
		{"spec.image", "acme/a:1", "belay.dev/resolve is disabled on the object"},
	}
	got := left(s, Pins{"acme/a:1": "acme/a" + digest}, nil, func(string) string { return "never" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatReadsLikeAnImageInUnknownKindsIsTold(t *testing.T) {
	s := set(t, `
apiVersion: example.org/v1
kind: App
metadata: {name: a, annotations: {image: "acme/annotation:1"}}
image: "acme/top:1"
spec:
  containers: [{name: web, image: "acme/web:1", args: ["--image=acme/arg:1"], env: [{name: IMAGE, value: "acme/env:1"}]}, {image: ghcr.io/acme/unnamed}]
  proxyImage: "localhost:5000/proxy"
  imageName: "acme/name:1"
  pinnedImage: "acme/pinned:1`+digest+`"
  image: {repository: acme/repository, tag: "1"}
  imagePullPolicy: "acme/policy:1"
  background: {image: "cdn.example.org/picture.png"}
  cloud: {image: "projects/debian/global/images/debian-12"}
  machine: {image: "ami-0123"}
  link: {image: "https://example.org/image:1"}
  sentence: {image: "the image: of an app"}
  template: {image: "{{ .image }}:1"}
  number: {image: 7}
  named: {image: "acme/named:1"}
status: {image: "acme/status:1"}`)
	more := []Place{{Group: "example.org", Kind: "App", Path: "spec.named.image"}}
	const reason = "belay does not know this field; name it in spec.images.paths"
	want := []unpinned{
		{"spec.named.image", "acme/named:1", "it is not resolved"},
		{"image", "acme/top:1", reason},
		{"spec.containers[name=web].image", "acme/web:1", reason},
		{"spec.containers[1].image", "ghcr.io/acme/unnamed", reason},
		{"spec.imageName", "acme/name:1", reason},
		{"spec.proxyImage", "localhost:5000/proxy", reason},
	}
	if diff := cmp.Diff(want, left(s, nil, more, nil)); diff != "" {
		t.Error(diff)
	}
	if got := s.Images(nil); len(got) != 0 {
		t.Errorf("what only reads like an image is to be resolved: %v", got)
	}
}

func TestNothingIsGuessedInTheKindsOfKubernetes(t *testing.T) {
	for _, head := range []string{
		"apiVersion: v1\nkind: ConfigMap", "apiVersion: v1\nkind: Secret", "apiVersion: apps/v1\nkind: Deployment",
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role",
		"apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration", "apiVersion: belay.dev/v1alpha1\nkind: Sync",
		"apiVersion: tekton.dev/v1\nkind: Task",
	} {
		s := set(t, head+"\nmetadata: {name: a}\ndata: {image: \"acme/a:1\"}\nspec: {other: {image: \"acme/a:1\"}}")
		if got := left(s, nil, nil, nil); len(got) != 0 {
			t.Errorf("%s: %v", head, got)
		}
	}
}

// Istio's webhook replaces the word when the pod is made; a registry would be asked for docker.io/library/auto.
func TestTheImageOfAnInjectedContainerIsNone(t *testing.T) {
	gateway := func(name, metadata, image string) Set {
		return set(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, labels: {sidecar.istio.io/inject: "true"}}
spec:
  template:
    metadata: {`+metadata+`}
    spec: {containers: [{name: `+name+`, image: `+image+`}]}`)
	}
	const label, annotation, neither = `labels: {sidecar.istio.io/inject: "true"}`, `annotations: {inject.istio.io/templates: gateway}`, `labels: {app: a}`
	for _, s := range []Set{gateway("a", label, "auto"), gateway("a", annotation, "auto"), gateway("istio-proxy", neither, "auto")} {
		if got := s.Images(nil); len(got) != 0 {
			t.Errorf("listed: %v", got)
		}
		pinned, err := s.Pin(Pins{"auto": "auto" + digest}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if pinned.Digest() != s.Digest() {
			t.Error("pinned")
		}
		got := left(s, Pins{"auto": "auto" + digest}, nil, nil)
		if len(got) != 1 || got[0].Image != "auto" || got[0].Reason != "Istio writes the image when it makes the pod" {
			t.Errorf("got %v", got)
		}
	}
	for _, s := range []Set{gateway("a", neither, "auto"), gateway("istio-proxy", label, "acme/auto"), gateway("a", label, "acme/a:1")} {
		if got := s.Images(nil); len(got) != 1 {
			t.Errorf("an image like others is not listed: %v", contents(s))
		}
	}
}

// What has no slash is put between the registry and the tag of Istio's own settings.
func TestAProxyWithoutARegistryIsLeftToIstio(t *testing.T) {
	s := set(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {sidecar.istio.io/proxyImage: proxyv2}}\nspec: {containers: []}")
	want := []unpinned{{"annotation sidecar.istio.io/proxyImage", "proxyv2", "Istio adds its own registry and tag"}}
	if diff := cmp.Diff(want, left(s, nil, nil, nil)); diff != "" {
		t.Error(diff)
	}
	if got := s.Images(nil); len(got) != 0 {
		t.Errorf("listed: %v", got)
	}
}

func TestParametersAreNoImages(t *testing.T) {
	const path = "spec.template.spec.containers[*].args[*]"
	s := set(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {template: {spec: {containers: [{name: a, image: "$(IMAGE)", args: ["--image=$(IMAGE)", "--image=acme/a:1"]}]}}}`)
	more := []Place{{Group: "apps", Kind: "Deployment", Path: path, Prefix: "--image="}}
	if diff := cmp.Diff([]string{"$(IMAGE)", "acme/a:1"}, ImageNames(s.Images(more))); diff != "" {
		t.Error("Kubernetes fills in args, but no image of a pod", diff)
	}
	want := []unpinned{
		{"container a", "$(IMAGE)", "it is not resolved"},
		{"spec.template.spec.containers[name=a].args[0]", "$(IMAGE)", "it is filled in when it runs"},
		{"spec.template.spec.containers[name=a].args[1]", "acme/a:1", "it is not resolved"},
	}
	if diff := cmp.Diff(want, left(s, nil, more, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestMatchesAny(t *testing.T) {
	for _, test := range []struct {
		image, pattern string
		want           bool
	}{
		{"registry.local/a/b:1", "registry.local/*", true},
		{"registry.local/a/b:1", "registry.local/*:1", true},
		{"registry.local/a/b:1", "registry.local/*:2", false},
		{"registry.local/a/b:1", "*", true},
		{"registry.local/a/b:1", "*/b:*", true},
		{"registry.local/a/b:1", "*b*a*", false},
		{"registry.local/a/b:1", "registry.local/a/b", false},
		{"registry.local/a/b:1", "registry.local/a/b:1", true},
		{"registry.local/a/b:1", "", false},
		{"registry.localhost/a:1", "registry.local/*", false},
		{"aba", "ab*ba", false},
		{"abba", "ab*ba", true},
		{"a.b/axb", "a.b/a.b", false},
		{"nginx:1.25", "nginx:*", true},
		{"nginx:1.25", "docker.io/*", true},
		{"nginx:1.25", "docker.io/library/*", true},
		{"acme/cart:1", "docker.io/acme/*", true},
		{"acme/cart:1", "docker.io/library/*", false},
		{"acme/cart:1", "acme/*", true},
		{"docker.io/nginx:1.25", "docker.io/library/nginx:*", true},
		{"docker.io/nginx:1.25", "nginx:*", false},
		{"localhost/a:1", "docker.io/*", false},
		{"registry:5000/a:1", "docker.io/*", false},
		{"ghcr.io/acme/cart:1", "docker.io/*", false},
		{"nginx:1.25" + digest, "nginx:*", true},
	} {
		if got := MatchesAny(test.image, []string{"other/*", test.pattern}); got != test.want {
			t.Errorf("%s and %s: %v", test.image, test.pattern, got)
		}
	}
	if MatchesAny("a", nil) {
		t.Error("nothing excludes")
	}
}
