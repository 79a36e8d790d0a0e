package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// drillAppBuilt is the application of all cases, which is ill as its flags say.
var drillAppBuilt = built("drill-app", "..", "./e2e/testdata/drill/app")

// pushImages pushes what the cases deploy: the application as drill:v1, drill:other with another digest, drill:text which is no
// program, and drill:hollow whose layer the registry does not have.
func (d *drill) pushImages(t *testing.T) {
	t.Helper()
	program := must(t, drillAppBuilt)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("this is no program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--name=drill:v1", "--program=" + program},
		{"--name=drill:other", "--program=" + program, "--env=OTHER=1"},
		{"--name=drill:text", "--program=" + text},
	} {
		args = append([]string{"image", "--registry=" + d.Registry, "--entrypoint=/app"}, args...)
		if out, err := exec.Command(d.program, args...).CombinedOutput(); err != nil {
			t.Fatalf("making an image: %v\n%s", err, out)
		}
	}
	d.pushHollow(t)
}

// pushHollow pushes a manifest alone.
func (d *drill) pushHollow(t *testing.T) {
	t.Helper()
	blob := `{"mediaType":%q,"size":1000,"digest":"sha256:` + strings.Repeat("%[2]d", 64) + `"}`
	const docker = "application/vnd.docker."
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, docker+"distribution.manifest.v2+json",
		fmt.Sprintf(blob, docker+"container.image.v1+json", 1), fmt.Sprintf(blob, docker+"image.rootfs.diff.tar.gzip", 2))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+d.Registry+"/v2/drill/manifests/hollow", strings.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", docker+"distribution.manifest.v2+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		t.Fatalf("pushing a manifest without blobs: %s", answer.Status)
	}
}
