package registry

import (
	"cmp"
	"context"
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
	// tokenAge is how long a token lasts if its server does not say, and the least that any lasts
	// (https://distribution.github.io/distribution/spec/auth/token/, expires_in).
	tokenAge = 60 * time.Second
	// tokenMargin is how long before its end a token is not used any more.
	tokenMargin = 10 * time.Second
	// maxToken is how long a token may be. Thousands are kept, and the longest that are met have some 4 KiB.
	maxToken = 16 << 10
)

type tokenKey struct {
	account accountID
	path    string
}

type tokenKept struct {
	text  string
	until time.Time
}

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
	text := cmp.Or(token.AccessToken, token.Token) // either name is used, as in go-containerregistry#54
	if len(text) > maxToken {
		return tokenKept{}, unavailable("the token for it is longer than any should be")
	}
	age := max(time.Duration(token.ExpiresIn)*time.Second, tokenAge)
	return tokenKept{text, at.Add(age - tokenMargin)}, nil
}

// wayToRealm is how the host that makes tokens is reached. It may be declared like any registry; but whom we say that we
// are there is for declared registries only.
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
	if !s.site.declared() {
		// Else any registry that an image names would be given a token that was made for who is in there.
		realmWay.site.Header, realmWay.site.Certificates = nil, nil
	}
	// Package transport lets a private address make tokens only where it is the registry itself, and does not know what
	// is declared.
	if !realmWay.declares(realm.Host) {
		registry = s.site.registry
	}
	return registry, realmWay, nil
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
	insecure := s.challenge.Insecure
	if s.challenge, err = trimmed(wanted); err != nil {
		return false, err
	}
	s.challenge.Insecure = insecure
	if !known {
		never := func(challenge) bool { return false }
		now := func() (challenge, error) { return challenge{s.challenge, s.now()}, nil }
		if _, err := s.challenges.do(ctx, s.site.key(), never, now); err != nil {
			return false, err
		}
	}
	return true, s.getToken(ctx, scope, s.token)
}
