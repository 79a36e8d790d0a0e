package registry

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// mediaTypes are the manifests that container runtimes run today.
var mediaTypes = []types.MediaType{
	types.OCIImageIndex,
	types.OCIManifestSchema1,
	types.DockerManifestList,
	types.DockerManifestSchema2,
}

var accept = func() string {
	var names []string
	for _, mediaType := range mediaTypes {
		names = append(names, string(mediaType))
	}
	return strings.Join(names, ", ")
}()

// verify fetches what digest names, and checks that it is that, that it is an
// image, and that it runs on one of the platforms.
func (s *session) verify(ctx context.Context, digest string, platforms []v1.Platform) error {
	manifest, err := s.get(ctx, digest)
	if missing := (*Error)(nil); errors.As(err, &missing) && missing.Reason == NotFound {
		return &Error{Reason: NotFound, Detail: "the registry does not have the digest it names for this tag; push it anew"}
	}
	if err != nil {
		return err
	}
	if digestOf(manifest.bytes) != digest {
		return &Error{
			Reason: DigestMismatch,
			Detail: "what the registry sends for the digest of this tag is something else; a pull by digest would fail",
		}
	}
	return checkManifest(manifest, platforms)
}

func checkManifest(m manifest, platforms []v1.Platform) error {
	contentType, _, _ := mime.ParseMediaType(m.contentType)
	mediaType := types.MediaType(contentType)
	switch mediaType {
	case types.DockerManifestSchema1, types.DockerManifestSchema1Signed:
		return &Error{
			Reason: UnsupportedMediaType,
			Detail: "it is an image of Docker's schema 1, which runtimes no longer pull; build and push it anew",
		}
	}
	var index v1.IndexManifest
	if !slices.Contains(mediaTypes, mediaType) || json.Unmarshal(m.bytes, &index) != nil {
		return &Error{
			Reason: UnsupportedMediaType,
			Detail: "what the registry sends is not an image; it should be a manifest or an index of OCI or of Docker's schema 2",
		}
	}
	// One document must not be read in two ways (CVE-2021-41190).
	if index.MediaType != "" && index.MediaType != mediaType {
		return &Error{
			Reason: UnsupportedMediaType,
			Detail: "the manifest says that it is of another media type than the registry says",
		}
	}
	if !mediaType.IsIndex() {
		return nil
	}
	return checkPlatforms(index, platforms)
}

// verified remembers which repo@digest was found sound. That never changes, so
// entries are only dropped to make room.
type verified struct {
	mu     sync.Mutex
	pinned map[string]struct{}
}

const maxVerified = 8192

func newVerified() *verified { return &verified{pinned: make(map[string]struct{})} }

func (v *verified) has(pinned string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.pinned[pinned]
	return ok
}

func (v *verified) add(pinned string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for other := range v.pinned {
		if len(v.pinned) < maxVerified {
			break
		}
		delete(v.pinned, other)
	}
	v.pinned[pinned] = struct{}{}
}
