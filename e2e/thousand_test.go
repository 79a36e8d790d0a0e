// Promise: what runs is resolved at a cost that no registry notices. A thousand Syncs that share 50 images ask for each once
// when they are deployed, and for each once in an interval of spec.images.interval when they follow their tags.

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	sharedImages  = 50
	imagesPerSync = 3
	// sharingSyncs is how many Syncs there are, unless IMAGES_N says another number: they take two minutes and a half, and
	// all 1,000 of them a quarter of an hour on 2 cores.
	sharingSyncs = 100
)

// sharingSync takes the number of a Sync, the repository and the interval. Its PodTemplate starts no pod.
const sharingSync = `{"apiVersion":"belay.dev/v1alpha1","kind":"Sync","metadata":{"name":"app-%04[1]d"},"spec":{
	"source":{"url":%[2]q,"path":"app-%04[1]d","interval":"1h"},
	"images":{"resolve":"Follow","interval":%[3]q},
	"health":{"timeout":"5m","stableFor":"0s"}}}`

// TestAThousandSyncsShareFiftyImages counts the registry's requests for manifests while Syncs are deployed from one commit,
// and while they follow their tags. IMAGES_N=1000 has a thousand of them.
func TestAThousandSyncsShareFiftyImages(t *testing.T) {
	t.Parallel()
	n := sharingSyncs
	if text := os.Getenv("IMAGES_N"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("IMAGES_N: %v", err)
		}
	}
	// All are deployed well within an interval, so that what the deployment asks can be told from what Follow does.
	interval := max(time.Minute, time.Duration(n)*300*time.Millisecond)
	c := startSimulated(t)
	s, err := newScript(c, "sharing", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.sharedImages(t)
	s.sharingApps(t, n)
	for i := range n {
		s.api.ask(t, http.MethodPost, "/apis/belay.dev/v1alpha1/namespaces/sharing/syncs", "application/json",
			fmt.Sprintf(sharingSync, i, s.repository, interval), &object{})
	}
	began, before := time.Now(), s.manifestRequests(t)
	newAgent(t, c, "--leader-elect=false")
	awaitWithin(t, interval+3*time.Minute, time.Second, fmt.Sprintf("%d Syncs to be deployed", n), func() bool { return s.kept(t) == n })
	looks := s.manifestRequests(t).less(before)
	t.Logf("%d Syncs (IMAGES_N=1000 for all), each with %d of %d images: deployed in %.0fs with %s",
		n, imagesPerSync, sharedImages, time.Since(began).Seconds(), looks)
	looks.noMoreThan(t, began, interval)

	for intervals := 1; intervals <= 2; intervals++ {
		all := sharedImages * (intervals + 1)
		awaitWithin(t, interval+soon, time.Second, fmt.Sprintf("%d looks at tags", all), func() bool { return s.manifestRequests(t).less(before).tags >= all })
	}
	looks = s.manifestRequests(t).less(before)
	t.Logf("after %.0fs, with an interval of %s: %s", time.Since(began).Seconds(), interval, looks)
	looks.noMoreThan(t, began, interval)
}

// sharedImages pushes the images.
func (s *script) sharedImages(t *testing.T) {
	t.Helper()
	for i := range sharedImages {
		out, err := exec.Command(s.program, "image", "--registry", s.Registry, "--name", fmt.Sprintf("shared-%02d:v1", i),
			"--builtin", "pause", "--env", fmt.Sprintf("N=%d", i)).CombinedOutput()
		if err != nil {
			t.Fatalf("making an image: %v\n%s", err, out)
		}
	}
}

// sharingApps pushes a folder for each Sync.
func (s *script) sharingApps(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		var containers strings.Builder
		for j := range imagesPerSync {
			fmt.Fprintf(&containers, "    - {name: c%d, image: %q}\n", j, fmt.Sprintf("%s/shared-%02d:v1", s.Registry, (i*imagesPerSync+j)%sharedImages))
		}
		name := fmt.Sprintf("app-%04d", i)
		text := fmt.Sprintf("apiVersion: v1\nkind: PodTemplate\nmetadata: {name: %s}\ntemplate:\n  metadata: {labels: {app: %[1]s}}\n  spec:\n    containers:\n%s",
			name, containers.String())
		if err := os.MkdirAll(filepath.Join(s.clone, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.clone, name, "template.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.commit(t, "all of them")
}

// kept counts the Syncs whose release is kept.
func (s *script) kept(t *testing.T) int {
	t.Helper()
	var list struct{ Items []syncStatus }
	s.api.get(t, "/apis/belay.dev/v1alpha1/namespaces/"+s.namespace+"/syncs", &list)
	kept := 0
	for _, sync := range list.Items {
		if sync.Status.Phase == "Kept" {
			kept++
		}
	}
	return kept
}

// manifestRequests are what a registry was asked of manifests, pushes aside.
type manifestRequests struct {
	tags    int // HEADs of tags
	digests int // HEADs of digests, which is how those that are gone are found
	gets    int
}

func (s *script) manifestRequests(t *testing.T) manifestRequests {
	t.Helper()
	asked, err := s.requests("registry")
	if err != nil {
		t.Fatal(err)
	}
	var r manifestRequests
	for request, count := range asked {
		switch {
		case !strings.Contains(request, "/manifests/"):
		case strings.HasPrefix(request, "GET "):
			r.gets += count
		case strings.HasPrefix(request, "HEAD ") && strings.Contains(request, "/sha256:"):
			r.digests += count
		case strings.HasPrefix(request, "HEAD "):
			r.tags += count
		}
	}
	return r
}

func (r manifestRequests) less(before manifestRequests) manifestRequests {
	return manifestRequests{r.tags - before.tags, r.digests - before.digests, r.gets - before.gets}
}

func (r manifestRequests) String() string {
	return fmt.Sprintf("%d HEADs of tags, %d GETs, %d HEADs of digests", r.tags, r.gets, r.digests)
}

// noMoreThan wants each tag to have been asked for once at the start and once in each interval that has passed, and each
// digest to have been fetched once.
func (r manifestRequests) noMoreThan(t *testing.T, began time.Time, interval time.Duration) {
	t.Helper()
	if most := sharedImages * (1 + int(time.Since(began)/interval)); r.tags > most {
		t.Errorf("%d HEADs of tags; %d are the most", r.tags, most)
	}
	if r.gets > sharedImages {
		t.Errorf("%d GETs; %d are the most", r.gets, sharedImages)
	}
	if r.tags < sharedImages {
		t.Errorf("%d HEADs of tags for %d images: this counts nothing", r.tags, sharedImages)
	}
}
