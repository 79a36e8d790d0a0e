package registry

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// signatureRepository is a [signatureStore] at the sites, and with the accounts, of an image.
type signatureRepository struct {
	*pass
	question question
	doubt    error // of a site that has failed where another one had nothing
}

func (r *signatureRepository) manifest(ctx context.Context, identifier string) (text []byte, err error) {
	err = r.visit(ctx, func(s *session) error {
		m, err := s.get(ctx, identifier)
		text = m.bytes
		return err
	})
	return text, err
}

func (r *signatureRepository) blob(ctx context.Context, digest string) (content []byte, err error) {
	err = r.visit(ctx, func(s *session) (err error) {
		content, err = s.blob(ctx, digest)
		return err
	})
	return content, err
}

func (r *signatureRepository) referrers(ctx context.Context, digest, artifactType string) (index []byte, more bool, err error) {
	err = r.visit(ctx, func(s *session) (err error) {
		index, more, err = s.referrers(ctx, digest, artifactType)
		return err
	})
	return index, more, err
}

// visit asks at each site. That the last one does not have something is not that nobody has it.
func (r *signatureRepository) visit(ctx context.Context, ask func(*session) error) error {
	tour, err := r.newTour(r.question)
	if err != nil {
		return err
	}
	_, err = tour.visit(ctx, ask)
	if failed(err, NotFound) && r.doubt == nil {
		r.doubt = tour.otherThanMissing()
	}
	return err
}

// referrers asks what refers to a digest (OCI distribution, 1.1). Registries that do not know the question answer it in
// many ways, which are all told as [NotFound], as package remote of go-containerregistry has them.
func (s *session) referrers(ctx context.Context, digest, artifactType string) (index []byte, more bool, err error) {
	resp, err := s.do(ctx, inquiry{
		method: http.MethodGet,
		part:   "referrers/" + digest,
		query:  url.Values{"artifactType": {artifactType}},
		accept: string(types.OCIImageIndex),
	})
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	unknown := &Error{Reason: NotFound, Detail: "the registry does not know what refers to the image"}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return nil, false, unknown
	default:
		return nil, false, refused(resp.StatusCode, "instead of what refers to the image")
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType != string(types.OCIImageIndex) {
		return nil, false, unknown
	}
	index, err = io.ReadAll(resp.Body)
	return index, resp.Header.Get("Link") != "", err
}
