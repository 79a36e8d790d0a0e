package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// network is the addresses of a cluster with a real node, a /22: its first /24 links the cluster with this
// machine, the second is the pods', the third the Services'.
type network struct{ Base netip.Addr }

func (n network) part(i byte) netip.Prefix {
	b := n.Base.As4()
	b[2] += i
	return netip.PrefixFrom(netip.AddrFrom4(b), 24)
}

func (n network) all() netip.Prefix      { return netip.PrefixFrom(n.Base, 22) }
func (n network) pods() netip.Prefix     { return n.part(1) }
func (n network) services() netip.Prefix { return n.part(2) }

// outer is this machine's address in the cluster's network, inner that of the cluster's servers.
func (n network) outer() netip.Addr { return n.Base.Next() }
func (n network) inner() netip.Addr { return n.outer().Next() }

// freeNetwork chooses a network at random which this machine has no address in and no route to.
func freeNetwork() (network, error) {
	used, err := usedPrefixes()
	if err != nil {
		return network{}, fmt.Errorf("finding a free network: %w", err)
	}
	for range 100 {
		n := network{netip.AddrFrom4([4]byte{10, 128 + byte(rand.IntN(128)), byte(rand.IntN(64) * 4), 0})}
		free := true
		for _, p := range used {
			free = free && !p.Overlaps(n.all())
		}
		if free {
			return n, nil
		}
	}
	return network{}, errors.New("finding a free network: none in 100 tries in 10.128.0.0/9")
}

// usedPrefixes are the networks of this machine's interfaces and routes, save for the default route.
func usedPrefixes() ([]netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var used []netip.Prefix
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p)
		}
	}
	routes, err := exec.Command("ip", "-4", "route", "show", "table", "all").Output()
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	for _, word := range strings.Fields(string(routes)) {
		if p, err := netip.ParsePrefix(word); err == nil {
			used = append(used, p)
		}
	}
	return used, nil
}

// connect makes a pair of interfaces, one here and one, eth0, in the network namespace of the process, and
// routes pods and Services there.
func (n network) connect(ctx context.Context, link string, pid int) error {
	err := ip(ctx,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", link, pid),
		fmt.Sprintf("addr add %s/24 dev %s", n.outer(), link),
		fmt.Sprintf("link set %s up", link),
		fmt.Sprintf("route add %s via %s dev %s", n.pods(), n.inner(), link),
		fmt.Sprintf("route add %s via %s dev %s", n.services(), n.inner(), link),
	)
	if err != nil {
		return fmt.Errorf("connecting the cluster's network: %w", err)
	}
	return nil
}

// disconnect removes what connect made. It would vanish with the namespace, too, but a little later.
func disconnect(link string) {
	ip(context.Background(), "link delete "+link) //nolint:errcheck // it may have vanished
}

// join sets up the other end of connect, from inside. There is no route to anywhere else: what a pod asks of
// the world fails at once.
func (n network) join(ctx context.Context) error {
	err := ip(ctx,
		"link set lo up",
		fmt.Sprintf("addr add %s/24 dev eth0", n.inner()),
		"link set eth0 up",
	)
	if err != nil {
		return fmt.Errorf("joining the cluster's network: %w", err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("joining the cluster's network: %w", err)
	}
	return nil
}

// ip runs commands of iproute2.
func ip(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		cmd := exec.CommandContext(ctx, "ip", strings.Fields(c)...)
		cmd.WaitDelay = time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
