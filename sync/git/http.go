package git

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	maxRefsBytes   = 64 << 20 // a version 1 advertisement of a million refs
	maxDrainBytes  = 1 << 10  // of an error's body, so that the connection can be used again
	maxRetryAfter  = time.Hour
	idleConnection = 6 * time.Minute // longer than the usual interval between polls
)

// connections are those of all repositories of this process: many Syncs have few hosts, and each open connection costs
// two goroutines. What belongs to one repository is in its requests.
var connections http.RoundTripper = &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	ForceAttemptHTTP2:   true,
	TLSHandshakeTimeout: 10 * time.Second,
	IdleConnTimeout:     idleConnection,
	MaxIdleConnsPerHost: 16,
}

// httpClient asks one repository's host, and gives its credentials to no other.
type httpClient struct {
	remote    *url.URL                // as it is configured
	base      atomic.Pointer[url.URL] // where it led; moves with a redirect on the same host
	auth      atomic.Pointer[Auth]
	userAgent string
	client    *http.Client
}

func newHTTPClient(base *url.URL, opts Options) *httpClient {
	transport := opts.Transport
	if transport == nil {
		transport = connections
	}
	c := &httpClient{
		remote:    base,
		userAgent: cmp.Or(opts.UserAgent, "belay"),
		client:    &http.Client{Transport: transport, CheckRedirect: checkRedirect},
	}
	c.base.Store(base)
	c.auth.Store(&opts.Auth)
	return c
}

// get asks for the service's advertisement.
func (c *httpClient) get(ctx context.Context, path string, limit int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.Load().String()+path, nil)
	if err != nil {
		return nil, fail(InvalidURL, "the URL makes no valid request")
	}
	req.Header.Set("Accept", "*/*")
	return c.do(req, "application/x-git-upload-pack-advertisement", limit)
}

// post speaks to the upload-pack service.
func (c *httpClient) post(ctx context.Context, body []byte, limit int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.Load().String()+"/git-upload-pack", bytes.NewReader(body))
	if err != nil {
		return nil, fail(InvalidURL, "the URL makes no valid request")
	}
	req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	req.Header.Set("Accept", "application/x-git-upload-pack-result")
	return c.do(req, "application/x-git-upload-pack-result", limit)
}

// do returns the body of a good answer of that type, which fails with
// [TooLarge] after limit bytes.
func (c *httpClient) do(req *http.Request, contentType string, limit int64) (io.ReadCloser, error) {
	req.Header.Set("Git-Protocol", "version=2")
	req.Header.Set("User-Agent", c.userAgent)
	auth := *c.auth.Load()
	auth.apply(req)
	res, err := c.client.Do(req)
	if err != nil {
		return nil, networkError(err)
	}
	body := &body{ReadCloser: res.Body, left: limit, limit: limit}
	if err := statusError(res, auth); err != nil {
		body.Close()
		return nil, err
	}
	if got := res.Header.Get("Content-Type"); got != contentType {
		body.Close()
		return nil, retry(InvalidResponse, "the server's answer is not Git's smart HTTP protocol; is this the repository's clone URL?")
	}
	return body, c.follow(res.Request.URL)
}

// follow remembers where a redirect on the same host led, so that the POSTs
// need none.
func (c *httpClient) follow(final *url.URL) error {
	base := c.base.Load()
	if final.Path == base.Path+"/git-upload-pack" {
		return nil
	}
	path, ok := strings.CutSuffix(final.Path, "/info/refs")
	if !ok {
		return fail(Redirected, "the server redirects to a page that is not a repository")
	}
	c.base.Store(&url.URL{Scheme: base.Scheme, Host: base.Host, Path: path})
	return nil
}

// checkRedirect runs before a redirect is followed.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case req.URL.Scheme != first.Scheme || req.URL.Host != first.Host:
		return fail(Redirected, "the server redirects to another host or scheme, %.100q, which is not followed; set the URL to where it leads",
			req.URL.Scheme+"://"+req.URL.Host)
	case via[0].Method != http.MethodGet:
		return fail(Redirected, "the server redirects a POST, which is not followed")
	case len(via) > 3:
		return fail(Redirected, "the server redirects more than three times")
	}
	return nil
}

// statusError tells a bad status from its number and Retry-After alone.
func statusError(res *http.Response, auth Auth) error {
	code := res.StatusCode
	var e *Error
	switch {
	case code == http.StatusOK:
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusForbidden && res.Header.Get("Retry-After") != "":
		e = retry(RateLimited, "the server asks for fewer requests (HTTP %d)", code)
	case code == http.StatusUnauthorized && auth == Auth{}:
		e = retry(AuthenticationFailed, "the server wants credentials and none are set (HTTP 401)")
	case code == http.StatusUnauthorized:
		e = retry(AuthenticationFailed, "the server refuses the credentials (HTTP 401)")
	case code == http.StatusForbidden:
		e = retry(PermissionDenied, "the credentials are not allowed to read this repository (HTTP 403)")
	case code == http.StatusNotFound, code == http.StatusGone:
		e = retry(RepositoryNotFound, "no such repository, or the credentials may not see it (HTTP %d)", code)
	case code >= 500:
		e = retry(RemoteUnavailable, "the server is in trouble (HTTP %d)", code)
	default:
		e = retry(InvalidResponse, "the server answers HTTP %d", code)
	}
	e.RetryAfter = retryAfter(res.Header.Get("Retry-After"))
	if code == http.StatusUnauthorized || code == http.StatusForbidden {
		e.RetryAfter = max(e.RetryAfter, time.Minute) // or the account may get locked
	}
	return e
}

// retryAfter reads RFC 9110's delay in seconds or date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(time.Until(date), 0), maxRetryAfter)
	}
	return 0
}

// networkError tells what broke a request, without the URL that net/http puts
// into its errors.
func networkError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e := interrupted(err); e != nil {
		return e
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return retry(RemoteUnavailable, "looking up host %q: %s", dns.Name, map[bool]string{true: "no such host", false: "no answer"}[dns.IsNotFound])
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return retry(RemoteUnavailable, "the server's TLS certificate is signed by an authority that is not trusted here")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return retry(RemoteUnavailable, "the server's TLS certificate is expired or for another host")
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return retry(RemoteUnavailable, "the connection: %v", errno)
	}
	return retry(RemoteUnavailable, "the connection broke")
}

// body is an answer that ends with an error of ours.
type body struct {
	io.ReadCloser
	left, limit int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fail(TooLarge, "the server sends more than the limit of %d bytes", b.limit)
	}
	p = p[:min(int64(len(p)), b.left+1)] // one more tells the limit from the end
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, nil
	}
	if err != nil && err != io.EOF {
		err = networkError(err)
	}
	return n, err
}

// Close reads what little may be left, for the connection to be used again.
func (b *body) Close() error {
	_, _ = io.CopyN(io.Discard, b.ReadCloser, maxDrainBytes)
	return b.ReadCloser.Close()
}
