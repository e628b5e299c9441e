package hep_test

import (
	"encoding/hex"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/sipstack/hep"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func options() hep.Packet {
	return hep.Packet{
		Time:   time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC),
		Source: netip.MustParseAddrPort("192.0.2.1:5060"), Destination: netip.MustParseAddrPort("198.51.100.7:5062"),
		Protocol: hep.SIP, CaptureID: 2001, Password: "secret", CorrelationID: "abc@example.com",
		Payload: []byte("OPTIONS sip:a@198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:b@192.0.2.1>;tag=1\r\n" +
			"To: <sip:a@198.51.100.7>\r\nCall-ID: abc@example.com\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"),
	}
}

// Kamailio's module sipcapture reads the golden file as it is meant.
func TestAPacketIsByteForByteAsItWas(t *testing.T) {
	got, err := options().AppendBinary(nil)
	require.NoError(t, err)
	const name = "testdata/options.golden"
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(hex.Dump(got)), 0o600))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, string(want), hex.Dump(got))
}

func TestAPacketIsReadAsItWasMeant(t *testing.T) {
	four, six := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("[2001:db8::1]:5061")
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:5060")
	for name, tc := range map[string]struct {
		change func(*hep.Packet)
		want   map[uint16]string // by chunk
		absent []uint16
	}{
		"SIP over UDP and IPv4": {func(*hep.Packet) {}, map[uint16]string{
			1: "\x02", 2: "\x11", 3: "\xc0\x00\x02\x01", 4: "\xc6\x33\x64\x07", 7: "\x13\xc4", 8: "\x13\xc6",
			9: "\x69\x57\x35\xa5", 10: "\x00\x0a\x5b\xf5", 11: "\x01", 12: "\x00\x00\x07\xd1", 14: "secret", 17: "abc@example.com",
		}, []uint16{5, 6}},
		"over TCP":           {func(p *hep.Packet) { p.TCP = true }, map[uint16]string{2: "\x06"}, nil},
		"RTCP":               {func(p *hep.Packet) { p.Protocol = hep.RTCP }, map[uint16]string{11: "\x05"}, nil},
		"without a password": {func(p *hep.Packet) { p.Password = "" }, nil, []uint16{14}},
		"without an id":      {func(p *hep.Packet) { p.CorrelationID = "" }, nil, []uint16{17}},
		"an empty payload":   {func(p *hep.Packet) { p.Payload = nil }, map[uint16]string{15: ""}, nil},
		"IPv6": {func(p *hep.Packet) { p.Source, p.Destination = six, six }, map[uint16]string{
			1: "\x0a", 5: string(six.Addr().AsSlice()), 6: string(six.Addr().AsSlice()), 7: "\x13\xc5",
		}, []uint16{3, 4}},
		"IPv4 and IPv6": {func(p *hep.Packet) { p.Source, p.Destination = four, six }, map[uint16]string{
			1: "\x0a", 5: string(mapped.Addr().AsSlice()), 6: string(six.Addr().AsSlice()),
		}, []uint16{3, 4}},
		"IPv4 within IPv6": {func(p *hep.Packet) { p.Source = mapped }, map[uint16]string{1: "\x02", 3: "\xc0\x00\x02\x01"}, []uint16{5, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			p := options()
			tc.change(&p)
			b, err := p.AppendBinary([]byte("before"))
			require.NoError(t, err)
			got := chunks(t, b[len("before"):])
			for kind, value := range tc.want {
				assert.Equal(t, []byte(value), got[kind], "chunk %d", kind)
			}
			for _, kind := range tc.absent {
				assert.NotContains(t, got, kind)
			}
			assert.Equal(t, string(p.Payload), string(got[15]))
		})
	}
}

func TestAPacketThatCannotBe(t *testing.T) {
	fits := options()
	fits.Payload = nil
	b, err := fits.AppendBinary(nil)
	require.NoError(t, err)
	most := 1<<16 - 1 - len(b)
	for name, tc := range map[string]struct {
		change func(*hep.Packet)
		want   error
	}{
		"no source":                 {func(p *hep.Packet) { p.Source = netip.AddrPort{} }, hep.ErrAddress},
		"no destination":            {func(p *hep.Packet) { p.Destination = netip.AddrPort{} }, hep.ErrAddress},
		"the longest payload":       {func(p *hep.Packet) { p.Payload = []byte(strings.Repeat("x", most)) }, nil},
		"one byte more":             {func(p *hep.Packet) { p.Payload = []byte(strings.Repeat("x", most+1)) }, hep.ErrTooLong},
		"a Call-ID that is endless": {func(p *hep.Packet) { p.CorrelationID = strings.Repeat("x", 1<<17) }, hep.ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			p := options()
			tc.change(&p)
			b, err := p.AppendBinary([]byte("before"))
			require.ErrorIs(t, err, tc.want)
			if tc.want != nil {
				assert.Equal(t, "before", string(b))
				return
			}
			chunks(t, b[len("before"):])
		})
	}
}
