// Package registry turns image references into digests.
//
// For each reference it asks the registry which digest the tag stands for now,
// and fetches what that digest names once, to see that the registry really has
// it, that its bytes are those of the digest, and that it is an image the nodes
// can run. What is pinned is the digest of the index, never one platform's.
//
// References and registries are not trusted: anyone who can commit can name any
// host, and any registry can redirect anywhere. Addresses are checked when they
// are dialled, plain HTTP is for declared hosts only, answers are bounded in
// size and time, and no text of a server reaches an error.
//
// The package knows strings. What an image is inside a Kubernetes object, which
// Secret holds the credentials, and when to try again are the caller's matters:
// nothing here sleeps or retries.
package registry

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

const (
	defaultTimeout     = 30 * time.Second
	defaultConcurrency = 8
	defaultUserAgent   = "belay"
)

// Options say what a [Resolver] may reach and how. The zero value reaches public
// registries over HTTPS, anonymously.
type Options struct {
	// Keychain finds the credentials for a repository; nil means none.
	Keychain authn.Keychain

	// Insecure names the hosts, written host or host:port, that may be spoken to
	// over plain HTTP and may have any address. Without a port, ports 80 and 443
	// are meant.
	Insecure []string

	// Allow lists private networks in which registries may be reached over HTTPS.
	// It never opens loopback, link-local and metadata addresses.
	Allow []netip.Prefix

	// RootCAs are the authorities trusted for HTTPS; nil means the system's.
	RootCAs *x509.CertPool

	// Proxy chooses a proxy as in [http.Transport]; nil means none. The names in
	// proxied requests are resolved by the proxy, so it must do its own refusing.
	Proxy func(*http.Request) (*url.URL, error)

	// Timeout bounds each request, its body included. Zero means 30 seconds.
	Timeout time.Duration

	// Concurrency bounds how many images one call asks for at a time. Zero means 8.
	Concurrency int

	// Platforms are those of the nodes, such as "linux/amd64". An index with none
	// of them is refused. Empty means that platforms are not looked at.
	Platforms []string

	// UserAgent is sent with each request. Empty means "belay".
	UserAgent string
}

// Resolver finds digests. It is safe for concurrent use; an agent needs one, and
// uses [Resolver.With] where credentials differ.
type Resolver struct {
	keychain    authn.Keychain
	concurrency int
	platforms   []v1.Platform
	insecure    hosts
	transport   http.RoundTripper
	verified    *verified
	budget      *budget
}

// New returns a Resolver, or an error that names the malformed platform.
func New(opts Options) (*Resolver, error) {
	platforms, err := parsePlatforms(opts.Platforms)
	if err != nil {
		return nil, err
	}
	r := &Resolver{
		concurrency: opts.Concurrency,
		platforms:   platforms,
		insecure:    newHosts(opts.Insecure),
		transport:   newGuard(opts),
		verified:    newVerified(),
		budget:      newBudget(),
	}
	if r.concurrency <= 0 {
		r.concurrency = defaultConcurrency
	}
	return r.With(opts.Keychain), nil
}

// With returns a Resolver that uses the given credentials, and shares everything
// else with r: connections, what was verified, and what registries said about
// being asked too often. A nil keychain means anonymous.
func (r *Resolver) With(keychain authn.Keychain) *Resolver {
	if keychain == nil {
		keychain = authn.NewMultiKeychain()
	}
	with := *r
	with.keychain = keychain
	return &with
}

// Resolve returns the digest, "sha256:…", of each image, keyed by the image as it
// is written. Each distinct reference is asked for once, and each manifest not
// seen before is fetched once; a reference that already has a digest is not asked
// for at all.
//
// No request is made unless all images are well formed. If any cannot be
// resolved there is no result, and the error joins one [*Error] per image: first
// those that trying again will not help, then the longest waits, so that
// [errors.As] finds the one to act on. If ctx ends first, the error is its cause.
func (r *Resolver) Resolve(ctx context.Context, images []string) (map[string]string, error) {
	refs, err := parseAll(images)
	if err != nil {
		return nil, err
	}
	digests := make([]string, len(refs))
	errs := make([]*Error, len(refs))
	pass := newPass(r)

	var group errgroup.Group
	group.SetLimit(r.concurrency)
	for i, ref := range refs {
		group.Go(func() (panicked error) {
			defer func() {
				if cause := recover(); cause != nil {
					panicked = fmt.Errorf("%v\n%s", cause, debug.Stack())
				}
			}()
			digest, err := pass.resolve(ctx, ref)
			if err != nil {
				errs[i] = explain(ref, err)
			}
			digests[i] = digest
			return nil
		})
	}
	// Each error is kept, none is returned. A panic goes on in the caller, where it ends one pass and not the agent.
	if panicked := group.Wait(); panicked != nil {
		panic(panicked.Error())
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("resolving images: %w", context.Cause(ctx))
	}
	if err := join(errs); err != nil {
		return nil, err
	}
	pins := make(map[string]string, len(refs))
	for i, ref := range refs {
		pins[ref.image] = digests[i]
	}
	return pins, nil
}
