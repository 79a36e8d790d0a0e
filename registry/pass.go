package registry

import (
	"context"
	"errors"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
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

// resolve returns the digest of one reference, once it is known to be sound.
func (p *pass) resolve(ctx context.Context, ref reference) (string, error) {
	if digest, ok := ref.Reference.(name.Digest); ok {
		return digest.DigestStr(), nil
	}
	return p.digests.do(ref.Name(), func() (string, error) {
		account, err := p.account(ctx, ref.Context())
		if err != nil {
			return "", err
		}
		if err := p.budget.check(account.key()); err != nil {
			return "", err
		}
		digest, err := p.ask(ctx, account, ref)
		if tooMany := (*Error)(nil); errors.As(err, &tooMany) && tooMany.Reason == TooManyRequests {
			p.budget.spend(account.key(), tooMany.RetryAfter)
		}
		return digest, err
	})
}

func (p *pass) ask(ctx context.Context, account account, ref reference) (string, error) {
	session, err := p.sessions.do(ref.Context().Name(), func() (*session, error) {
		return p.signIn(ctx, account)
	})
	if err != nil {
		return "", err
	}
	digest, err := session.digest(ctx, ref.Identifier())
	if err != nil {
		return "", err
	}
	pinned := ref.Context().Digest(digest).Name()
	if p.verified.has(pinned) {
		return digest, nil
	}
	_, err = p.manifests.do(pinned, func() (struct{}, error) {
		return struct{}{}, session.verify(ctx, digest, p.platforms)
	})
	if err != nil {
		return "", err
	}
	p.verified.add(pinned)
	return digest, nil
}

// account is who asks for a repository.
type account struct {
	repository    name.Repository
	authenticator authn.Authenticator
	config        authn.AuthConfig
}

// account finds the credentials for a repository. If they cannot be read that is
// an error: the request is not made anonymously instead.
func (p *pass) account(ctx context.Context, repository name.Repository) (account, error) {
	unreadable := &Error{Reason: Unauthorized, Detail: "the credentials for it cannot be read"}
	authenticator, err := authn.Resolve(ctx, p.keychain, repository)
	if err != nil {
		return account{}, unreadable
	}
	config, err := authn.Authorization(ctx, authenticator)
	if err != nil {
		return account{}, unreadable
	}
	return account{repository, authenticator, *config}, nil
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
