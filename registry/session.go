package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// challengeAge is how long a registry is taken to want to be signed in to in the same way.
	challengeAge = time.Hour
	// tokenAge is how long a token lasts if its server does not say, and the least that any lasts
	// (https://distribution.github.io/distribution/spec/auth/token/, expires_in).
	tokenAge = 60 * time.Second
	// tokenMargin is how long before its end a token is not used any more.
	tokenMargin = 10 * time.Second
)

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

type tokenKey struct {
	account accountID
	path    string
}

type tokenKept struct {
	text  string
	until time.Time
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

// challengeOf reads what a 401 wants.
func challengeOf(ctx context.Context, resp *http.Response) (*transport.Challenge, error) {
	return transport.Ping(ctx, placeholder, answered{resp})
}

// answered is a response that is there already.
type answered struct{ resp *http.Response }

func (a answered) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }

// getToken takes a kept token, or has one made: one that is not stale, the token that was refused. Scope is what the
// registry said that it wants beside pulling.
func (s *session) getToken(ctx context.Context, scope, stale string) error {
	if given := s.account.config.RegistryToken; given != "" {
		s.token, s.fresh = given, true
		return nil
	}
	kept, err := s.tokens.do(ctx, tokenKey{s.account.id, s.site.path()},
		func(t tokenKept) bool { return t.text != stale && s.now().Before(t.until) },
		func() (tokenKept, error) {
			s.fresh = true
			return s.exchange(ctx, scope)
		})
	if err != nil {
		err = s.refusedSignIn(err)
		if e := (*Error)(nil); !errors.As(err, &e) || e.Reason != Unauthorized {
			s.challenges.forget(s.site.key()) // it may want something else by now
		}
		return err
	}
	s.token = kept.text
	return nil
}

// exchange gets a token for pulling from the repository. The registry names the server that makes tokens, and that one is
// shown the credentials, as the protocol wants it; but only by HTTPS, or where an operator has declared plain HTTP.
func (s *session) exchange(ctx context.Context, scope string) (tokenKept, error) {
	wanted := s.challenge
	realm, err := url.Parse(wanted.Parameters["realm"])
	if err != nil || realm.Host == "" || realm.User != nil {
		return tokenKept{}, unavailable("the registry does not say rightly where its tokens are made")
	}
	registry, way, err := s.wayToRealm(realm)
	if err != nil {
		return tokenKept{}, err
	}
	if realm.Scheme != "https" && !(realm.Scheme == "http" && wanted.Insecure && way.mayBePlain(realm.Host)) {
		return tokenKept{}, &Error{
			Reason: AddressRefused,
			Detail: "its tokens are made at a host without HTTPS, where credentials are not sent; an operator can declare both hosts insecure",
		}
	}
	scopes := []string{s.scope()}
	if scope != "" && scope != s.scope() {
		scopes = []string{scope, s.scope()} // some servers look at the first one only
	}
	at := s.now()
	token, err := transport.Exchange(ctx, registry, authn.FromConfig(s.account.config), way, scopes, wanted)
	if err != nil {
		return tokenKept{}, err
	}
	age := max(time.Duration(token.ExpiresIn)*time.Second, tokenAge)
	// Either name is used, access_token first, as in go-containerregistry#54.
	return tokenKept{cmp.Or(token.AccessToken, token.Token), at.Add(age - tokenMargin)}, nil
}

// wayToRealm is how the host that makes tokens is reached. It may be declared like any registry.
func (s *session) wayToRealm(realm *url.URL) (name.Registry, way, error) {
	if s.site.is(realm.Host) {
		return s.site.registry, s.way(), nil
	}
	registry, err := name.NewRegistry(realm.Host, name.WeakValidation)
	if err != nil {
		return name.Registry{}, way{}, unavailable("the registry does not say rightly where its tokens are made")
	}
	sites, err := s.sites(registry.Repo("x"))
	if err != nil {
		return name.Registry{}, way{}, err
	}
	realmWay := way{guard: s.guard, site: site{registry: registry}, account: s.account.id}
	for _, site := range sites {
		if site.is(realm.Host) && (!site.declared() || site.URL.Scheme == realm.Scheme) {
			realmWay.site = site
			break
		}
	}
	// Package transport lets a private address make tokens only where it is the registry itself, and does not know what
	// is declared.
	if !realmWay.declares(realm.Host) {
		registry = s.site.registry
	}
	return registry, realmWay, nil
}

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

func (s *session) scope() string { return "repository:" + s.site.path() + ":pull" }

// renew follows a 401. It tells whether trying once more may help: a kept token may have ended early, and some registries
// say what they want only when they are asked for a manifest. What a ping says of a scope does not count: it is about no
// repository, or about one that stands for any.
func (s *session) renew(ctx context.Context, resp *http.Response) (bool, error) {
	wanted, err := challengeOf(ctx, resp)
	if err != nil || !strings.EqualFold(wanted.Scheme, "bearer") || resp.Request.Response != nil {
		return false, nil
	}
	scope := wanted.Parameters["scope"]
	known := s.wantsToken()
	if known && (s.fresh && (scope == "" || scope == s.scope()) || s.account.config.RegistryToken != "") {
		return false, nil
	}
	wanted.Insecure = s.challenge.Insecure
	s.challenge = wanted
	if !known {
		never := func(challenge) bool { return false }
		now := func() (challenge, error) { return challenge{wanted, s.now()}, nil }
		if _, err := s.challenges.do(ctx, s.site.key(), never, now); err != nil {
			return false, err
		}
	}
	return true, s.getToken(ctx, scope, s.token)
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
