package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

// forms are ways to write the loopback address, or to hide it; PORT is where a server listens.
var forms = []string{
	"http://127.0.0.1:PORT/", "http://127.0.0.2:PORT/", "http://127.1:PORT/", "http://127.0.1:PORT/", "http://0:PORT/", "http://0.0.0.0:PORT/",
	"http://2130706433:PORT/", "http://0x7f000001:PORT/", "http://0x7F.0.0.1:PORT/", "http://0x7f.0x0.0x0.0x1:PORT/", "http://017700000001:PORT/",
	"http://0177.0.0.1:PORT/", "http://0177.0.0.01:PORT/", "http://00000177.0.0.1:PORT/", "http://0177.1:PORT/", "http://0x7f.1:PORT/",
	"http://127.0.0.1.:PORT/", "http://4294967295:PORT/", "http://0xffffffff:PORT/", "http://0x00000000:PORT/", "http://00.00.00.00:PORT/",
	"http://127.0.0.001:PORT/", "http://127.000.000.001:PORT/", "http://127.0.0.1%00:PORT/", "http://127.0.0.1%2f:PORT/", "http://%31%32%37.0.0.1:PORT/",
	"http://localhost:PORT/", "http://LOCALHOST:PORT/", "http://localhost.:PORT/", "http://localhost.localdomain:PORT/", "http://ip6-localhost:PORT/",
	"http://loopback.example:PORT/", "http://loopback.example.:PORT/", "http://LOOPBACK.example:PORT/", "http://loopback6.example:PORT/",
	"http://mapped.example:PORT/", "http://zero.example:PORT/", "http://mixed.example:PORT/", "http://link.example:PORT/", "http://nat64.example:PORT/",
	"http://[::1]:PORT/", "http://[0:0:0:0:0:0:0:1]:PORT/", "http://[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/", "http://[::0001]:PORT/",
	"http://[::]:PORT/", "http://[0:0:0:0:0:0:0:0]:PORT/", "http://[::1%25lo]:PORT/", "http://[::1%25eth0]:PORT/", "http://[::%25lo]:PORT/",
	"http://[::ffff:127.0.0.1]:PORT/", "http://[::ffff:7f00:1]:PORT/", "http://[0:0:0:0:0:ffff:7f00:0001]:PORT/", "http://[::FFFF:127.0.0.1]:PORT/",
	"http://[::ffff:0.0.0.0]:PORT/", "http://[::ffff:127.0.0.1%25lo]:PORT/", "http://[::127.0.0.1]:PORT/", "http://[::7f00:1]:PORT/",
	"http://[::ffff:0:127.0.0.1]:PORT/", "http://[64:ff9b::127.0.0.1]:PORT/", "http://[64:ff9b::7f00:1]:PORT/", "http://[2002:7f00:1::]:PORT/",
	"http://[2002:7f00:0001::1]:PORT/", "http://[64:ff9b:1::7f00:1]:PORT/", "http://[2001:0:7f00:1::]:PORT/", "http://[fe80::1%25lo]:PORT/",
	"http://[fe80::1%25eth0]:PORT/", "http://[fe80::1]:PORT/", "http://[ff02::1]:PORT/", "http://[ff02::1%25lo]:PORT/",
	"http://127.0.0.1:PORT#@public.example/", "http://127.0.0.1:PORT?@public.example/", "http://public.example@127.0.0.1:PORT/",
	"http://public.example:80@127.0.0.1:PORT/", "http://public.example%40127.0.0.1:PORT/", "http://user:pass@loopback.example:PORT/",
	"http://public.example#@127.0.0.1:PORT/", "http://127.0.0.1:PORT\\@public.example/", "http://public.example\\@127.0.0.1:PORT/",
	"http:\\\\127.0.0.1:PORT/", "http:/127.0.0.1:PORT/", "http:127.0.0.1:PORT/", "http:///127.0.0.1:PORT/", "//127.0.0.1:PORT/", "127.0.0.1:PORT/",
	"HTTP://127.0.0.1:PORT/", "hTTps://127.0.0.1:PORT/", "http://127.0.0.1:PORT", "http://127.0.0.1:0PORT/", "http://127.0.0.1:PORT:80/",
	"http://127.0.0.1 :PORT/", "http:// 127.0.0.1:PORT/", "http://127.0.0.1\t:PORT/", "http://127.0.0.1\n:PORT/", "http://127.0.0.1:PORT/\r\nHost: public.example",
	"http://①②⑦.⓪.⓪.①:PORT/", "http://１２７.0.0.1:PORT/", "http://127。0。0。1:PORT/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/", "http://loopbac\u212a.example:PORT/",
	"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/latest/meta-data/", "http://100.100.100.200/latest/", "http://168.63.129.16/machine/",
	"http://2852039166/latest/", "http://0xa9fea9fe/latest/", "http://0251.0376.0251.0376/latest/", "http://[::ffff:a9fe:a9fe]/latest/",
	"http://[64:ff9b::a9fe:a9fe]/latest/", "http://[2002:a9fe:a9fe::]/latest/", "http://metadata.google.internal/computeMetadata/v1/",
	"file:///etc/passwd", "gopher://127.0.0.1:PORT/_GET", "ftp://127.0.0.1:PORT/", "unix:///var/run/docker.sock", "dict://127.0.0.1:PORT/", "jar:http://127.0.0.1:PORT!/",
	"data:text/plain,hello", "javascript:alert(1)", "http://", "http://:PORT/", "http://@:PORT/", "http://?@127.0.0.1:PORT/", "", "%",
}

