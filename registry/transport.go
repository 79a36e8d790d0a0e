package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	maxBody      = 4 << 20 // the manifest limit of most registries
	maxHeader    = 256 << 10
	maxRedirects = 3
)

// guard is the only way out: pings, token requests, manifests and the redirects of
// all three pass through it.
type guard struct {
	direct    http.RoundTripper // checks addresses
	proxied   http.RoundTripper // cannot
	proxy     func(*http.Request) (*url.URL, error)
	insecure  hosts
	timeout   time.Duration
	userAgent string
}

func newGuard(opts Options) *guard {
	insecure := newHosts(opts.Insecure)
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	careful := *dialer
	careful.Control = refuseAddress(opts.Allow)

	direct := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if insecure.has(address) {
				return dialer.DialContext(ctx, network, address)
			}
			return careful.DialContext(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{RootCAs: opts.RootCAs},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is hashed is what was sent
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    defaultConcurrency,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
	proxied := direct.Clone()
	proxied.DialContext = dialer.DialContext
	proxied.Proxy = opts.Proxy
	return &guard{
		direct:    direct,
		proxied:   proxied,
		proxy:     opts.Proxy,
		insecure:  insecure,
		timeout:   cmp.Or(opts.Timeout, defaultTimeout),
		userAgent: cmp.Or(opts.UserAgent, defaultUserAgent),
	}
}

// RoundTrip sends a request that is allowed. An answer of 429 or 5xx is returned as
// an [*Error], since only here its Retry-After is seen.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.allowed(req); err != nil {
		return nil, err
	}
	way, err := g.way(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), g.timeout)
	out := req.Clone(ctx)
	out.Header.Set("User-Agent", g.userAgent)
	if origin := origin(req); canonical(origin.URL.Host) != canonical(req.URL.Host) {
		out.Header.Del("Authorization")
	}
	resp, err := way.RoundTrip(out)
	if err != nil {
		cancel()
		return nil, err
	}
	if err := overloaded(resp); err != nil {
		resp.Body.Close()
		cancel()
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, left: maxBody, cancel: cancel}
	return resp, nil
}

// allowed applies the rules that need no address.
func (g *guard) allowed(req *http.Request) error {
	hops := 0
	for r := req; r.Response != nil; r = r.Response.Request {
		hops++
	}
	plain := req.URL.Scheme != "https"
	declared := req.URL.Scheme == "http" && g.insecure.has(req.URL.Host)
	switch {
	case hops > maxRedirects:
		return &Error{Reason: Redirected, Detail: "the registry redirects too often"}
	case hops > 0 && origin(req).URL.Path == "/v2/":
		return &Error{Reason: Redirected, Detail: "the registry redirects the first request, to /v2/; name the host where it really is"}
	case hops > 0 && plain && (!declared || req.Response.Request.URL.Scheme == "https"):
		return &Error{Reason: Redirected, Detail: "the registry redirects to plain HTTP; it should redirect to HTTPS"}
	case plain && !declared:
		return errPlain
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

// way chooses between the two transports. A name is the proxy's to look up and to
// judge; an address that is written out goes past it, and is judged here.
func (g *guard) way(req *http.Request) (http.RoundTripper, error) {
	if g.proxy == nil {
		return g.direct, nil
	}
	proxy, err := g.proxy(req)
	if err != nil {
		return nil, &Error{Reason: Unavailable, Detail: "the proxy settings are not valid", Temporary: true}
	}
	if proxy == nil || net.ParseIP(req.URL.Hostname()) != nil {
		return g.direct, nil
	}
	return g.proxied, nil
}

func overloaded(resp *http.Response) error {
	switch wait := retryAfter(resp.Header); {
	case resp.StatusCode == http.StatusTooManyRequests:
		return tooManyRequests(wait)
	case resp.StatusCode >= http.StatusInternalServerError:
		return &Error{
			Reason:     Unavailable,
			Detail:     "the registry answered " + strconv.Itoa(resp.StatusCode),
			Temporary:  true,
			RetryAfter: wait,
		}
	}
	return nil
}

// retryAfter reads both forms of the header, seconds and a date (RFC 9110, 10.2.3).
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.Atoi(value); err == nil {
		wait = time.Duration(min(seconds, int(maxRetryAfter.Seconds()))) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = time.Until(date)
	}
	return max(0, min(wait, maxRetryAfter))
}

// body ends in an error after too many bytes, and ends the request's time when it
// is closed.
type body struct {
	io.ReadCloser
	left   int
	cancel context.CancelFunc
}

func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &Error{Reason: TooLarge, Detail: "the registry sends more than 4 MiB, and a manifest has a few KiB"}
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	b.left -= n
	return n, err
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
