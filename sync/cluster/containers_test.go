package cluster

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

// ownedBy is an object of namespace shop with an owner, "KIND.VERSION/NAME" or "" for none.
func ownedBy(apiVersion, kind, name, owner, rest string) string {
	references := ""
	if at := strings.LastIndex(owner, "/"); at > 0 {
		version, ownerKind, _ := strings.Cut(owner[:at], "|")
		references = fmt.Sprintf(", ownerReferences: [{apiVersion: %s, kind: %s, name: %s, uid: x}]", version, ownerKind, owner[at+1:])
	}
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {namespace: shop, name: %s%s}%s}", apiVersion, kind, name, references, rest)
}

// podOf is a running pod of one container web.
func podOf(name, owner, image string) string {
	return ownedBy("v1", "Pod", name, owner, fmt.Sprintf(`, spec: {nodeName: n1, containers: [{name: web, image: "%s"}]},
		status: {phase: Running, containerStatuses: [{name: web, imageID: "id of %s", state: {running: {}}}]}`, image, image))
}

func TestContainersAreThoseBehindTheReleasesObjects(t *testing.T) {
	deployment := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	container := func(pod, image string, object manifests.ID) Container {
		return Container{Object: object, Namespace: "shop", Pod: pod, Node: "n1", Name: "web", Image: image, ImageID: "id of " + image, Started: true}
	}
	const web = `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web}}`
	for _, test := range []struct {
		name    string
		objects []string
		there   []string
		want    []Container
	}{
		{"of a Deployment, in each of its ReplicaSets", []string{web},
			[]string{ownedBy("apps/v1", "ReplicaSet", "web-1", "apps/v1|Deployment/web", ""), ownedBy("apps/v1", "ReplicaSet", "web-2", "apps/v1|Deployment/web", ""),
				podOf("a", "apps/v1|ReplicaSet/web-1", "old"), podOf("b", "apps/v1|ReplicaSet/web-2", "new")},
			[]Container{container("a", "old", deployment), container("b", "new", deployment)}},
		{"of a CronJob", []string{ownedBy("batch/v1", "CronJob", "nightly", "", "")},
			[]string{ownedBy("batch/v1", "Job", "nightly-1", "batch/v1|CronJob/nightly", ""), podOf("a", "batch/v1|Job/nightly-1", "x")},
			[]Container{container("a", "x", manifests.ID{Group: "batch", Kind: "CronJob", Namespace: "shop", Name: "nightly"})}},
		{"of a custom resource", []string{ownedBy("argoproj.io/v1alpha1", "Rollout", "web", "", "")},
			[]string{ownedBy("apps/v1", "ReplicaSet", "web-1", "argoproj.io/v1alpha1|Rollout/web", ""), podOf("a", "apps/v1|ReplicaSet/web-1", "x")},
			[]Container{container("a", "x", manifests.ID{Group: "argoproj.io", Kind: "Rollout", Namespace: "shop", Name: "web"})}},
		{"of a pod", []string{ownedBy("v1", "Pod", "a", "", "")}, []string{podOf("a", "", "x")},
			[]Container{container("a", "x", manifests.ID{Kind: "Pod", Namespace: "shop", Name: "a"})}},
		{"of nobody else", []string{web},
			[]string{podOf("a", "", "x"), podOf("b", "apps/v1|ReplicaSet/gone", "x"), podOf("c", "unknown.io/v1|Thing/web", "x"), podOf("d", "v1|Node/n1", "x"),
				ownedBy("apps/v1", "ReplicaSet", "other-1", "apps/v1|Deployment/other", ""), podOf("e", "apps/v1|ReplicaSet/other-1", "x")}, nil},
		{"not of pods that are done, or on their way out", []string{ownedBy("batch/v1", "Job", "seed", "", "")},
			[]string{ownedBy("v1", "Pod", "a", "batch/v1|Job/seed", `, spec: {containers: [{name: web, image: x}]}, status: {phase: Succeeded}`),
				ownedBy("v1", "Pod", "b", "batch/v1|Job/seed", `, spec: {containers: [{name: web, image: x}]}, status: {phase: Failed}`),
				`{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: c, deletionTimestamp: "2026-01-01T00:00:00Z", ownerReferences: [{apiVersion: batch/v1, kind: Job, name: seed}]},
					spec: {containers: [{name: web, image: x}]}, status: {phase: Running}}`}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := reading(t, test.there...)
			got, err := c.Containers(t.Context(), setOf(t, test.objects...))
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got, func(a, b Container) int { return cmp.Compare(a.Pod, b.Pod) })
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEachKindOfContainerAndImageVolumesCount(t *testing.T) {
	c, _ := reading(t, ownedBy("v1", "Pod", "a", "", `, spec: {nodeName: n1, initContainers: [{name: first, image: i}], containers: [{name: web, image: w}, {name: late, image: l}],
		ephemeralContainers: [{name: debug, image: d}], volumes: [{name: data, image: {reference: v}}, {name: other, emptyDir: {}}]},
		status: {phase: Running, initContainerStatuses: [{name: first, imageID: I, state: {terminated: {exitCode: 0}}}],
			containerStatuses: [{name: web, imageID: W, state: {waiting: {}}, lastState: {terminated: {exitCode: 1}}}, {name: late, state: {waiting: {}}}],
			ephemeralContainerStatuses: [{name: debug, imageID: D, state: {running: {}}}]}`))
	containers, err := c.Containers(t.Context(), setOf(t, ownedBy("v1", "Pod", "a", "", "")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range containers {
		got = append(got, fmt.Sprintf("%s %s %s %t", c.Name, c.Image, c.ImageID, c.Started))
	}
	want := []string{"first i I true", "web w W true", "late l  false", "debug d D true", "volume data v  true"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeReadOfPodsIsToldBesideTheRest(t *testing.T) {
	c, api := reading(t, podOf("a", "apps/v1|Deployment/web", "x"), podOf("b", "apps/v1|ReplicaSet/secret", "x"))
	api.refusals["/api/v1/namespaces/other/pods"] = http.StatusForbidden
	api.refusals["/apis/apps/v1/namespaces/shop/replicasets/secret"] = http.StatusForbidden
	got, err := c.Containers(t.Context(), setOf(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web}}`,
		`{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: other, name: web}}`))
	if len(got) != 1 || got[0].Pod != "a" {
		t.Errorf("got %+v", got)
	}
	for _, want := range []string{
		`listing the pods of namespace other: they may not be read; add to a Role of other: {apiGroups: [""], resources: [pods], verbs: [list]}`,
		"ReplicaSet/shop/secret",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not told: %v", want, err)
		}
	}
}
