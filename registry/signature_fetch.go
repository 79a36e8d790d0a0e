package registry

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// signatureRepository is a [signatureStore] at the endpoints, and with the credentials, of its images.
type signatureRepository struct {
	*pass
	question question
}

func (r *signatureRepository) manifest(ctx context.Context, identifier string) (text []byte, err error) {
	_, err = r.visit(ctx, r.question, func(s *session) error {
		m, err := s.get(ctx, identifier)
		text = m.bytes
		return err
	})
	return text, err
}

func (r *signatureRepository) blob(ctx context.Context, digest string) (content []byte, err error) {
	_, err = r.visit(ctx, r.question, func(s *session) (err error) {
		content, err = s.blob(ctx, digest)
		return err
	})
	return content, err
}

func (r *signatureRepository) referrers(ctx context.Context, digest, artifactType string) (index []byte, more bool, err error) {
	_, err = r.visit(ctx, r.question, func(s *session) (err error) {
		index, more, err = s.referrers(ctx, digest, artifactType)
		return err
	})
	return index, more, err
}

// referrers asks what refers to a digest (OCI distribution, 1.1). Registries that do not know the question answer it in
// many ways, which are all told as [NotFound], as package remote of go-containerregistry has them.
func (s *session) referrers(ctx context.Context, digest, artifactType string) (index []byte, more bool, err error) {
	resp, err := s.do(ctx, "referrers/"+digest, url.Values{"artifactType": {artifactType}}, string(types.OCIImageIndex))
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
		return nil, false, refused(s.account, resp.StatusCode)
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType != string(types.OCIImageIndex) {
		return nil, false, unknown
	}
	index, err = io.ReadAll(resp.Body)
	return index, resp.Header.Get("Link") != "", err
}

func (s *session) blob(ctx context.Context, digest string) ([]byte, error) {
	resp, err := s.do(ctx, "blobs/"+digest, nil, "*/*")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refused(s.account, resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

func (s *session) do(ctx context.Context, path string, query url.Values, accept string) (*http.Response, error) {
	repository := s.account.repository
	u := url.URL{Scheme: s.scheme, Host: repository.RegistryStr(), Path: "/v2/" + repository.RepositoryStr() + "/" + path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	return s.client.Do(req)
}
