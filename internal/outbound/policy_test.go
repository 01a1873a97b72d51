package outbound

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// addresses are refused for a reason, or allowed.
var addresses = []struct{ addr, why string }{
	// This machine.
	{"127.0.0.1", "loopback"}, {"127.0.0.2", "loopback"}, {"127.1.2.3", "loopback"}, {"127.255.255.255", "loopback"}, {"::1", "loopback"},
	{"0.0.0.0", "unspecified"}, {"0.0.0.1", "unspecified"}, {"0.255.255.255", "unspecified"}, {"::", "unspecified"},
	// The link.
	{"169.254.0.0", "link-local"}, {"169.254.169.254", "link-local"}, {"169.254.169.253", "link-local"}, {"169.254.170.2", "link-local"},
	{"169.254.170.23", "link-local"}, {"169.254.0.23", "link-local"}, {"169.254.255.255", "link-local"}, {"fe80::", "link-local"},
	{"fe80::1", "link-local"}, {"fe80::a9fe:a9fe", "link-local"}, {"fe80::1%eth0", "link-local"}, {"febf:ffff::1", "link-local"},
	// Metadata services.
	{"168.63.129.16", "metadata"}, {"100.100.100.200", "metadata"}, {"192.0.0.192", "metadata"}, {"fd00:ec2::254", "metadata"},
	{"fd00:ec2::23", "metadata"}, {"fd00:ec2::123", "metadata"}, {"fd00:ec2:0:0:0:0:0:254", "metadata"}, {"fd20:ce::254", "metadata"},
	{"fd00:ec2::254%lo", "metadata"},
	// Many at once.
	{"224.0.0.1", "multicast"}, {"239.255.255.250", "multicast"}, {"ff02::1", "multicast"}, {"ff05::2", "multicast"}, {"ff0e::1", "multicast"},
	{"ff02::1%eth0", "multicast"}, {"255.255.255.255", "broadcast"}, {"240.0.0.1", "reserved"}, {"250.1.2.3", "reserved"},
	{"255.255.255.254", "reserved"},
	// IPv4 within IPv6: mapped, in each spelling,
	{"::ffff:127.0.0.1", "loopback"}, {"::ffff:7f00:1", "loopback"}, {"0:0:0:0:0:ffff:127.0.0.1", "loopback"}, {"::ffff:169.254.169.254", "link-local"},
	{"::ffff:a9fe:a9fe", "link-local"}, {"::ffff:0.0.0.0", "unspecified"}, {"::ffff:168.63.129.16", "metadata"}, {"::ffff:100.100.100.200", "metadata"},
	{"::ffff:224.0.0.1", "multicast"}, {"::ffff:255.255.255.255", "broadcast"}, {"::ffff:127.0.0.1%lo", "loopback"},
	// compatible,
	{"::127.0.0.1", "leads to 127.0.0.1, loopback"}, {"::7f00:1", "leads to 127.0.0.1, loopback"}, {"::169.254.169.254", "leads to 169.254.169.254, link-local"},
	{"::100.100.100.200", "leads to 100.100.100.200, metadata"}, {"::2", "leads to 0.0.0.2, unspecified"}, {"::255.255.255.255", "leads to 255.255.255.255, broadcast"},
	// translated,
	{"::ffff:0:127.0.0.1", "leads to 127.0.0.1, loopback"}, {"::ffff:0:a9fe:a9fe", "leads to 169.254.169.254, link-local"},
	// NAT64,
	{"64:ff9b::127.0.0.1", "leads to 127.0.0.1, loopback"}, {"64:ff9b::7f00:1", "leads to 127.0.0.1, loopback"},
	{"64:ff9b::a9fe:a9fe", "leads to 169.254.169.254, link-local"}, {"64:ff9b::169.254.169.254", "leads to 169.254.169.254, link-local"},
	{"64:ff9b::0.0.0.0", "leads to 0.0.0.0, unspecified"}, {"64:ff9b::168.63.129.16", "leads to 168.63.129.16, metadata"},
	{"64:ff9b::100.100.100.200", "leads to 100.100.100.200, metadata"}, {"64:ff9b::224.0.0.1", "leads to 224.0.0.1, multicast"},
	{"64:ff9b::127.0.0.1%eth0", "leads to 127.0.0.1, loopback"},
	{"64:ff9b:1::1", "translated"}, {"64:ff9b:1::127.0.0.1", "translated"}, {"64:ff9b:1:a9fe:a9:fe00::", "translated"},
	// 6to4,
	{"2002:7f00:1::", "leads to 127.0.0.1, loopback"}, {"2002:7f00:0001::1", "leads to 127.0.0.1, loopback"},
	{"2002:a9fe:a9fe::", "leads to 169.254.169.254, link-local"}, {"2002:a9fe:a9fe:1::1", "leads to 169.254.169.254, link-local"},
	{"2002:0000:0000::1", "leads to 0.0.0.0, unspecified"}, {"2002:6464:64c8::1", "leads to 100.100.100.200, metadata"},
	{"2002:a83f:8110::1", "leads to 168.63.129.16, metadata"}, {"2002:e000:1::", "leads to 224.0.0.1, multicast"},
	// Teredo, by its client and by its server,
	{"2001:0:4136:e378:8000:63bf:80ff:fffe", "leads to 127.0.0.1, loopback"}, {"2001:0:4136:e378:8000:63bf:5601:5601", "leads to 169.254.169.254, link-local"},
	{"2001:0:7f00:1:8000:63bf:f7f7:f7f7", "leads to 127.0.0.1, loopback"},
	// ISATAP.
	{"2001:db8::5efe:127.0.0.1", "leads to 127.0.0.1, loopback"}, {"2001:db8::200:5efe:169.254.169.254", "leads to 169.254.169.254, link-local"},
	{"fd00::5efe:7f00:1", "leads to 127.0.0.1, loopback"},
	// Where services are.
	{"10.0.0.1", ""}, {"10.96.0.1", ""}, {"172.16.0.1", ""}, {"172.31.255.254", ""}, {"192.168.1.1", ""}, {"100.64.0.1", ""}, {"100.100.100.199", ""},
	{"192.0.0.191", ""}, {"168.63.129.17", ""}, {"169.253.255.255", ""}, {"169.255.0.0", ""}, {"126.255.255.255", ""}, {"128.0.0.1", ""}, {"1.1.1.1", ""},
	{"8.8.8.8", ""}, {"192.0.2.1", ""}, {"203.0.113.7", ""}, {"223.255.255.255", ""}, {"::ffff:10.0.0.1", ""}, {"::ffff:8.8.8.8", ""},
	{"fd00::1", ""}, {"fc00::1", ""}, {"fd12:3456:789a::1", ""}, {"fd00:ec3::254", ""}, {"fec0::1", ""}, {"fe7f::1", ""}, {"2001:db8::1", ""},
	{"2606:4700::1111", ""}, {"64:ff9b::8.8.8.8", ""}, {"64:ff9b::10.0.0.1", ""}, {"2002:808:808::1", ""}, {"2002:a00:1::1", ""},
	{"2001:0:4136:e378:8000:63bf:f7f7:f7f7", ""}, {"2001:db8::5efe:10.0.0.1", ""},
}

