package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// refusal is the list of hosts that nothing may lead to.
type refusal []string

// has tells whether an authority is on the list by name. A host on it without a port means all its ports.
func (r refusal) has(authority string) bool {
	host, port := splitPort(authority)
	host = strings.TrimSuffix(host, ".") // it is the same host from the root of DNS
	return slices.ContainsFunc(r, func(name string) bool {
		refused, only := splitPort(name)
		return refused == host && (only == "" || only == port)
	})
}

// addresses looks up what the hosts on the list have now. A name that does not exist leads nowhere.
func (r refusal) addresses(ctx context.Context) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, name := range r {
		host, port := splitPort(name)
		number, _ := net.LookupPort("tcp", port) // 0 is any
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if missing := (*net.DNSError)(nil); errors.As(err, &missing) && missing.IsNotFound {
			continue
		}
		if err != nil {
			return nil, unavailable("it is not known whether it leads to " + host + ", where no image may lead, for that name cannot be looked up")
		}
		for _, addr := range found {
			all = append(all, netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(number)))
		}
	}
	return all, nil
}

// splitPort is [canonical], in two parts.
func splitPort(authority string) (host, port string) {
	host, port, _ = net.SplitHostPort(canonical(authority))
	return host, port
}

var errRefused = &Error{Reason: AddressRefused, Detail: "it leads to a host that is not for images, such as the API server"}

// dialer connects to addresses that are judged after DNS, so a name cannot be looked up twice to deceive it.
type dialer struct {
	net.Dialer
	allow    []netip.Prefix
	insecure hosts
	refuse   refusal
}

func newDialer(opts Options) *dialer {
	return &dialer{
		Dialer:   net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second},
		allow:    opts.Allow,
		insecure: newHosts(opts.Insecure),
		refuse:   opts.Refuse,
	}
}

// careful connects to what a registry may be that nobody declared, and to hosts that are declared insecure.
func (d *dialer) careful(ctx context.Context, network, address string) (net.Conn, error) {
	if d.insecure.has(address) {
		return d.DialContext(ctx, network, address)
	}
	refused, err := d.refuse.addresses(ctx)
	if err != nil {
		return nil, err
	}
	judging := d.Dialer
	judging.Control = func(_, address string, _ syscall.RawConn) error { return d.judge(address, refused) }
	return judging.DialContext(ctx, network, address)
}

// judge decides on the address that is about to be connected to.
func (d *dialer) judge(address string, refused []netip.AddrPort) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !reachable(target.Addr(), d.allow) {
		return &Error{
			Reason: AddressRefused,
			Detail: "it leads to a private, loopback or metadata address; an operator can allow that network or declare the host",
		}
	}
	addr := target.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(refused, func(r netip.AddrPort) bool {
		return r.Addr() == addr && (r.Port() == 0 || r.Port() == target.Port())
	}) {
		return errRefused
	}
	return nil
}

// baseTransport is what all connections have in common.
func baseTransport(authorities *x509.CertPool) *http.Transport {
	return &http.Transport{
		TLSClientConfig:        &tls.Config{RootCAs: authorities},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is hashed is what was sent
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    defaultConcurrency,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// tailored are the connections of declared endpoints, each with the TLS settings that are declared for it now.
type tailored struct {
	mu   sync.Mutex
	made map[string]fitted
}

type fitted struct {
	to  Endpoint
	way *http.Transport
}

// fit returns the transport for an endpoint, and has it made anew where what is declared has changed.
func (t *tailored) fit(key string, to Endpoint, tailor func() *http.Transport) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.made[key]
	if ok && sameTLS(known.to, to) {
		return known.way
	}
	if ok {
		known.way.CloseIdleConnections()
	}
	if len(t.made) >= maxSites {
		clear(t.made) // their idle connections end by themselves
	}
	way := tailor()
	t.made[key] = fitted{to, way}
	return way
}

func sameTLS(a, b Endpoint) bool {
	same := func(a, b tls.Certificate) bool { return slices.EqualFunc(a.Certificate, b.Certificate, slices.Equal) }
	return a.SkipVerify == b.SkipVerify && a.RootCAs.Equal(b.RootCAs) && slices.EqualFunc(a.Certificates, b.Certificates, same)
}

// namesOnly is a proxy for names. An address that is written out goes past it, and is judged here.
func namesOnly(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	if proxy == nil {
		return nil
	}
	return func(req *http.Request) (*url.URL, error) {
		if isAddress(req.URL.Hostname()) {
			return nil, nil
		}
		return proxy(req)
	}
}

// numeric is the last label of an IPv4 address in any of the forms that inet_aton knows, of which no name is
// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
var numeric = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)

// isAddress tells whether somebody may take a host for an address, such as 127.0.0.1, 0x7f.1 or 2130706433.
func isAddress(host string) bool {
	host = strings.TrimSuffix(host, ".")
	return strings.Contains(host, ":") || numeric.MatchString(host[strings.LastIndex(host, ".")+1:])
}
