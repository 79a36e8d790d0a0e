package registry

import (
	"cmp"
	"context"
	"crypto/x509"
	"io"
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

// guard is the only way out: pings, token requests, manifests and the redirects of all three pass through it.
type guard struct {
	direct    http.RoundTripper // judges addresses
	proxied   http.RoundTripper // cannot
	proxy     func(*http.Request) (*url.URL, error)
	dialer    *dialer
	tailored  *tailored
	insecure  hosts
	refuse    refusal
	rootCAs   *x509.CertPool
	budget    *budget
	timeout   time.Duration
	userAgent string
}

func newGuard(opts Options, now func() time.Time) *guard {
	dialer := newDialer(opts)
	direct, proxied := baseTransport(opts.RootCAs), baseTransport(opts.RootCAs)
	direct.DialContext = dialer.careful
	proxied.DialContext = dialer.DialContext
	proxied.Proxy = opts.Proxy
	return &guard{
		direct:    direct,
		proxied:   proxied,
		proxy:     namesOnly(opts.Proxy),
		dialer:    dialer,
		tailored:  &tailored{made: map[string]fitted{}},
		insecure:  dialer.insecure,
		refuse:    opts.Refuse,
		rootCAs:   opts.RootCAs,
		budget:    newBudget(now),
		timeout:   cmp.Or(opts.Timeout, defaultTimeout),
		userAgent: cmp.Or(opts.UserAgent, defaultUserAgent),
	}
}

func overloaded(resp *http.Response) error {
	switch wait := retryAfter(resp.Header); {
	case resp.StatusCode == http.StatusTooManyRequests:
		return tooManyRequests(cmp.Or(wait, defaultRetryAfter))
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

// body ends in an error after too many bytes, and ends the request's time when it is closed. Then it tells whether all
// went well.
type body struct {
	io.ReadCloser
	left   int
	failed error
	cancel context.CancelFunc
	done   func(error)
}

func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		b.failed = &Error{Reason: TooLarge, Detail: "the registry sends more than 4 MiB, and a manifest has a few KiB"}
		return 0, b.failed
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	b.left -= n
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}

func (b *body) Close() error {
	defer b.cancel()
	if b.done != nil {
		b.done(b.failed)
		b.done = nil
	}
	return b.ReadCloser.Close()
}
