package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"unicode"
)

// way is how one account's requests to one site go.
type way struct {
	*guard
	site    site
	account accountID
	ping    bool
}

// RoundTrip sends a request that is allowed. An answer of 429 or 5xx is returned as an [*Error], since only here its
// Retry-After is seen.
func (w way) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := w.allowed(req); err != nil {
		return nil, err
	}
	out, err := w.transport(req)
	if err != nil {
		return nil, err
	}
	host := hostKey(req.URL.Host)
	if err := w.enter(req, host); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), w.timeout)
	resp, err := out.RoundTrip(w.dressed(req.Clone(ctx)))
	if err == nil {
		err = overloaded(resp)
	}
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		cancel()
		w.settle(req, host, err)
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, left: maxBody, cancel: cancel, done: func(err error) { w.settle(req, host, err) }}
	return resp, nil
}

// dressed puts on a request what belongs to its host, and takes off what does not.
func (w way) dressed(req *http.Request) *http.Request {
	req.Header.Set("User-Agent", w.userAgent)
	if canonical(origin(req).URL.Host) != canonical(req.URL.Host) {
		req.Header.Del("Authorization")
	}
	if !w.site.declared() || !w.site.is(req.URL.Host) {
		return req
	}
	for name, values := range w.site.Header {
		if http.CanonicalHeaderKey(name) != "Authorization" || req.Header.Get("Authorization") == "" {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return req
}

// enter asks the budget for a request.
func (w way) enter(req *http.Request, host string) error {
	if w.tries(req) {
		return w.budget.check(host, w.account)
	}
	return w.budget.enter(host, w.account, w.ping)
}

// tries tells whether a request is half of a ping: a host that is declared insecure is pinged by HTTPS and by HTTP, and
// most of them fail at the former.
func (w way) tries(req *http.Request) bool {
	return w.ping && w.site.insecure && !w.site.declared() && req.URL.Scheme == "https"
}

// settle tells the budget how a request went.
func (w way) settle(req *http.Request, host string, err error) {
	if w.tries(req) {
		return
	}
	if err == nil {
		w.budget.leave(host, true, "")
		return
	}
	e := classify(err)
	if e.RetryAfter > 0 {
		w.budget.hush(host, w.account, e)
	}
	// A host that is not trusted, or not allowed, is not a host that is down.
	down := (e.Reason == Unavailable || e.Reason == Timeout) && !errors.As(err, new(*tls.CertificateVerificationError))
	w.budget.leave(host, down && req.Context().Err() == nil, e.Detail)
}

// transport chooses the connections for a request. What is declared for an endpoint counts for its own host.
func (w way) transport(req *http.Request) (http.RoundTripper, error) {
	proxied := false
	if w.proxy != nil {
		proxy, err := w.proxy(req)
		if err != nil {
			return nil, &Error{Reason: Unavailable, Detail: "the proxy settings are not valid", Temporary: true}
		}
		proxied = proxy != nil
	}
	if w.site.is(req.URL.Host) && (w.site.declared() || w.site.RootCAs != nil || w.site.Certificates != nil || w.site.SkipVerify) {
		key := hostOf(w.site.repository) + " " + w.site.key()
		if proxied {
			key += " by proxy"
		}
		return w.tailored.fit(key, w.site.Endpoint, func() *http.Transport { return w.tailor(proxied) }), nil
	}
	if proxied {
		return w.proxied, nil
	}
	return w.direct, nil
}

// tailor makes the connections of the site's endpoint. The proxy is the operator's, wherever it is.
func (w way) tailor(proxied bool) *http.Transport {
	authorities := w.site.RootCAs
	if authorities == nil {
		authorities = w.rootCAs
	}
	t := baseTransport(authorities)
	t.TLSClientConfig.Certificates = w.site.Certificates
	t.TLSClientConfig.InsecureSkipVerify = w.site.SkipVerify
	t.DialContext = w.dialer.careful
	if proxied {
		t.Proxy = w.proxy
	}
	if proxied || w.site.declared() {
		t.DialContext = w.dialer.DialContext
	}
	return t
}

// declares tells whether an operator vouches for a host, be it where it may.
func (w way) declares(authority string) bool {
	return w.insecure.has(authority) || w.site.declared() && w.site.is(authority)
}

// mayBePlain tells whether an operator has declared that a host may be asked by plain HTTP.
func (w way) mayBePlain(authority string) bool {
	return w.insecure.has(authority) || w.site.declared() && w.site.URL.Scheme == "http" && w.site.is(authority)
}

// allowed applies the rules that need no address.
func (w way) allowed(req *http.Request) error {
	hops := 0
	for r := req; r.Response != nil; r = r.Response.Request {
		hops++
	}
	plain := req.URL.Scheme != "https"
	mayBePlain := req.URL.Scheme == "http" && w.mayBePlain(req.URL.Host)
	switch {
	case hops > maxRedirects:
		return &Error{Reason: Redirected, Detail: "the registry redirects too often"}
	case hops > 0 && w.ping:
		return &Error{Reason: Redirected, Detail: "the registry redirects the first request, to /v2/; name the host where it really is"}
	case hops > 0 && origin(req).Method == http.MethodPost:
		return &Error{Reason: Redirected, Detail: "the server that makes the registry's tokens redirects; credentials do not follow"}
	case hops > 0 && plain && (!mayBePlain || req.Response.Request.URL.Scheme == "https"):
		return &Error{Reason: Redirected, Detail: "the registry redirects to plain HTTP; it should redirect to HTTPS"}
	case plain && !mayBePlain:
		return errPlain
	case strings.ContainsFunc(req.URL.Host, func(r rune) bool { return r > unicode.MaxASCII }):
		// Package http dials another host then: the one that this stands for in ASCII.
		return &Error{Reason: AddressRefused, Detail: "it leads to a host that is not written in ASCII"}
	case !w.declares(req.URL.Host) && w.refuse.has(req.URL.Host):
		return errRefused
	}
	return nil
}

// origin is the request that redirects led away from, or req itself.
func origin(req *http.Request) *http.Request {
	for req.Response != nil {
		req = req.Response.Request
	}
	return req
}
