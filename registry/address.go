package registry

import (
	"net"
	"net/netip"
	"strings"
)

// hosts is a set of host[:port].
type hosts map[string]bool

func newHosts(names []string) hosts {
	set := make(hosts, len(names))
	for _, name := range names {
		set[canonical(name)] = true
	}
	return set
}

func (h hosts) has(authority string) bool { return h[canonical(authority)] }

// canonical writes an authority without a default port. Both defaults are the
// same here: a ping tries HTTPS first, and HTTP after it.
func canonical(authority string) string {
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		host, port = strings.Trim(authority, "[]"), ""
	}
	if port == "80" || port == "443" {
		port = ""
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}

// never are addresses that answer for the machine or the cloud it runs in, though
// they look like any other. [netip.Addr.IsGlobalUnicast] leaves out the rest:
// loopback, link-local with 169.254.169.254, multicast, unspecified.
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),          // "this network", RFC 1122
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's host agent
	netip.MustParsePrefix("192.0.0.0/24"),       // IETF, and Oracle's metadata
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba's metadata
	netip.MustParsePrefix("240.0.0.0/4"),        // reserved, RFC 1112
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS's metadata
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google's metadata
	netip.MustParsePrefix("fec0::/10"),          // site-local, RFC 3879
	netip.MustParsePrefix("2002::/16"),          // 6to4, which hides an IPv4 address
}

// shared are private networks that [netip.Addr.IsPrivate] does not know.
var shared = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),  // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks, RFC 2544
	netip.MustParsePrefix("64:ff9b:1::/48"), // NAT64 of one's own, where the IPv4 address may be anywhere, RFC 8215
}

// nat64 wraps an IPv4 address where there is only IPv6 (RFC 6052). It is the one
// inside that counts.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// reachable reports whether a registry nobody declared may have this address.
func reachable(addr netip.Addr, allow []netip.Prefix) bool {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		wrapped := addr.As16()
		addr = netip.AddrFrom4([4]byte(wrapped[12:]))
	}
	if !addr.IsGlobalUnicast() || within(addr, never) {
		return false
	}
	return within(addr, allow) || !addr.IsPrivate() && !within(addr, shared)
}

func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// hostKey names a host in what is remembered of it, and in what is told.
func hostKey(authority string) string {
	host, port := splitPort(authority)
	if port == "" {
		return dockerHub(host)
	}
	return net.JoinHostPort(host, port)
}
