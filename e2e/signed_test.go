package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"
)

// signings is where there is what the real cosign has left in a registry, and the public keys; its README says more.
var signings = filepath.Join("..", "registry", "testdata", "cosign")

// cmdSigned pushes an image, always the same, with the signatures that cosign made for it: `signed HOST/REPOSITORY:TAG
// SIGNING`. $DIGEST is its digest. The keys are in $KEYS.
func cmdSigned(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: signed HOST/REPOSITORY:TAG SIGNING")
	}
	tag, err := name.NewTag(args[0])
	ts.Check(err)
	archive, err := txtar.ParseFile(filepath.Join(signings, args[1]+".txtar"))
	ts.Check(err)
	manifests := map[string]manifest{}
	for _, file := range archive.Files {
		content := bytes.TrimSuffix(file.Data, []byte("\n"))
		if named, ok := strings.CutPrefix(file.Name, "manifests/"); ok {
			manifests[named] = content
			continue
		}
		ts.Check(remote.WriteLayer(tag.Repository, static.NewLayer(content, types.OCILayer)))
	}
	// An index comes after what is in it: sha256:… before the tag sha256-….
	for _, named := range slices.Backward(slices.Sorted(maps.Keys(manifests))) {
		ts.Check(push(tag, named, manifests[named]))
	}
	pushed, err := remote.Head(tag)
	ts.Check(err)
	ts.Setenv("DIGEST", pushed.Digest.String())
}

// push sends a manifest under its digest or its tag; "1" is the image's, which is pushed as tag.
func push(tag name.Tag, named string, m manifest) error {
	var reference name.Reference = tag
	switch {
	case strings.HasPrefix(named, "sha256:"):
		reference = tag.Digest(named)
	case named != "1":
		reference = tag.Tag(named)
	}
	if err := remote.Put(reference, m); err != nil {
		return fmt.Errorf("pushing %s: %w", reference, err)
	}
	return nil
}

// manifest is one as it was sent, to be sent again.
type manifest []byte

func (m manifest) RawManifest() ([]byte, error) { return m, nil }

func (m manifest) MediaType() (types.MediaType, error) {
	if bytes.Contains(m, []byte(`"`+types.OCIImageIndex+`"`)) && bytes.Contains(m, []byte(`"manifests"`)) {
		return types.OCIImageIndex, nil
	}
	return types.OCIManifestSchema1, nil
}
