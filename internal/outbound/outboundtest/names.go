package outboundtest

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
)

const (
	typeA    = 1
	typeAAAA = 28
	nxdomain = 3
)

// Resolver resolves names as a function says, through a server that speaks DNS. A name without addresses does not
// exist. The function is asked once for each lookup of a name.
func Resolver(tb testing.TB, addresses func(name string) []netip.Addr) *net.Resolver {
	tb.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(tb.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Error(err)
		}
	})
	go serve(conn, addresses)
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func serve(conn net.PacketConn, addresses func(string) []netip.Addr) {
	// Both kinds of addresses are asked for in each lookup, in no order.
	pending := map[string][]netip.Addr{}
	packet := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		name, kind, end := question(packet[:n])
		if end == 0 {
			continue
		}
		list, second := pending[name]
		if second {
			delete(pending, name)
		} else {
			list = addresses(name)
			pending[name] = list
		}
		if _, err := conn.WriteTo(answer(packet[:end], kind, list), from); err != nil {
			return
		}
	}
}

// question reads the name and the type that a query is about, and where the question ends.
func question(packet []byte) (name string, kind uint16, end int) {
	var labels []string
	at := 12
	for at < len(packet) && packet[at] != 0 {
		next := at + 1 + int(packet[at])
		if next >= len(packet) {
			return "", 0, 0
		}
		labels = append(labels, string(packet[at+1:next]))
		at = next
	}
	if at+5 > len(packet) {
		return "", 0, 0
	}
	return strings.Join(labels, "."), binary.BigEndian.Uint16(packet[at+1:]), at + 5
}

func answer(query []byte, kind uint16, addresses []netip.Addr) []byte {
	var records []byte
	count := 0
	for _, a := range addresses {
		if is4 := a.Is4(); is4 && kind != typeA || !is4 && kind != typeAAAA {
			continue
		}
		data := a.AsSlice()
		records = append(records, 0xc0, 12) // the name of the question
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0, 0, byte(len(data)))
		records = append(records, data...)
		count++
	}
	reply := append([]byte{}, query...)
	reply[2], reply[3] = 0x85, 0x80
	if len(addresses) == 0 {
		reply[3] |= nxdomain
	}
	binary.BigEndian.PutUint16(reply[6:], uint16(count))
	clear(reply[8:12])
	return append(reply, records...)
}
