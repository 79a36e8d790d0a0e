package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

var imagesNow = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// sha is a digest of one digit.
func sha(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func TestImagesAreThoseOfTheReleaseAndWhatTheStatusAdds(t *testing.T) {
	s := &v1alpha1.Sync{}
	s.Namespace, s.Name = "shop", "shop"
	s.Status.Deployed = &v1alpha1.Deployed{Release: 2, Commit: "2222"}
	hour := metav1.NewTime(imagesNow.Add(-time.Hour))
	s.Status.Images = []v1alpha1.PinnedImage{
		{Image: "cart:1", Digest: sha("1"), ResolvedAt: hour, Credentials: "Secret shop/r", FromRelease: 1, Missing: true},
		{Image: "till:1", Digest: sha("9"), Missing: true}, // of another digest than the release's
	}
	s.Status.Unpinned = []v1alpha1.UnpinnedImage{{Object: "Job/shop/seed", Where: "spec.x", Image: "a:1", Reason: "excluded"}}
	unpinned := []unpinnedImage{{Object: "Job/shop/seed", Where: "spec.x", Image: "a:1", Reason: "excluded"}}
	at, earlier := imagesNow.Add(-time.Minute), hour.UTC()
	release := &manifests.Release{Number: 3, Commit: manifests.Commit{Hash: "3333"},
		Pins: manifests.Pins{"till:1": "till@" + sha("2"), "cart:1": "cart@" + sha("1"), "x@" + sha("3"): "x@" + sha("3")},
		Resolved: map[string]manifests.Resolution{"till:1": {At: at, Credentials: "Secret shop/t", Release: 2},
			"x@" + sha("3"): {}},
	}
	for _, test := range []struct {
		name    string
		release *manifests.Release
		want    imagesReport
	}{
		{"of the release", release, imagesReport{Namespace: "shop", Name: "shop", Release: 3, Commit: "3333", Unpinned: unpinned, Images: []imageReport{
			{Image: "cart:1", Digest: sha("1"), Runs: "cart@" + sha("1"), ResolvedAt: &earlier, Missing: true, Pods: []podReport{}},
			{Image: "till:1", Digest: sha("2"), Runs: "till@" + sha("2"), ResolvedAt: &at, Credentials: "Secret shop/t", FromRelease: 2, Pods: []podReport{}},
			{Image: "x@" + sha("3"), Digest: sha("3"), Runs: "x@" + sha("3"), Pods: []podReport{}},
		}}},
		{"of the status alone", nil, imagesReport{Namespace: "shop", Name: "shop", Release: 2, Commit: "2222", Unpinned: unpinned, Images: []imageReport{
			{Image: "cart:1", Digest: sha("1"), Runs: "cart@" + sha("1"), ResolvedAt: &earlier, Credentials: "Secret shop/r", FromRelease: 1, Missing: true, Pods: []podReport{}},
			{Image: "till:1", Digest: sha("9"), Runs: "till@" + sha("9"), Missing: true, Pods: []podReport{}},
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, newImagesReport(s, test.release)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPodsAreFoundForTheirImages(t *testing.T) {
	deployment := objectsOf(t, map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"namespace": "shop", "name": "web"}}).Objects()[0]
	pin, digest := "cart@"+sha("1"), sha("1")
	where := []manifests.Image{{Object: deployment, Container: "web", Image: pin}, {Object: deployment, Container: "log", Image: "log@" + sha("2")}}
	container := func(pod, name, image, imageID string, started bool) cluster.Container {
		return cluster.Container{Object: deployment.ID(), Namespace: "shop", Pod: pod, Node: "n1", Name: name, Image: image, ImageID: imageID, Started: started}
	}
	for _, test := range []struct {
		name       string
		containers []cluster.Container
		want       []podState
		count      string
	}{
		{"the digest runs", []cluster.Container{container("a", "web", pin, "docker.io/library/cart@"+digest, true)}, []podState{podRuns}, "1/1"},
		{"under the digest of its platform", []cluster.Container{container("a", "web", pin, "docker.io/library/cart@"+sha("7"), true)}, []podState{podRuns}, "1/1"},
		{"as Docker says", []cluster.Container{container("a", "web", "cart:1", "docker-pullable://cart@"+digest, true)}, []podState{podRuns}, "1/1"},
		{"it is still pulled", []cluster.Container{container("a", "web", pin, "", false), container("b", "web", pin, "x@"+digest, true)}, []podState{podWaits, podRuns}, "1/2"},
		{"an older pod has another", []cluster.Container{container("a", "web", "cart@"+sha("0"), "cart@"+sha("0"), true), container("b", "web", pin, "", true)},
			[]podState{podAnother, podRuns}, "1/1, 1 with another"},
		{"a container that only the pod has", []cluster.Container{container("a", "istio-proxy", "istio:1", "istio@"+sha("5"), true)}, nil, "0/0"},
		{"a container that an operator has named", []cluster.Container{container("a", "prometheus", pin, "", true)}, []podState{podRuns}, "1/1"},
		{"twice in a pod, of which one does not run", []cluster.Container{container("a", "web", pin, "", true), container("a", "init", pin, "", false)}, []podState{podRuns, podWaits}, "0/1"},
		{"another image's containers", []cluster.Container{container("a", "log", "log@"+sha("2"), "", true)}, nil, "0/0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report := imagesReport{Images: []imageReport{{Image: "cart:1", Digest: digest, Runs: pin}}}
			report.addPods(where, test.containers)
			var states []podState
			for _, pod := range report.Images[0].Pods {
				states = append(states, pod.State)
			}
			if diff := cmp.Diff(test.want, states); diff != "" {
				t.Error(diff)
			}
			if got := count(report.Images[0].Pods).String(); got != test.count {
				t.Errorf("counted %s, want %s", got, test.count)
			}
		})
	}
}

func TestATagIsUnchangedMovedUnknownOrNone(t *testing.T) {
	report := imagesReport{Images: []imageReport{
		{Image: "same:1", Digest: sha("1")}, {Image: "moved:1", Digest: sha("1")}, {Image: "refused:1", Digest: sha("1")},
		{Image: "silent:1", Digest: sha("1")}, {Image: "fixed:1@" + sha("1"), Digest: sha("1")},
	}}
	found := map[string]registry.Resolution{"same:1": {Digest: sha("1")}, "moved:1": {Digest: sha("2")}}
	report.addTags(found, errors.Join(&registry.Error{Image: "refused:1", Detail: "the credentials were refused"}, errors.New("no answer")), imagesNow)
	want := []tagReport{
		{State: tagUnchanged, Digest: sha("1"), At: imagesNow}, {State: tagMoved, Digest: sha("2"), At: imagesNow},
		{State: tagUnknown, Reason: "the credentials were refused", At: imagesNow},
		{State: tagUnknown, Reason: "resolving refused:1: the credentials were refused\nno answer", At: imagesNow},
		{State: tagNone, Digest: sha("1"), At: imagesNow},
	}
	var got []tagReport
	for _, image := range report.Images {
		got = append(got, *image.Tag)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// fullReport is a report with something in every field.
func fullReport() imagesReport {
	at := imagesNow.Add(-50 * time.Hour)
	return imagesReport{Namespace: "shop", Name: "shop", Release: 3, Commit: "3333",
		Images: []imageReport{
			{Image: "cart:1", Digest: "sha256:8704a1b2c3d4e5f6", Runs: "cart@sha256:8704a1b2c3d4e5f6", ResolvedAt: &at, FromRelease: 2, Credentials: "Secret shop/r\x1b", Missing: true,
				Tag: &tagReport{State: tagMoved, Digest: "sha256:0011223344556677", At: imagesNow}, Pods: []podReport{
					{Namespace: "shop", Pod: "cart-1", Node: "n1", Container: "web", Image: "cart@sha256:8704a1b2c3d4e5f6", ImageID: "cart@sha256:8704a1b2c3d4e5f6", State: podRuns}}},
			{Image: "till:1", Digest: sha("2"), Runs: "till@" + sha("2"), ResolvedAt: &at, Tag: &tagReport{State: tagUnknown, Reason: "no\nanswer", At: imagesNow}, Pods: []podReport{}},
			{Image: "x@" + sha("3"), Digest: sha("3"), Runs: "x@" + sha("3"), Tag: &tagReport{State: tagNone, At: imagesNow}, Pods: []podReport{}},
			{Image: "y:1", Digest: sha("4"), Runs: "y@" + sha("4"), ResolvedAt: &imagesNow, Tag: &tagReport{State: tagUnchanged, At: imagesNow}, Pods: []podReport{}},
			{Image: "z:1", Digest: sha("5"), Runs: "z@" + sha("5"), ResolvedAt: &imagesNow, Pods: []podReport{}},
		},
		Unpinned: []unpinnedImage{{Object: "Job/shop/seed", Where: "spec.x", Image: "a:1", Reason: "it is excluded"}},
	}
}

func TestImagesAreATable(t *testing.T) {
	want := [][]string{
		{"cart:1", "sha256:8704a1b2c3d4, gone from the registry", "2d2h ago, by release 2 (the registry was down)", "1/1", "Secret shop/r", "moved to sha256:001122334455"},
		{"till:1", "sha256:222222222222", "2d2h ago", "0/0", "-", "unknown: no answer"},
		{"x@" + sha("3"), "sha256:333333333333", "-", "0/0", "-", "-"},
		{"y:1", "sha256:444444444444", "0s ago", "0/0", "-", "unchanged"},
		{"z:1", "sha256:555555555555", "0s ago", "0/0", "-", "-"},
	}
	if diff := cmp.Diff(want, fullReport().rows(imagesNow, true)); diff != "" {
		t.Error(diff)
	}
	if got := fullReport().rows(imagesNow, false)[0][3]; got != "?" {
		t.Errorf("pods that were not counted: %s", got)
	}
	if diff := cmp.Diff([][]string{{"a:1", "Job/shop/seed", "spec.x", "it is excluded"}}, fullReport().unpinnedRows()); diff != "" {
		t.Error(diff)
	}
}

// Scripts read it: fields may come, and none goes or changes.
func TestImagesAreToldToScripts(t *testing.T) {
	report := fullReport()
	report.Images = report.Images[:2]
	text, err := yaml.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	want := `commit: "3333"
images:
- credentials: "Secret shop/r\e"
  digest: sha256:8704a1b2c3d4e5f6
  fromRelease: 2
  image: cart:1
  missing: true
  pods:
  - container: web
    image: cart@sha256:8704a1b2c3d4e5f6
    imageID: cart@sha256:8704a1b2c3d4e5f6
    namespace: shop
    node: n1
    pod: cart-1
    state: Runs
  resolvedAt: "2025-12-31T10:00:00Z"
  runs: cart@sha256:8704a1b2c3d4e5f6
  tag:
    at: "2026-01-02T12:00:00Z"
    digest: sha256:0011223344556677
    state: Moved
- digest: ` + sha("2") + `
  image: till:1
  pods: []
  resolvedAt: "2025-12-31T10:00:00Z"
  runs: till@` + sha("2") + `
  tag:
    at: "2026-01-02T12:00:00Z"
    reason: |-
      no
      answer
    state: Unknown
name: shop
namespace: shop
release: 3
unpinned:
- image: a:1
  object: Job/shop/seed
  reason: it is excluded
  where: spec.x
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestTagsAreLookedUpWithThePodsCredentials(t *testing.T) {
	s, r := openShop(t)
	image := s.host + "/cart:1"
	before := s.push(image)
	pin := s.host + "/cart@" + before
	moved := s.push(image)
	s.lock("hunter2")
	s.keep("secrets/registry", s.pullSecret("registry", "hunter2"))
	report := imagesReport{Images: []imageReport{{Image: image, Digest: before, Runs: pin}, {Image: s.host + "/till:1", Digest: sha("1"), Runs: s.host + "/till@" + sha("1")}}}
	report.askTags(t.Context(), r.cluster, r.registry, podsOf(t, pin))
	if tag := report.Images[0].Tag; tag.State != tagMoved || tag.Digest != moved {
		t.Errorf("got %+v", tag)
	}
	if tag := report.Images[1].Tag; tag.State != tagUnknown || !strings.Contains(tag.Reason, "no credentials") {
		t.Errorf("of an image of no pod: %+v", tag)
	}
}
