// FAULTS, Registry: redirects to private, loopback, metadata or API addresses.

package registry

import (
	"net/netip"
	"testing"
)

func TestOnlyPublicAddressesAreReachable(t *testing.T) {
	for address, want := range map[string]bool{
		"140.82.121.33": true, "2606:50c0:8000::154": true, "64:ff9b::8c52:7921": true,
		"127.0.0.1": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "100.64.0.1": false, "fd12::1": false, "198.18.0.1": false,
		"169.254.169.254": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "100.100.100.200": false, "192.0.0.192": false,
		"168.63.129.16": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::a9fe:a9fe": false, "fd20:ce::254": false, "64:ff9b::a00:1": false, "2002:7f00:1::": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
	} {
		if got := reachable(netip.MustParseAddr(address), nil); got != want {
			t.Errorf("%s: got %t", address, got)
		}
	}
}

func TestAllowOpensPrivateNetworksAndNothingElse(t *testing.T) {
	allow := []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fd00::/8"),
	}
	for address, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "100.64.0.1": true, "fd12::1": true,
		"10.2.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "fd00:ec2::254": false, "100.100.100.200": false, "fd20:ce::254": false,
	} {
		if got := reachable(netip.MustParseAddr(address), allow); got != want {
			t.Errorf("%s: got %t", address, got)
		}
	}
}

func TestADeclaredHostIsThatPortOnly(t *testing.T) {
	declared := newHosts([]string{"registry.local", "localhost:5000", "[::1]:5000", "Mixed.Local:443"})
	for authority, want := range map[string]bool{
		"registry.local": true, "registry.local:80": true, "registry.local:443": true, "REGISTRY.local": true,
		"localhost:5000": true, "[::1]:5000": true, "mixed.local": true,
		"registry.local:5000": false, "localhost": false, "localhost:10250": false, "[::1]": false, "x.registry.local": false,
	} {
		if got := declared.has(authority); got != want {
			t.Errorf("%s: got %t", authority, got)
		}
	}
}
