package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// digest asks what a tag stands for: by HEAD, which registries do not count as a pull, and by GET where HEAD is not
// answered as it should be.
func (s *session) digest(ctx context.Context, tag string) (string, error) {
	resp, err := s.request(ctx, http.MethodHead, "manifests/"+tag)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if digest := resp.Header.Get("Docker-Content-Digest"); sha256Digest.MatchString(digest) {
			return digest, nil
		}
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed:
	default:
		return "", refused(resp.StatusCode, "instead of a manifest")
	}
	manifest, err := s.get(ctx, tag)
	if err != nil {
		return "", err
	}
	return digestOf(manifest.bytes), nil
}

// exists asks whether the registry has a digest; the error is of the reason [NotFound] if it does not.
func (s *session) exists(ctx context.Context, digest string) error {
	resp, err := s.request(ctx, http.MethodHead, "manifests/"+digest)
	if err != nil {
		return err
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest, http.StatusMethodNotAllowed:
		_, err := s.get(ctx, digest)
		return err
	}
	return refused(resp.StatusCode, "instead of a manifest")
}

// manifest is what a registry sent for a tag or a digest.
type manifest struct {
	contentType string
	bytes       []byte
}

// get fetches a manifest; the transport bounds its size and time.
func (s *session) get(ctx context.Context, identifier string) (manifest, error) {
	resp, err := s.request(ctx, http.MethodGet, "manifests/"+identifier)
	if err != nil {
		return manifest{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return manifest{}, refused(resp.StatusCode, "instead of a manifest")
	}
	bytes, err := io.ReadAll(resp.Body)
	if err != nil {
		return manifest{}, err
	}
	return manifest{resp.Header.Get("Content-Type"), bytes}, nil
}

// blob fetches a small blob, and sees that it is that of the digest.
func (s *session) blob(ctx context.Context, digest string) ([]byte, error) {
	resp, err := s.request(ctx, http.MethodGet, "blobs/"+digest)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refused(resp.StatusCode, "instead of a blob")
	}
	bytes, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if digestOf(bytes) != digest {
		return nil, &Error{Reason: DigestMismatch, Detail: "a blob that the registry sends is not that of its digest"}
	}
	return bytes, nil
}

// inquiry is a request for a part of a repository, such as manifests/TAG.
type inquiry struct {
	method string
	part   string
	query  url.Values
	accept string // empty means manifests
}

// request asks for a part of the repository that needs no more words.
func (s *session) request(ctx context.Context, method, part string) (*http.Response, error) {
	return s.do(ctx, inquiry{method: method, part: part})
}

// do makes a request. A 401 is followed by one more try where a new token may help. Any answer but those that ask for
// patience is returned as it is.
func (s *session) do(ctx context.Context, i inquiry) (*http.Response, error) {
	if s.challenge == nil {
		if err := s.signIn(ctx); err != nil {
			return nil, err
		}
	}
	resp, err := s.send(ctx, i)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again, err := s.renew(ctx, resp) // which closes the body
	if err != nil || !again {
		return resp, err
	}
	return s.send(ctx, i)
}

func (s *session) send(ctx context.Context, i inquiry) (*http.Response, error) {
	scheme := "https"
	if s.challenge.Insecure {
		scheme = "http"
	}
	u := s.site.api(scheme)
	u.Path += "/" + s.site.repository.RepositoryStr() + "/" + i.part
	query := s.site.query()
	maps.Copy(query, i.query)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, i.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", cmp.Or(i.accept, accept))
	s.authorize(req)
	client := http.Client{Transport: s.way()}
	return client.Do(req)
}

// refused is the error of a request that was answered with status. Which credentials were refused is told by who has
// tried them all.
func refused(status int, what string) *Error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &Error{Reason: Unauthorized, Detail: "the registry refused"}
	case http.StatusNotFound:
		return &Error{Reason: NotFound, Detail: "the registry has no such tag"}
	}
	return unavailable("the registry answered " + strconv.Itoa(status) + " " + what)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
