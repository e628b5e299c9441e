package sipstack

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// startDNS serves records, by "TYPE name.", over UDP on the loopback address, and returns Go's resolver that asks there.
func startDNS(t *testing.T, records map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, peer, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(dnsAnswer(b[:n], records), peer)
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// dnsAnswer answers a query of one question (RFC 1035 section 4).
func dnsAnswer(query []byte, records map[string][]string) []byte {
	types := map[uint16]string{1: "A", 28: "AAAA", 33: "SRV"}
	name, end := "", 12
	for query[end] != 0 {
		name += string(query[end+1:end+1+int(query[end])]) + "."
		end += 1 + int(query[end])
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	found := records[types[kind]+" "+strings.ToLower(name)]
	known := false
	for key := range records {
		known = known || strings.HasSuffix(key, " "+strings.ToLower(name))
	}
	flags := uint16(0x8580) // a response, authoritative, recursion as desired and available
	if !known {
		flags |= 3 // no such name
	}
	head := binary.BigEndian.AppendUint16(append([]byte(nil), query[:2]...), flags)
	for _, count := range []int{1, len(found), 0, 0} {
		head = binary.BigEndian.AppendUint16(head, uint16(count))
	}
	res := append(head, query[12:end+5]...)
	for _, record := range found {
		data := recordData(types[kind], record)
		res = append(res, 0xc0, 12) // the question's name
		res = binary.BigEndian.AppendUint16(res, kind)
		res = append(res, 0, 1, 0, 0, 0, 60)
		res = binary.BigEndian.AppendUint16(res, uint16(len(data)))
		res = append(res, data...)
	}
	return res
}

func recordData(kind, record string) []byte {
	if kind != "SRV" {
		return netip.MustParseAddr(record).AsSlice()
	}
	var priority, weight, port uint16
	var target string
	_, _ = fmt.Sscan(record, &priority, &weight, &port, &target)
	var data []byte
	for _, n := range []uint16{priority, weight, port} {
		data = binary.BigEndian.AppendUint16(data, n)
	}
	for label := range strings.SplitSeq(strings.Trim(target, "."), ".") {
		if label != "" {
			data = append(append(data, byte(len(label))), label...)
		}
	}
	return append(data, 0)
}
