package registry

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// account is who asks a site: what one source has for it, or nobody.
type account struct {
	source string
	config authn.AuthConfig
	id     accountID
}

// accountID tells accounts apart without holding what is secret of them. The site is part of it.
type accountID [sha256.Size]byte

func newAccount(s site, source string, config authn.AuthConfig) account {
	// By field: an AuthConfig writes itself with user name and password joined, which is not one to one.
	text, err := json.Marshal([]string{s.key(), config.Username, config.Password, config.IdentityToken, config.RegistryToken})
	if err != nil {
		panic(err) // strings can be written
	}
	return account{source, config, sha256.Sum256(text)}
}

func (a account) anonymous() bool { return a.config == authn.AuthConfig{} }

// accounts is who a question may be asked by at one site, and what became of it.
type accounts struct {
	site     site
	sources  []*Credentials
	provider Provider

	failed  error    // of the provider
	refused []string // sources
}

// known are those of the sources, in the order in which they are tried, each once.
func (a *accounts) known(sources ...*Credentials) []account {
	var known []account
	for _, source := range sources {
		for _, config := range source.lookup(a.site.host(), a.site.path()) {
			found := newAccount(a.site, source.Source, config)
			if !slices.ContainsFunc(known, func(k account) bool { return k.id == found.id }) {
				known = append(known, found)
			}
		}
	}
	return known
}

// each yields the accounts in the order in which they are tried. The provider is asked when all others were refused, and
// nobody asks anonymously where a source has credentials.
func (a *accounts) each(ctx context.Context) iter.Seq[account] {
	return func(yield func(account) bool) {
		known := a.known(a.sources...)
		for _, account := range known {
			if !yield(account) {
				return
			}
		}
		if a.provider != nil {
			var provided *Credentials
			provided, a.failed = a.provider.Credentials(ctx, dockerHub(a.site.host())+"/"+a.site.path())
			for _, account := range a.known(provided) {
				known = append(known, account)
				if !yield(account) {
					return
				}
			}
		}
		if len(known) == 0 && a.failed == nil {
			yield(newAccount(a.site, "", authn.AuthConfig{}))
		}
	}
}

// unauthorized is the error when each account was refused.
func (a *accounts) unauthorized() *Error {
	host := dockerHub(a.site.host())
	var why []string
	if len(a.refused) > 0 {
		why = append(why, fmt.Sprintf("%s refused the credentials of %s; they must allow to pull it", host, list(a.refused)))
	} else if a.failed == nil {
		why = append(why, "no credentials for "+host+" were found, and without them it cannot be read; it may not exist")
		if looked := a.looked(); len(looked) > 0 {
			why = append(why, "looked at: "+list(looked))
		}
	}
	for _, source := range a.sources {
		if source == nil || source.why == "" || len(why) > 5 {
			continue
		}
		if text := source.Source + " cannot be read: " + oneLine(source.why); !slices.Contains(why, text) {
			why = append(why, text)
		}
	}
	if a.failed != nil {
		why = append(why, "the credential provider has failed: "+oneLine(a.failed.Error()))
	}
	return &Error{Reason: Unauthorized, Detail: strings.Join(why, "; ")}
}

// looked are the sources that could be read and have nothing for the host.
func (a *accounts) looked() []string {
	var looked []string
	for _, source := range a.sources {
		if source != nil && source.why == "" && !slices.Contains(looked, source.Source) {
			looked = append(looked, source.Source)
		}
	}
	return looked
}
