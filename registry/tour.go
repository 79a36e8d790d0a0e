package registry

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

// tourKey is an image and all accounts that it may be asked for with, in their order.
type tourKey [sha256.Size]byte

// tour is the way of one question through sites and accounts.
type tour struct {
	*Resolver
	question question
	sites    []site
	sources  []*Credentials
	failures []*Error // one for each site that was asked in vain
}

func (p *pass) newTour(q question) (*tour, error) {
	sites, err := p.sites(q.Context())
	if err != nil {
		return nil, err
	}
	return &tour{Resolver: p.Resolver, question: q, sites: sites, sources: slices.Concat(q.credentials, p.credentials)}, nil
}

func (t *tour) accounts(s site) *accounts {
	return &accounts{site: s, sources: t.sources, provider: t.provider}
}

// key is the same for all who may see the same. What the provider has depends on the image alone.
func (t *tour) key() tourKey {
	hash := sha256.New()
	write := json.NewEncoder(hash)
	_ = write.Encode(t.question.Name()) // a hash takes everything
	for _, s := range t.sites {
		_ = write.Encode(s.key())
		for _, account := range t.accounts(s).known(t.sources...) {
			hash.Write(account.id[:])
		}
	}
	return tourKey(hash.Sum(nil))
}

// source is what this caller calls the credentials that an answer was given to.
func (t *tour) source(a answer) string {
	for _, s := range t.sites {
		for _, account := range t.accounts(s).known(t.sources...) {
			if account.id == a.account {
				return account.source
			}
		}
	}
	return a.source
}

// visit is one tour, for what is not remembered.
func (p *pass) visit(ctx context.Context, q question, ask func(*session) error) (account, error) {
	tour, err := p.newTour(q)
	if err != nil {
		return account{}, err
	}
	return tour.visit(ctx, ask)
}

// visit runs ask at each site, with each account, until one answers. The account is the one that was answered.
func (t *tour) visit(ctx context.Context, ask func(*session) error) (account, error) {
	for _, s := range t.sites {
		account, err := t.at(ctx, s, ask)
		if err == nil {
			return account, nil
		}
		t.failures = append(t.failures, classify(err))
		if ctx.Err() != nil || !elsewherePerhaps(classify(err).Reason) {
			break
		}
	}
	last := *t.failures[len(t.failures)-1]
	switch mirrors := len(t.failures) - 1; {
	case mirrors == 1:
		last.Detail += "; a mirror was asked before, in vain"
	case mirrors > 1:
		last.Detail += "; " + strconv.Itoa(mirrors) + " mirrors were asked before, in vain"
	}
	return account{}, &last
}

// at runs ask at one site, with each account until one is not refused.
func (t *tour) at(ctx context.Context, s site, ask func(*session) error) (account, error) {
	accounts := t.accounts(s)
	for account := range accounts.each(ctx) {
		err := ask(&session{Resolver: t.Resolver, site: s, account: account})
		if err == nil {
			return account, nil
		}
		if e := (*Error)(nil); !errors.As(err, &e) || e.Reason != Unauthorized {
			return account, err
		}
		if !account.anonymous() && !slices.Contains(accounts.refused, account.source) {
			accounts.refused = append(accounts.refused, account.source)
		}
	}
	return account{}, accounts.unauthorized()
}

// elsewherePerhaps tells whether the next endpoint may have what this one has not.
func elsewherePerhaps(why Reason) bool {
	switch why {
	case Unavailable, Timeout, NotFound, TooManyRequests, Busy, Unauthorized, Redirected, AddressRefused:
		return true
	}
	return false
}

// otherThanMissing is the first failure of a site that did not say that it does not have the image.
func (t *tour) otherThanMissing() error {
	for _, failure := range t.failures {
		if failure.Reason != NotFound {
			return failure
		}
	}
	return nil
}
