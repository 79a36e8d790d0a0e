package registry

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"slices"
	"strings"

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

// contents is what is remembered of a digest that was found sound. That never changes.
type contents struct {
	index     bool
	platforms []v1.Platform // of an index
}

// inspect fetches what digest names, and checks that it is that, and that it is an image.
func (s *session) inspect(ctx context.Context, digest string) (contents, error) {
	manifest, err := s.get(ctx, digest)
	if missing := (*Error)(nil); errors.As(err, &missing) && missing.Reason == NotFound {
		return contents{}, &Error{
			Reason: NotFound,
			Detail: "the registry does not have the digest that it named for this tag; the tag has moved just now, or must be pushed anew",
		}
	}
	if err != nil {
		return contents{}, err
	}
	if digestOf(manifest.bytes) != digest {
		return contents{}, &Error{
			Reason: DigestMismatch,
			Detail: "what the registry sends for the digest of this tag is something else; a pull by digest would fail",
		}
	}
	return readManifest(manifest)
}

func readManifest(m manifest) (contents, error) {
	contentType, _, _ := mime.ParseMediaType(m.contentType)
	mediaType := types.MediaType(contentType)
	switch mediaType {
	case types.DockerManifestSchema1, types.DockerManifestSchema1Signed:
		return contents{}, &Error{
			Reason: UnsupportedMediaType,
			Detail: "it is an image of Docker's schema 1, which runtimes no longer pull; build and push it anew",
		}
	}
	var index struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests platforms       `json:"manifests"`
	}
	if !slices.Contains(mediaTypes, mediaType) || json.Unmarshal(m.bytes, &index) != nil {
		return contents{}, &Error{
			Reason: UnsupportedMediaType,
			Detail: "what the registry sends is not an image; it should be a manifest or an index of OCI or of Docker's schema 2",
		}
	}
	// One document must not be read in two ways (CVE-2021-41190).
	if index.MediaType != "" && index.MediaType != mediaType {
		return contents{}, &Error{
			Reason: UnsupportedMediaType,
			Detail: "the manifest says that it is of another media type than the registry says",
		}
	}
	if !mediaType.IsIndex() {
		return contents{}, nil
	}
	return contents{index: true, platforms: index.Manifests}, nil
}
