package outbound

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Policy selects the addresses that may be dialled. The zero value denies those that lead to this machine, to its link
// or to a metadata service. It allows private networks, because the services of a cluster are there.
type Policy struct {
	// AllowNetworks are allowed although they are denied by default.
	AllowNetworks []netip.Prefix
	// RefuseNetworks are denied. If an address is in both lists, the narrower network decides.
	RefuseNetworks []netip.Prefix
}

// ParseNetworks parses a comma-separated list of networks and addresses.
func ParseNetworks(list string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if addr, err := netip.ParseAddr(entry); err == nil {
			networks = append(networks, netip.PrefixFrom(addr.WithZone(""), addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(entry)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 127.0.0.0/8", entry)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// kind is a kind of addresses that are denied by default.
type kind struct {
	name     string
	networks []netip.Prefix
}

// refused lists the kinds that are denied by default. The first match is the reason.
var refused = []kind{
	{"unspecified", networks("0.0.0.0/8", "::/128")},
	{"loopback", networks("127.0.0.0/8", "::1/128")},
	{"link-local", networks("169.254.0.0/16", "fe80::/10")},
	// Azure, Alibaba, Oracle; the range that AWS keeps for itself; Google.
	{"metadata", networks("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32",
		"fd20:ce::254/128")},
	{"multicast", networks("224.0.0.0/4", "ff00::/8")},
	{"broadcast", networks("255.255.255.255/32")},
	{"reserved", networks("240.0.0.0/4")},
	// The position of the IPv4 address in these depends on the network, so their destination is unknown.
	{"translated", networks("64:ff9b:1::/48")},
}

func networks(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, n := range list {
		all[i] = netip.MustParsePrefix(n)
	}
	return all
}

// Check returns an error if an address may not be dialled. The error is a *RefusedError.
func (p Policy) Check(addr netip.Addr) error {
	addr = addr.WithZone("")
	if !addr.IsValid() {
		return &RefusedError{"an address that is none may not be called"}
	}
	for _, destination := range destinations(addr) {
		why, final := p.refusal(destination)
		if why == "" {
			continue
		}
		if destination != addr.Unmap() {
			why = "leads to " + destination.String() + ", " + why
		}
		message := fmt.Sprintf("address %s may not be called (%s)", addr.Unmap(), why)
		if !final {
			message += "; allow it with --allow-networks"
		}
		return &RefusedError{message}
	}
	return nil
}

// refusal returns why an address is denied, and whether the operator denies it.
func (p Policy) refusal(addr netip.Addr) (why string, final bool) {
	allowed, denied := narrowest(p.AllowNetworks, addr), narrowest(p.RefuseNetworks, addr)
	switch {
	case denied >= 0 && denied >= allowed:
		return "this controller refuses its network", true
	case allowed >= 0:
		return "", false
	}
	for _, k := range refused {
		if narrowest(k.networks, addr) >= 0 {
			return k.name, false
		}
	}
	return "", false
}

// narrowest returns the length of the longest prefix that contains the address; -1 if none does.
func narrowest(list []netip.Prefix, addr netip.Addr) int {
	longest := -1
	for _, n := range list {
		// A network that was written in its mapped form means the IPv4 addresses in it.
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		if n.Contains(addr) {
			longest = max(longest, n.Bits())
		}
	}
	return longest
}

// tunnel is a standard form of an IPv6 address that contains an IPv4 address.
type tunnel struct {
	prefix netip.Prefix
	// at is the position of the IPv4 address, and inverted is set if its bits are inverted.
	at       int
	inverted bool
}

var tunnels = []tunnel{
	{prefix: netip.MustParsePrefix("::/96"), at: 12},                     // IPv4-compatible
	{prefix: netip.MustParsePrefix("::ffff:0:0:0/96"), at: 12},           // IPv4-translated
	{prefix: netip.MustParsePrefix("64:ff9b::/96"), at: 12},              // NAT64
	{prefix: netip.MustParsePrefix("2002::/16"), at: 2},                  // 6to4
	{prefix: netip.MustParsePrefix("2001::/32"), at: 4},                  // Teredo, its server
	{prefix: netip.MustParsePrefix("2001::/32"), at: 12, inverted: true}, // Teredo, its client
}

// destinations returns the address and every IPv4 address that it may lead to.
func destinations(addr netip.Addr) []netip.Addr {
	addr = addr.Unmap()
	list := []netip.Addr{addr}
	if addr.Is4() || addr == netip.IPv6Unspecified() || addr == netip.IPv6Loopback() {
		return list
	}
	bytes := addr.As16()
	for _, t := range tunnels {
		if !t.prefix.Contains(addr) {
			continue
		}
		inner := [4]byte(bytes[t.at : t.at+4])
		for i := range inner {
			if t.inverted {
				inner[i] ^= 0xff
			}
		}
		list = append(list, netip.AddrFrom4(inner))
	}
	// ISATAP, in any network.
	if bytes[8]&^0x02 == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe {
		list = append(list, netip.AddrFrom4([4]byte(bytes[12:16])))
	}
	return list
}

// Dialer returns a dialer for the addresses that the policy allows. It checks each address after its name was resolved.
func (p Policy) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, ControlContext: p.control}
}

// control checks an address before it is dialled.
func (p Policy) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(address)
	if err != nil {
		return &RefusedError{"an address that cannot be read may not be called"}
	}
	return p.Check(dialled.Addr())
}
