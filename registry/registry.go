// Package registry turns image references into digests.
//
// For each reference it asks the registry which digest the tag stands for now, and fetches what that digest names once,
// to see that the registry really has it, that its bytes are those of the digest, and that it is an image the nodes can
// run. What is pinned is the digest of the index, never one platform's. It also tells which digests registries do not have
// any more, and which images are signed.
//
// One [Resolver] serves a whole agent, and all that is learned by one caller spares the others a request: how a registry
// wants to be signed in to, its tokens, what a tag stands for, what a digest names. An answer is shared among those who
// show the same credentials, and with nobody else. A host has a budget, and one that fails is left alone for a while; who
// wants more than that gets an error that says how long to wait.
//
// An image is asked for where operators have declared it, at mirrors and at the registry, in their order, or else at the
// host in its name; and with the credentials that are for the host that is asked, in the order in which a node would try
// them. Where all are refused it is not tried without.
//
// References and registries are not trusted: anyone who can commit can name any host, and any registry can redirect
// anywhere. Addresses are judged when they are dialled, plain HTTP is for declared hosts only, answers are bounded in size
// and time, and no text of a server reaches an error.
//
// The package knows strings. What an image is inside a Kubernetes object, which Secret holds the credentials, and when to
// try again are the caller's matters: nothing here sleeps, and a request is made again only where a new token may help.
package registry

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

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
	// Credentials are the agent's own, tried after those of a [Query].
	Credentials []*Credentials

	// Provider is asked for credentials after all others; nil means none.
	Provider Provider

	// Endpoints returns where the images of a host may be asked for, in the order in which they are tried. Without any,
	// or if it is nil, the host is asked itself. Docker Hub is "docker.io".
	Endpoints func(host string) ([]Endpoint, error)

	// Refuse names the hosts, written host or host:port, that no image may lead to, by any name and by redirect: the API
	// server's. One that is declared, by Insecure or as an endpoint, is not refused.
	Refuse []string

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

	// Platforms returns those of the nodes, such as "linux/amd64". It is asked when an index is about to be pinned; one
	// with none of them is refused. None, or a nil function, means that platforms are not looked at.
	Platforms func(ctx context.Context) ([]string, error)

	// UserAgent is sent with each request. Empty means "belay".
	UserAgent string
}

// How much is remembered.
const (
	maxTags     = 8192
	maxContents = 8192
	maxSites    = 1024
	maxTokens   = 2048
	maxSigned   = 8192
)

// Resolver finds digests. It is safe for concurrent use, and an agent needs one.
type Resolver struct {
	credentials []*Credentials
	provider    Provider
	endpoints   func(host string) ([]Endpoint, error)
	platforms   func(ctx context.Context) ([]string, error)
	concurrency int
	guard       *guard
	now         func() time.Time
	signIns
	memory
	signed *lookup[string, struct{}] // by digest and key, for ever
}

// New returns a Resolver, or an error that names the malformed host among those declared.
func New(opts Options) (*Resolver, error) { return newResolver(opts, time.Now) }

func newResolver(opts Options, now func() time.Time) (*Resolver, error) {
	for _, host := range slices.Concat(opts.Insecure, opts.Refuse) {
		if !validHost.MatchString(host) {
			return nil, fmt.Errorf("parsing registry host %q: it should be like registry.example.com or registry.example.com:5000", host)
		}
	}
	concurrency := opts.Concurrency
	if concurrency <= 0 {
		concurrency = defaultConcurrency
	}
	return &Resolver{
		credentials: opts.Credentials,
		provider:    opts.Provider,
		endpoints:   opts.Endpoints,
		platforms:   opts.Platforms,
		concurrency: concurrency,
		guard:       newGuard(opts, now),
		now:         now,
		signIns: signIns{
			challenges: newLookup[string, challenge](maxSites),
			tokens:     newLookup[tokenKey, tokenKept](maxTokens),
		},
		memory: memory{
			tours:    newLookup[tourKey, answer](maxTags),
			tags:     newLookup[tagKey, answer](maxTags),
			heads:    newLookup[tagKey, answer](maxTags),
			contents: newLookup[string, contents](maxContents),
			digests:  newLookup[tourKey, presence](maxTags),
			there:    newLookup[tagKey, presence](maxTags),
			order:    new(atomic.Uint64),
		},
		signed: newLookup[string, struct{}](maxSigned),
	}, nil
}

// Resolve returns what each image stands for, keyed by the image as it is written. Each distinct reference is asked for
// once, and each manifest not seen before is fetched once; a reference that already has a digest is not asked for at
// all. An answer that a registry has given after since, to whoever asked with the same account, is taken again without a
// request.
//
// No request is made unless all images are well formed. What it answers counts also with an error, which joins one
// [*Error] per image that could not be resolved: first those that trying again will not help, then the longest waits,
// so that [errors.As] finds the one to act on. If ctx ends first there is no answer, and the error is its cause.
func (r *Resolver) Resolve(ctx context.Context, queries []Query, since time.Time) (map[string]Resolution, error) {
	questions, err := parseQueries(queries)
	if err != nil {
		return nil, err
	}
	resolutions := make([]Resolution, len(questions))
	pass := r.newPass(ctx)
	since = r.past(since)
	errs, err := r.each(ctx, questions, func(i int, q question) (err error) {
		resolutions[i], err = pass.resolve(ctx, q, since)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resolving images: %w", err)
	}
	answers := make(map[string]Resolution, len(questions))
	for i, q := range questions {
		if errs[i] == nil {
			answers[q.image] = resolutions[i]
		}
	}
	return answers, join(errs)
}

// Missing names those images, each with a digest, that their registries do not have any more: they answer 404 for the
// digest. An answer that was asked for after since, with the same account, is taken again without a request. What it
// answers counts also with an error, which joins one [*Error] per image that is not known to be there or to be missing. An
// image without a digest is such an error.
func (r *Resolver) Missing(ctx context.Context, queries []Query, since time.Time) ([]string, error) {
	questions, err := parseQueries(queries)
	if err != nil {
		return nil, err
	}
	missing := make([]bool, len(questions))
	pass := r.newPass(ctx)
	since = r.past(since)
	errs, err := r.each(ctx, questions, func(i int, q question) (err error) {
		missing[i], err = pass.missing(ctx, q, since)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for images: %w", err)
	}
	var images []string
	for i, q := range questions {
		if missing[i] {
			images = append(images, q.image)
		}
	}
	return images, join(errs)
}

// past is since, or now if that is still to come: where a clock was put back, no answer would ever be young enough.
func (r *Resolver) past(since time.Time) time.Time {
	if now := r.now(); since.After(now) {
		return now
	}
	return since
}

// each asks the questions side by side, and returns an error for each. If ctx ends first the last error is its cause.
func (r *Resolver) each(ctx context.Context, questions []question, ask func(int, question) error) ([]*Error, error) {
	errs := make([]*Error, len(questions))
	var group errgroup.Group
	group.SetLimit(r.concurrency)
	for i, q := range questions {
		group.Go(func() (panicked error) {
			defer func() {
				if cause := recover(); cause != nil {
					panicked = fmt.Errorf("%v\n%s", cause, debug.Stack())
				}
			}()
			if err := ask(i, q); err != nil {
				errs[i] = explain(q.reference, err)
			}
			return nil
		})
	}
	// Each error is kept, none is returned. A panic goes on in the caller, where it ends one pass and not the agent.
	if panicked := group.Wait(); panicked != nil {
		panic(panicked.Error())
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return errs, nil
}
