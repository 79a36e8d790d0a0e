package registry

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
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
