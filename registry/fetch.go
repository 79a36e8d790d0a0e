package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session is a repository that may be read from now on.
//
// It stands on package transport, not on remote.Puller: a Puller pings once for
// each repository, takes a HEAD's digest for true, reads manifests of 100 MiB,
// and gives no header back.
type session struct {
	account account
	scheme  string
	client  *http.Client
}

// signIn pings the registry, if that has not been done, and gets a token for the
// repository if the registry wants one.
func (p *pass) signIn(ctx context.Context, account account) (*session, error) {
	registry := account.repository.Registry
	challenge, err := p.challenges.do(registry.RegistryStr(), func() (*transport.Challenge, error) {
		return p.ping(ctx, registry)
	})
	if err != nil {
		return nil, refusedSignIn(account, err)
	}
	token, err := p.token(ctx, account, challenge)
	if err != nil {
		return nil, refusedSignIn(account, err)
	}
	authorized, err := transport.FromToken(registry, authn.FromConfig(account.config), p.transport, challenge, token)
	if err != nil {
		return nil, refusedSignIn(account, err)
	}
	scheme := "https"
	if challenge.Insecure {
		scheme = "http"
	}
	return &session{account, scheme, &http.Client{Transport: authorized}}, nil
}

// ping asks how the registry wants to be signed in to. No credentials are sent.
func (p *pass) ping(ctx context.Context, registry name.Registry) (*transport.Challenge, error) {
	if p.insecure.has(registry.RegistryStr()) {
		var err error
		if registry, err = name.NewInsecureRegistry(registry.RegistryStr()); err != nil {
			return nil, err
		}
	}
	return transport.Ping(ctx, registry, p.transport)
}

func (p *pass) token(ctx context.Context, account account, challenge *transport.Challenge) (*transport.Token, error) {
	if !strings.EqualFold(challenge.Scheme, "bearer") {
		return nil, nil
	}
	if given := account.config.RegistryToken; given != "" {
		return &transport.Token{Token: given}, nil
	}
	scopes := []string{account.repository.Scope(transport.PullScope)}
	token, err := transport.Exchange(ctx, account.repository.Registry, authn.FromConfig(account.config), p.transport, scopes, challenge)
	if err != nil {
		return nil, err
	}
	// Either name is used, access_token first, as in go-containerregistry#54.
	return &transport.Token{Token: cmp.Or(token.AccessToken, token.Token)}, nil
}

// digest asks what a tag stands for: by HEAD, which registries do not count as a
// pull, and by GET where HEAD is not answered as it should be.
func (s *session) digest(ctx context.Context, tag string) (string, error) {
	resp, err := s.request(ctx, http.MethodHead, tag)
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
		return "", refused(s.account, resp.StatusCode)
	}
	manifest, err := s.get(ctx, tag)
	if err != nil {
		return "", err
	}
	return digestOf(manifest.bytes), nil
}

// manifest is what a registry sent for a tag or a digest.
type manifest struct {
	contentType string
	bytes       []byte
}

// get fetches a manifest; the transport bounds its size and time.
func (s *session) get(ctx context.Context, identifier string) (manifest, error) {
	resp, err := s.request(ctx, http.MethodGet, identifier)
	if err != nil {
		return manifest{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return manifest{}, refused(s.account, resp.StatusCode)
	}
	bytes, err := io.ReadAll(resp.Body)
	if err != nil {
		return manifest{}, err
	}
	return manifest{resp.Header.Get("Content-Type"), bytes}, nil
}

func (s *session) request(ctx context.Context, method, identifier string) (*http.Response, error) {
	repository := s.account.repository
	u := url.URL{
		Scheme: s.scheme,
		Host:   repository.RegistryStr(),
		Path:   "/v2/" + repository.RepositoryStr() + "/manifests/" + identifier,
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	return s.client.Do(req)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
