package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// running is a Sync of which a pod of one image runs; the tag has moved since.
func running(t *testing.T) (s *shop, there *stored, before, after string) {
	t.Helper()
	s, r := openShop(t)
	image := s.host + "/cart:1"
	before = s.push(image)
	after = s.push(image)
	s.lock("hunter2")
	s.keep("secrets/registry", s.pullSecret("registry", "hunter2"))
	pod := map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"namespace": "shop", "name": "cart"},
		"spec": map[string]any{"imagePullSecrets": []any{map[string]any{"name": "registry"}},
			"containers": []any{map[string]any{"name": "web", "image": s.host + "/cart@" + before}}}}
	release := manifests.Release{Number: 1, Commit: manifests.Commit{Hash: strings.Repeat("a", 40)}, Objects: objectsOf(t, pod),
		Pins:     manifests.Pins{image: s.host + "/cart@" + before},
		Resolved: map[string]manifests.Resolution{image: {At: imagesNow, Credentials: "Secret shop/registry"}}}
	pod["status"] = map[string]any{"phase": "Running", "containerStatuses": []any{map[string]any{"name": "web", "imageID": "made up", "state": map[string]any{"running": map[string]any{}}}}}
	s.keep("pods/cart", pod)

	sync := &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop", UID: "5ca1ab1e"}}
	sync.Status.Images = []v1alpha1.PinnedImage{{Image: image, Digest: before, ResolvedAt: metav1.NewTime(imagesNow)}}
	sync.Status.Unpinned = []v1alpha1.UnpinnedImage{{Object: "Job/shop/seed", Where: "container seed", Image: "seed:1", Reason: "it is excluded"}}
	owner := metav1.OwnerReference{APIVersion: "belay.dev/v1alpha1", Kind: "Sync", Name: "shop", UID: "5ca1ab1e"}
	journal := r.cluster.Journal(types.NamespacedName{Namespace: "shop", Name: "shop"}, owner)
	if err := journal.Store(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	return s, &stored{cluster: r.cluster, sync: sync, journal: r.cluster.Journal(journal.Sync(), owner)}, before, after
}

// printed is what the command prints.
func (i imagesCommand) printed(t *testing.T, there *stored) (out, err string) {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	if err := i.run(cmd, there); err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String()
}

func TestImagesOfWhatRunsAreListed(t *testing.T) {
	s, there, before, after := running(t)
	out, problems := imagesCommand{tags: tags{insecure: []string{s.host}}}.printed(t, there)
	want := `^IMAGE +DIGEST +RESOLVED +PODS +CREDENTIALS +TAG
` + regexp.QuoteMeta(s.host+"/cart:1") + ` +` + shortDigest(before) + ` +\S+ ago +1/1 +Secret shop/registry +moved to ` + shortDigest(after) + `

NOT PINNED +OBJECT +WHERE +REASON
seed:1 +Job/shop/seed +container seed +it is excluded
$`
	if !regexp.MustCompile(want).MatchString(out) || problems != "" {
		t.Errorf("got %s%s", out, problems)
	}
}

func TestImagesAreListedWithoutTheirRegistries(t *testing.T) {
	_, there, before, _ := running(t)
	out, problems := imagesCommand{offline: true, output: "json"}.printed(t, there)
	var report imagesReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || problems != "" {
		t.Fatal(err, problems)
	}
	image := report.Images[0]
	if image.Digest != before || image.Tag != nil || len(image.Pods) != 1 || image.Pods[0].ImageID != "made up" || image.Pods[0].State != podRuns {
		t.Errorf("got %+v", image)
	}
}

func TestWhoMayNotReadReleasesGetsTheImagesOfTheStatus(t *testing.T) {
	s, there, before, _ := running(t)
	s.forbidden = []string{"secrets"}
	out, problems := imagesCommand{offline: true}.printed(t, there)
	if !strings.HasPrefix(problems, "belay: you may not read the Secrets of namespace shop") {
		t.Errorf("told: %s", problems)
	}
	if !regexp.MustCompile(`/cart:1 +` + shortDigest(before) + ` +\S+ ago +\? +- +-`).MatchString(out) {
		t.Errorf("got %s", out)
	}
}

func TestPodsThatMayNotBeReadAreTold(t *testing.T) {
	s, there, _, _ := running(t)
	s.forbidden = []string{"pods"}
	out, problems := imagesCommand{offline: true}.printed(t, there)
	if !strings.HasPrefix(problems, "belay: not all pods are counted: listing the pods of namespace shop: ") || !regexp.MustCompile(` ago +\? +Secret shop/registry +-`).MatchString(out) {
		t.Errorf("got %s%s", out, problems)
	}
}