// names resolves as a careless system would: numbers of every form are addresses.
func names(name string) []netip.Addr {
	switch strings.ToLower(name) {
	case "loopback.example", "localhost.localdomain":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	case "loopback6.example", "ip6-localhost":
		return []netip.Addr{netip.MustParseAddr("::1")}
	case "mapped.example":
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}
	case "zero.example":
		return []netip.Addr{netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::")}
	case "mixed.example":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("169.254.169.254")}
	case "link.example", "metadata.google.internal":
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}
	case "nat64.example":
		return []netip.Addr{netip.MustParseAddr("64:ff9b::7f00:1")}
	}
	if addr, ok := number(name); ok {
		return []netip.Addr{addr}
	}
	return nil
}

// number reads an address as the C library does: up to four parts, of which the last one fills what is left.
func number(name string) (netip.Addr, bool) {
	parts := strings.Split(name, ".")
	var value uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil || len(parts) > 4 {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			value |= n
			break
		}
		value |= n << (24 - 8*i)
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// listen starts servers on a port of both loopback addresses.
func listen(t *testing.T, handler http.Handler) (port string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if six, err := net.Listen("tcp", "[::1]:"+port); err == nil {
		other := &httptest.Server{Listener: six, Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}}
		other.Start()
		t.Cleanup(other.Close)
	}
	return port
}

func TestForms(t *testing.T) {
	if len(forms) < 100 {
		t.Errorf("only %d forms", len(forms))
	}
	var hits atomic.Int32
	port := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hits.Add(1) }))
	resolver := outboundtest.Resolver(t, names)
	client := New(Options{Keys: &outboundtest.Keys{}, Resolver: resolver})
	for _, form := range forms {
		raw := strings.ReplaceAll(form, "PORT", port)
		_, err := client.Do(t.Context(), "demo", v1alpha1.HTTPRequest{URL: raw}, 5*time.Second)
		var (
			refusal *RefusedError
			failure *NoResponseError
		)
		switch {
		case errors.As(err, &refusal):
		case errors.As(err, &failure) && strings.HasPrefix(failure.Error(), "no such host"):
		default:
			t.Errorf("%q: got %v, want it to be refused", raw, err)
		}
		if n := hits.Swap(0); n != 0 {
			t.Errorf("%q: reached the server", raw)
		}
	}

	// The same servers answer where that is allowed, so nothing else kept them from it.
	client = New(Options{Keys: &outboundtest.Keys{}, Resolver: resolver, Policy: loopback()})
	for _, host := range []string{"127.0.0.1", "loopback.example", "[::ffff:127.0.0.1]", "0x7f000001"} {
		if a, err := client.Do(t.Context(), "demo", v1alpha1.HTTPRequest{URL: "http://" + host + ":" + port}, 5*time.Second); err != nil || a.Status != 200 {
			t.Errorf("%s: got %v %v", host, a.Status, err)
		}
	}
}

func loopback() Policy {
	return Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
}

// A name that changes its mind, between two requests or within one answer.
func TestRebinding(t *testing.T) {
	const public, private = "127.0.0.2", "127.0.0.1" // one is allowed here, as a public address would be
	var publicHits, privateHits atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { privateHits.Add(1) }))
	t.Cleanup(inside.Close)
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(public, port))
	if err != nil {
		t.Skipf("needs a second loopback address: %s", err)
	}
	outside := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		publicHits.Add(1)
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/", http.StatusFound)
		}
	})}}
	outside.Start()
	t.Cleanup(outside.Close)

	var lookups atomic.Int32
	addr := map[string]netip.Addr{public: netip.MustParseAddr(public), private: netip.MustParseAddr(private)}
	resolver := outboundtest.Resolver(t, func(name string) []netip.Addr {
		switch {
		case name == "both.example":
			return []netip.Addr{addr[public], addr[private]}
		case !strings.HasPrefix(name, "rebind"):
			return nil
		case lookups.Add(1) == 1:
			return []netip.Addr{addr[public]}
		}
		return []netip.Addr{addr[private]}
	})
	client := New(Options{Keys: &outboundtest.Keys{}, Resolver: resolver, Policy: Policy{AllowNetworks: []netip.Prefix{netip.PrefixFrom(addr[public], 32)}}})
	get := func(url string, follow bool) string {
		_, err := client.Do(t.Context(), "demo", v1alpha1.HTTPRequest{URL: fmt.Sprintf(url, port), FollowRedirects: follow}, 5*time.Second)
		return message(err)
	}
	const refused = "address 127.0.0.1 may not be called (loopback); allow it with --allow-networks"
	if got := get("http://rebind.example:%s/", false); got != "" {
		t.Errorf("first: %s", got)
	}
	if got := get("http://rebind.example:%s/", false); got != refused {
		t.Errorf("second: got %q, want %q", got, refused)
	}
	lookups.Store(0)
	if got := get("http://rebind2.example:%s/moved", true); got != refused {
		t.Errorf("redirected to itself: got %q, want %q", got, refused)
	}
	outside.Close()
	if got := get("http://both.example:%s/", false); got == "" {
		t.Error("fell back from a public address to a private one")
	}
	if n := privateHits.Load(); n != 0 {
		t.Errorf("reached the private address %d times", n)
	}
	if n := publicHits.Load(); n != 2 {
		t.Errorf("reached the public address %d times, want 2", n)
	}
}
