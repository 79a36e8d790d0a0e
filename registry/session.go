package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// challengeAge is how long a registry is taken to want to be signed in to in the same way.
const challengeAge = time.Hour

// signIns are the pings and tokens that all callers share. Neither is asked for again for each image.
type signIns struct {
	challenges *lookup[string, challenge]   // by site
	tokens     *lookup[tokenKey, tokenKept] // by account and repository
}

// challenge is how a registry wants to be signed in to.
type challenge struct {
	*transport.Challenge
	at time.Time
}

// session is one account's at one site. It signs in when it is first used, and is one caller's.
//
// It stands on package transport, not on remote.Puller: a Puller pings once for each repository, takes a HEAD's digest
// for true, reads manifests of 100 MiB, and gives no header back.
type session struct {
	*Resolver
	site    site
	account account

	challenge *transport.Challenge // nil until it has signed in
	token     string               // where bearer tokens are wanted
	fresh     bool                 // token was made for this session
}

// signIn finds out what the registry wants, and gets a token if it is that.
func (s *session) signIn(ctx context.Context) error {
	kept, err := s.challenges.do(ctx, s.site.key(),
		func(c challenge) bool { return s.now().Sub(c.at) < challengeAge },
		func() (challenge, error) {
			c, err := s.ping(ctx)
			if err == nil {
				c, err = trimmed(c)
			}
			return challenge{c, s.now()}, err
		})
	if err != nil {
		return s.refusedSignIn(err)
	}
	s.challenge = kept.Challenge
	if !s.wantsToken() {
		return nil
	}
	return s.getToken(ctx, "", "")
}

func (s *session) wantsToken() bool { return strings.EqualFold(s.challenge.Scheme, "bearer") }

// ping asks how the registry wants to be signed in to. No credentials are sent.
func (s *session) ping(ctx context.Context) (*transport.Challenge, error) {
	way := s.way()
	way.ping = true
	if !s.site.declared() {
		registry := s.site.registry
		if s.site.insecure {
			var err error
			if registry, err = name.NewInsecureRegistry(registry.RegistryStr()); err != nil {
				return nil, err
			}
		}
		return transport.Ping(ctx, registry, way)
	}
	target := s.site.api("")
	target.Path, _ = s.site.versioned()
	target.Path += "/"
	target.RawQuery = s.site.query().Encode()
	c, err := transport.Ping(ctx, placeholder, elsewhere{way, target})
	if answer := (*transport.Error)(nil); errors.As(err, &answer) {
		// Some mirrors have nothing there. What they want is seen when they refuse a manifest.
		return &transport.Challenge{Insecure: target.Scheme == "http"}, nil
	}
	return c, err
}

// placeholder is the host of requests that package transport makes and that go elsewhere. It is none that the package
// takes for one of this machine, to which it would speak plain HTTP too.
var placeholder = name.MustParseReference("registry.invalid/x").Context().Registry

// elsewhere sends a request to target, and the redirects that follow where they lead.
type elsewhere struct {
	way    way
	target *url.URL
}

func (e elsewhere) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Response == nil {
		req = req.Clone(req.Context())
		req.URL, req.Host = e.target, e.target.Host
	}
	return e.way.RoundTrip(req)
}

// trimmed is a challenge with what is kept of it.
func trimmed(c *transport.Challenge) (*transport.Challenge, error) {
	const longest = 4 << 10
	realm, service := c.Parameters["realm"], c.Parameters["service"]
	if len(c.Scheme)+len(realm)+len(service) > longest {
		return nil, unavailable("how the registry wants to be signed in to is longer than it should be")
	}
	return &transport.Challenge{
		Scheme:     c.Scheme,
		Parameters: map[string]string{"realm": realm, "service": service},
		Insecure:   c.Insecure,
	}, nil
}

// challengeOf reads what a 401 wants.
func challengeOf(ctx context.Context, resp *http.Response) (*transport.Challenge, error) {
	return transport.Ping(ctx, placeholder, answered{resp})
}

// answered is a response that is there already.
type answered struct{ resp *http.Response }

func (a answered) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }

func (s *session) way() way { return way{guard: s.guard, site: s.site, account: s.account.id} }

// authorize puts on a request what the registry wants to see.
func (s *session) authorize(req *http.Request) {
	config := s.account.config
	switch {
	case s.wantsToken():
		req.Header.Set("Authorization", "Bearer "+s.token)
	case config.RegistryToken != "":
		req.Header.Set("Authorization", "Bearer "+config.RegistryToken)
	case config.Username != "" || config.Password != "":
		req.SetBasicAuth(config.Username, config.Password)
	}
}

// refusedSignIn is the error of a ping or a token request.
func (s *session) refusedSignIn(err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) || errors.As(err, new(*Error)) || errors.As(err, new(*tls.CertificateVerificationError)) {
		return err // of two pings, by HTTPS and by HTTP, the better reason
	}
	if answer.StatusCode == http.StatusNotFound {
		return unavailable("the registry answered 404 to signing in; it may not be a registry")
	}
	return refused(answer.StatusCode, "to signing in")
}