func TestAddresses(t *testing.T) {
	if len(addresses) < 100 {
		t.Errorf("only %d addresses", len(addresses))
	}
	for _, tc := range addresses {
		addr := netip.MustParseAddr(tc.addr)
		want := ""
		if tc.why != "" {
			want = "address " + addr.WithZone("").Unmap().String() + " may not be called (" + tc.why + "); allow it with --allow-networks"
		}
		if got := message(Policy{}.Check(addr)); got != want {
			t.Errorf("%s: got %q, want %q", tc.addr, got, want)
		}
		// What reaches the network is what counts, so this has to hold for the text that is dialled as well.
		dialled := netip.AddrPortFrom(addr, 443).String()
		if got := message(Policy{}.control(t.Context(), "tcp", dialled, nil)); got != want {
			t.Errorf("dialling %s: got %q, want %q", dialled, got, want)
		}
	}
	if got := message(Policy{}.Check(netip.Addr{})); got == "" {
		t.Error("allows an address that is none")
	}
	if got := message(Policy{}.control(t.Context(), "tcp", "localhost:80", nil)); got == "" {
		t.Error("allows a name")
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLists(t *testing.T) {
	cases := map[string]struct {
		reason, allow, refuse, addr, want string
	}{
		"Allowed":        {"the operator says so", "127.0.0.0/8", "", "127.0.0.1", ""},
		"AllowedOne":     {"for one address", "127.0.0.1", "", "127.0.0.1", ""},
		"AllowedOther":   {"and not for its neighbour", "127.0.0.1", "", "127.0.0.2", "loopback"},
		"AllowedMapped":  {"in whatever form it is called", "127.0.0.1", "", "::ffff:127.0.0.1", ""},
		"MappedAllowed":  {"or allowed", "::ffff:127.0.0.0/104", "", "127.0.0.1", ""},
		"AllowedTunnel":  {"through whatever leads to it", "127.0.0.1", "", "64:ff9b::127.0.0.1", ""},
		"TunnelAllowed":  {"a tunnel that is allowed does not allow where it leads", "64:ff9b::/96", "", "64:ff9b::127.0.0.1", "leads to 127.0.0.1, loopback"},
		"AllowedSix":     {"with IPv6", "::1,fe80::/10", "", "::1", ""},
		"AllowedZone":    {"whatever its zone", "fe80::/10", "", "fe80::1%eth0", ""},
		"Everything":     {"who says everything means it", "0.0.0.0/0", "", "169.254.169.254", ""},
		"Refused":        {"the operator refuses a network", "", "10.0.0.0/8", "10.1.2.3", "this controller refuses its network"},
		"RefusedOther":   {"and no other", "", "10.0.0.0/8", "11.1.2.3", ""},
		"RefusedTunnel":  {"by whatever way", "", "10.0.0.0/8", "2002:a01:203::1", "leads to 10.1.2.3, this controller refuses its network"},
		"Narrower":       {"but for a part of it", "10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", ""},
		"NarrowerAgain":  {"but for a part of that", "10.1.0.0/16", "10.0.0.0/8,10.1.2.0/24", "10.1.2.3", "this controller refuses its network"},
		"Undecided":      {"of two that say the opposite the careful one counts", "10.0.0.0/8", "10.0.0.0/8", "10.1.2.3", "this controller refuses its network"},
		"RefusedDefault": {"what is refused twice", "", "127.0.0.0/8", "127.0.0.1", "this controller refuses its network"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			allow, err := ParseNetworks(tc.allow)
			if err != nil {
				t.Fatal(err)
			}
			refuse, err := ParseNetworks(tc.refuse)
			if err != nil {
				t.Fatal(err)
			}
			got := message(Policy{AllowNetworks: allow, RefuseNetworks: refuse}.Check(netip.MustParseAddr(tc.addr)))
			if tc.want == "" && got != "" || !strings.Contains(got, "("+tc.want+")") && tc.want != "" {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestParseNetworks(t *testing.T) {
	got, err := ParseNetworks(" 10.1.2.3/8, ::1 ,,192.168.0.1 ")
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.168.0.1/32")}
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %v %v, want %v", got, err, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
	for _, bad := range []string{"10.0.0.0/33", "localhost", "10.0.0", "*"} {
		if _, err := ParseNetworks(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// FuzzURLPolicy: whatever a URL says, an address that it names and that leads to this machine or its link is refused.
func FuzzURLPolicy(f *testing.F) {
	for _, tc := range addresses {
		host := tc.addr
		if strings.Contains(host, ":") {
			host = "[" + strings.ReplaceAll(host, "%", "%25") + "]"
		}
		f.Add("http://" + host + ":80/")
	}
	for _, form := range forms {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := parse(raw)
		if err != nil {
			if len(raw) > 20 && strings.Contains(err.Error(), raw) {
				t.Errorf("the error quotes the URL: %s", err)
			}
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			t.Fatalf("%q: took scheme %q, host %q", raw, u.Scheme, u.Hostname())
		}
		name, port := split(authority(u))
		if name == "" || port == "" {
			t.Fatalf("%q: no host or no port", raw)
		}
		addr, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return
		}
		plain := addr.WithZone("").Unmap()
		local := plain.IsLoopback() || plain.IsLinkLocalUnicast() || plain.IsUnspecified() || plain.IsMulticast() || plain.IsLinkLocalMulticast()
		if local && (Policy{}).Check(addr) == nil {
			t.Errorf("%q: %s may be called", raw, addr)
		}
		if all := (Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}); all.Check(addr) != nil {
			t.Errorf("%q: %s may not be called, although everything may", raw, addr)
		}
	})
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", time.Hour + time.Second: "1h0m1s", 100 * time.Minute: "1h40m",
		20 * time.Second: "20s", 10 * time.Minute: "10m", 300 * time.Millisecond: "300ms",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
