package registry

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Endpoint is a place where a registry's images may be asked for: a mirror, or the registry itself. Operators declare
// endpoints, so any address and plain HTTP are fine.
type Endpoint struct {
	// URL is where the API is, its version included and without a slash at the end: https://mirror.example.com/v2.
	// The manifests of a repository are at URL/REPOSITORY/manifests. Nil is the registry itself, by the rules for
	// hosts that nobody declared, but with the TLS settings here.
	URL *url.URL
	// Mirror serves the images of other registries too, and is told which: by ?ns=docker.io, as containerd tells it.
	Mirror bool

	RootCAs      *x509.CertPool    // the authorities trusted for HTTPS; nil means those of [Options]
	Certificates []tls.Certificate // shown to a server that asks who is there
	SkipVerify   bool              // no certificate is looked at

	// Header is sent with each request to the host of URL, and to no other.
	Header http.Header
}

// site is one repository at one endpoint.
type site struct {
	Endpoint
	repository name.Repository // as the image says
	registry   name.Registry   // the host that is asked
	insecure   bool            // the host may be asked by plain HTTP though no endpoint says so
}

// sites are where a repository may be asked for, in the order in which they are tried.
func (r *Resolver) sites(repository name.Repository) ([]site, error) {
	own := site{repository: repository, registry: repository.Registry, insecure: r.guard.insecure.has(repository.RegistryStr())}
	if r.endpoints == nil {
		return []site{own}, nil
	}
	declared, err := r.endpoints(hostOf(repository))
	if err != nil {
		return nil, unreadableEndpoints(err)
	}
	if len(declared) == 0 {
		return []site{own}, nil
	}
	var sites []site
	for _, endpoint := range declared {
		s := own
		s.Endpoint = endpoint
		if endpoint.URL != nil {
			if s.registry, err = name.NewRegistry(endpoint.URL.Host, name.WeakValidation); err != nil {
				return nil, unreadableEndpoints(err)
			}
		}
		sites = append(sites, s)
	}
	return sites, nil
}

// unreadableEndpoints quotes what was read from the operator's own files, never from a server.
func unreadableEndpoints(err error) *Error {
	return &Error{
		Reason:    EndpointsUnreadable,
		Detail:    "where to ask for it cannot be read: " + oneLine(err.Error()),
		Temporary: true,
	}
}

func (s site) declared() bool { return s.URL != nil }

// host is whom we talk to, with its port if that is not the usual one.
func (s site) host() string { return s.registry.RegistryStr() }

// is tells whether an authority is that of the site.
func (s site) is(authority string) bool { return canonical(authority) == canonical(s.host()) }

// key tells sites apart, whatever the repository.
func (s site) key() string {
	if s.URL == nil {
		return s.host()
	}
	return s.URL.String()
}

// api is where the repositories are.
func (s site) api(scheme string) *url.URL {
	if s.URL == nil {
		return &url.URL{Scheme: scheme, Host: s.host(), Path: "/v2"}
	}
	return &url.URL{Scheme: s.URL.Scheme, Host: s.URL.Host, Path: s.URL.Path}
}

// versioned splits the path of the API behind its version. A mirror that serves several registries often has a part of
// its own before the repository: /v2/docker-proxy.
func (s site) versioned() (version, prefix string) {
	if s.URL == nil {
		return "/v2", ""
	}
	before, after, found := strings.Cut(s.URL.Path+"/", "/v2/")
	if !found {
		return s.URL.Path, ""
	}
	return before + "/v2", after
}

// path is what the site calls the repository. Credentials and tokens are for that.
func (s site) path() string {
	_, prefix := s.versioned()
	return prefix + s.repository.RepositoryStr()
}

// query tells a mirror whose image is wanted.
func (s site) query() url.Values {
	if !s.Mirror {
		return url.Values{}
	}
	return url.Values{"ns": {hostOf(s.repository)}}
}
