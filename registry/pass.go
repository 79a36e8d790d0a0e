package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// pass is one call of Resolve. It asks each question once: one ping for each
// registry, one sign-in for each repository, one digest for each reference and
// one manifest for each digest. Sessions end with it, so credentials that change
// are used at the next one, and none are kept.
type pass struct {
	*Resolver
	challenges once[*transport.Challenge]
	sessions   once[*session]
	digests    once[string]
	manifests  once[struct{}]
}

func newPass(r *Resolver) *pass { return &pass{Resolver: r} }

// resolve returns what one reference stands for, once it is known to be sound.
func (p *pass) resolve(ctx context.Context, q question) (Resolution, error) {
	if digest, ok := q.Reference.(name.Digest); ok {
		return Resolution{Digest: digest.DigestStr()}, nil
	}
	var digest string
	var at time.Time
	account, err := p.visit(ctx, q, func(session *session) (err error) {
		digest, err = p.digests.do(session.account.source+" "+q.Name(), func() (string, error) { return p.ask(ctx, session, q.reference) })
		at = time.Now()
		return err
	})
	if err != nil {
		return Resolution{}, err
	}
	return Resolution{Digest: digest, At: at, Source: account.source}, nil
}

// missing reports whether the registry answers 404 for a digest.
func (p *pass) missing(ctx context.Context, q question) (bool, error) {
	digest, ok := q.Reference.(name.Digest)
	if !ok {
		return false, &Error{Reason: InvalidReference, Detail: "it has no digest that could be missing"}
	}
	_, err := p.visit(ctx, q, func(session *session) error {
		_, err := session.digest(ctx, digest.DigestStr())
		return err
	})
	if e := (*Error)(nil); errors.As(err, &e) && e.Reason == NotFound {
		return true, nil
	}
	return false, err
}

// visit runs ask where a question's repository is, with the credentials for it in their order, until one is not refused.
func (p *pass) visit(ctx context.Context, q question, ask func(*session) error) (account, error) {
	accounts, err := p.accounts(ctx, q)
	if err != nil {
		return account{}, err
	}
	var last error
	for _, account := range accounts {
		last = p.as(ctx, account, ask)
		if e := (*Error)(nil); !errors.As(last, &e) || e.Reason != Unauthorized {
			return account, last
		}
	}
	return account{}, last
}

// as runs ask with one account.
func (p *pass) as(ctx context.Context, account account, ask func(*session) error) error {
	if err := p.budget.check(account.key()); err != nil {
		return err
	}
	session, err := p.sessions.do(account.source+" "+account.repository.Name(), func() (*session, error) {
		return p.signIn(ctx, account)
	})
	if err == nil {
		err = ask(session)
	}
	if tooMany := (*Error)(nil); errors.As(err, &tooMany) && tooMany.Reason == TooManyRequests {
		p.budget.spend(account.key(), tooMany.RetryAfter)
	}
	return err
}

func (p *pass) ask(ctx context.Context, session *session, ref reference) (string, error) {
	digest, err := session.digest(ctx, ref.Identifier())
	if err != nil {
		return "", err
	}
	pinned := ref.Context().Digest(digest).Name()
	if p.verified.has(pinned) {
		return digest, nil
	}
	_, err = p.manifests.do(pinned, func() (struct{}, error) {
		platforms, err := p.nodes(ctx)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, session.verify(ctx, digest, platforms)
	})
	if err != nil {
		return "", err
	}
	p.verified.add(pinned)
	return digest, nil
}

// nodes returns the platforms of the nodes.
func (p *pass) nodes(ctx context.Context) ([]v1.Platform, error) {
	if p.Resolver.platforms == nil {
		return nil, nil
	}
	names, err := p.Resolver.platforms(ctx)
	if err != nil {
		return nil, unavailable("the platforms of the nodes are not known")
	}
	return parsePlatforms(names)
}

// account is who asks for a repository.
type account struct {
	repository name.Repository
	source     string
	config     authn.AuthConfig
}

// accounts finds the credentials for a repository, in the order in which they are tried. Without any it is asked for
// anonymously.
func (p *pass) accounts(ctx context.Context, q question) ([]account, error) {
	repository := q.Context()
	sources := slices.Concat(q.credentials, p.credentials)
	if p.provider != nil {
		provided, err := p.provider.Credentials(ctx, hostOf(repository)+"/"+repository.RepositoryStr())
		if err != nil {
			return nil, &Error{Reason: Unauthorized, Detail: "the credentials for it cannot be read"}
		}
		sources = append(sources, provided)
	}
	var accounts []account
	for _, source := range sources {
		for _, config := range source.lookup(repository.RegistryStr(), repository.RepositoryStr()) {
			accounts = append(accounts, account{repository, source.Source, config})
		}
	}
	if len(accounts) == 0 {
		accounts = []account{{repository: repository}}
	}
	return accounts, nil
}

func (a account) anonymous() bool { return a.config == authn.AuthConfig{} }

// key is what a registry counts requests by.
func (a account) key() budgetKey {
	return budgetKey{host: a.repository.RegistryStr(), username: a.config.Username}
}

// once answers each key's question the first time it is asked.
type once[T any] struct {
	mu      sync.Mutex
	answers map[string]func() (T, error)
}

func (o *once[T]) do(key string, question func() (T, error)) (T, error) {
	o.mu.Lock()
	answer, ok := o.answers[key]
	if !ok {
		if o.answers == nil {
			o.answers = make(map[string]func() (T, error))
		}
		answer = sync.OnceValues(question)
		o.answers[key] = answer
	}
	o.mu.Unlock()
	return answer()
}
