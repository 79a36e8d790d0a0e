package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// pass is one call. What it asks of the cluster it asks once.
type pass struct {
	*Resolver
	began uint64 // its place among all calls and refusals
	nodes func() ([]v1.Platform, error)
}

func (r *Resolver) newPass(ctx context.Context) *pass {
	return &pass{Resolver: r, began: r.order.Add(1), nodes: sync.OnceValues(func() ([]v1.Platform, error) { return r.nodePlatforms(ctx) })}
}

// memory is what all callers know of images.
type memory struct {
	tours    *lookup[tourKey, answer]   // by who may ask at which sites
	tags     *lookup[tagKey, answer]    // by account
	heads    *lookup[tagKey, answer]    // the digests alone, while what they are is not known
	contents *lookup[string, contents]  // by repository and digest, for ever
	digests  *lookup[tourKey, presence] // by who may ask at which sites
	there    *lookup[tagKey, presence]  // digests, by account
	order    *atomic.Uint64             // counts calls and refusals
}

// tagKey is an image and the account that it is asked for with: what one was told is not for others.
type tagKey struct {
	image   string
	account accountID
}

// answer is what a registry said of a tag.
type answer struct {
	digest   string
	contents contents
	at       time.Time // when it was asked
	account  accountID
	source   string

	refusal *Error // instead of all that
	order   uint64 // of the refusal
}

// resolve returns what one reference stands for, once it is known to be sound.
func (p *pass) resolve(ctx context.Context, q question, since time.Time) (Resolution, error) {
	if digest, ok := q.Reference.(name.Digest); ok {
		return Resolution{Digest: digest.DigestStr()}, nil
	}
	tour, err := p.newTour(q)
	if err != nil {
		return Resolution{}, err
	}
	recent := func(a answer) bool { return !a.at.Before(since) }
	found, err := p.tours.do(ctx, tour.key(), recent, func() (answer, error) {
		var found answer
		account, err := tour.visit(ctx, func(s *session) (err error) {
			found, err = p.ask(ctx, s, q.reference, recent)
			return err
		})
		found.account, found.source = account.id, account.source
		return found, err
	})
	if err != nil {
		return Resolution{}, err
	}
	if err := p.runs(found.contents); err != nil {
		return Resolution{}, err
	}
	return Resolution{Digest: found.digest, At: found.at, Source: tour.source(found)}, nil
}

// ask asks for a tag, if nobody has done so with the same account. Who waited while the registry refused it takes that for
// an answer, since there may be a thousand of them; who comes later asks again, for tags are pushed and grants are given.
func (p *pass) ask(ctx context.Context, s *session, ref reference, recent func(answer) bool) (answer, error) {
	good := func(a answer) bool { return a.refusal == nil && recent(a) || a.refusal != nil && a.order > p.began }
	found, err := p.tags.do(ctx, tagKey{ref.Name(), s.account.id}, good, func() (answer, error) {
		found, err := s.tag(ctx, ref, recent)
		if refusal := (*Error)(nil); errors.As(err, &refusal) && !refusal.Temporary {
			return answer{refusal: refusal, order: p.order.Add(1)}, nil
		}
		return found, err
	})
	if err == nil && found.refusal != nil {
		return answer{}, found.refusal
	}
	return found, err
}

// tag asks for a tag, and for what its digest is if that is not known. The digest is kept while the latter cannot be asked
// for: with many who want something of a busy host, nobody might ever get both.
func (s *session) tag(ctx context.Context, ref reference, recent func(answer) bool) (answer, error) {
	key := tagKey{ref.Name(), s.account.id}
	head, err := s.heads.do(ctx, key, recent, func() (answer, error) {
		at := s.now() // the tag may move while the answer is on its way
		digest, err := s.digest(ctx, ref.Identifier())
		return answer{digest: digest, at: at}, err
	})
	if err != nil {
		return answer{}, err
	}
	always := func(contents) bool { return true }
	head.contents, err = s.contents.do(ctx, ref.Context().Digest(head.digest).Name(), always, func() (contents, error) {
		return s.inspect(ctx, head.digest)
	})
	if refusal := (*Error)(nil); err == nil || errors.As(err, &refusal) && !refusal.Temporary {
		s.heads.forget(key)
	}
	return head, err
}

// runs refuses an index that is for none of the nodes.
func (p *pass) runs(c contents) error {
	if !c.index {
		return nil
	}
	want, err := p.nodes()
	if err != nil {
		return err
	}
	return checkPlatforms(c.platforms, want)
}

// presence is what registries said of a digest.
type presence struct {
	missing bool
	at      time.Time // when it was asked; of several registries, the first
}

// missing reports whether the registry answers 404 for a digest, at each of its endpoints.
func (p *pass) missing(ctx context.Context, q question, since time.Time) (bool, error) {
	digest, ok := q.Reference.(name.Digest)
	if !ok {
		return false, &Error{Reason: InvalidReference, Detail: "it has no digest that could be missing"}
	}
	tour, err := p.newTour(q)
	if err != nil {
		return false, err
	}
	recent := func(known presence) bool { return !known.at.Before(since) }
	known, err := p.digests.do(ctx, tour.key(), recent, func() (presence, error) {
		at := p.now()
		_, err := tour.visit(ctx, func(s *session) error {
			said, err := p.exists(ctx, s, digest, recent)
			if err == nil && said.at.Before(at) {
				at = said.at
			}
			if err == nil && said.missing {
				err = refused(http.StatusNotFound, "")
			}
			return err
		})
		switch elsewhere := tour.otherThanMissing(); {
		case err == nil:
			return presence{at: at}, nil
		case elsewhere != nil:
			return presence{}, elsewhere
		}
		return presence{missing: true, at: at}, nil
	})
	return known.missing, err
}

// exists asks one site for a digest, if nobody has done so with the same account.
func (p *pass) exists(ctx context.Context, s *session, digest name.Digest, recent func(presence) bool) (presence, error) {
	return p.there.do(ctx, tagKey{digest.Name(), s.account.id}, recent, func() (presence, error) {
		at := p.now()
		err := s.exists(ctx, digest.DigestStr())
		if failed(err, NotFound) {
			return presence{missing: true, at: at}, nil
		}
		return presence{at: at}, err
	})
}
