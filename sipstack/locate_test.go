package sipstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func udpAt(address string) *listener {
	return &listener{network: "udp", addr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address))}
}

func tcpAt(network, address string) *listener {
	return &listener{network: network, addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
}

// written returns flows as "udp 10.0.0.1:5060".
func written(flows []flow) string {
	var all []string
	for _, f := range flows {
		all = append(all, f.on.network+" "+f.source.String())
	}
	return strings.Join(all, ", ")
}

func first(uint32) uint32 { return 0 }

func TestLocate(t *testing.T) {
	udp, tcp, tls := udpAt("10.1.0.1:5060"), tcpAt("tcp", "10.1.0.1:5060"), tcpAt("tls", "10.1.0.1:5061")
	udp6 := udpAt("[2001:db8::1]:5060")
	v4, both := []*listener{udp, tcp, tls}, []*listener{udp, udp6}
	names := newNameTable()
	names.host("one.example", "10.0.0.1")
	names.host("two.example", "10.0.0.2", "10.0.0.3")
	names.host("six.example", "10.0.0.6", "2001:db8::6")
	names.host("plain.example", "10.0.0.9", "10.0.0.8")
	names.host("refuses.example", "10.0.0.9")
	names.service("_sip._udp.all.example", &net.SRV{Target: "two.example.", Port: 6060, Priority: 2}, &net.SRV{Target: "one.example.", Port: 5070, Priority: 1})
	names.service("_sip._tcp.all.example", &net.SRV{Target: "one.example.", Port: 5080})
	names.service("_sips._tcp.all.example", &net.SRV{Target: "one.example.", Port: 5081})
	names.service("_sip._tcp.tcponly.example", &net.SRV{Target: "one.example.", Port: 5080})
	names.service("_sip._udp.half.example", &net.SRV{Target: "gone.example.", Port: 1}, &net.SRV{Target: "one.example.", Port: 2})
	names.service("_sip._udp.refuses.example", &net.SRV{Target: "."})
	names.service("_sip._udp.address.example", &net.SRV{Target: "10.0.0.77", Port: 7})
	for name, tc := range map[string]struct {
		uri   string
		bound []*listener
		heard *listener
		want  string
	}{
		"address":                         {"sip:a@10.0.0.4", v4, udp, "udp 10.0.0.4:5060"},
		"address, heard over TCP":         {"sip:a@10.0.0.4", v4, tcp, "tcp 10.0.0.4:5060"},
		"address with transport":          {"sip:a@10.0.0.4;transport=TCP", v4, udp, "tcp 10.0.0.4:5060"},
		"address and port":                {"sip:a@10.0.0.4:7000", v4, udp, "udp 10.0.0.4:7000"},
		"address, TLS":                    {"sip:a@10.0.0.4;transport=tls", v4, udp, "tls 10.0.0.4:5061"},
		"address, sips":                   {"sips:a@10.0.0.4", v4, udp, "tls 10.0.0.4:5061"},
		"sips over another transport":     {"sips:a@10.0.0.4;transport=udp", v4, udp, "tls 10.0.0.4:5061"},
		"sips without TLS":                {"sips:a@10.0.0.4", []*listener{udp, tcp}, tcp, ""},
		"transport that we have not":      {"sip:a@10.0.0.4;transport=ws", v4, udp, "udp 10.0.0.4:5060"},
		"maddr":                           {"sip:a@all.example;maddr=10.0.0.4", v4, udp, "udp 10.0.0.4:5060"},
		"IPv6 address":                    {"sip:a@[2001:db8::4]:7000", both, udp, "udp [2001:db8::4]:7000"},
		"name and port: addresses alone":  {"sip:a@plain.example:5062", v4, udp, "udp 10.0.0.9:5062, udp 10.0.0.8:5062"},
		"name without SRV":                {"sip:a@plain.example", v4, udp, "udp 10.0.0.9:5060, udp 10.0.0.8:5060"},
		"name without SRV, sips":          {"sips:a@plain.example", v4, udp, "tls 10.0.0.9:5061, tls 10.0.0.8:5061"},
		"SRV of each transport":           {"sip:a@all.example", v4, udp, "udp 10.0.0.1:5070, udp 10.0.0.2:6060, udp 10.0.0.3:6060, tcp 10.0.0.1:5080"},
		"the transport heard comes first": {"sip:a@all.example", v4, tcp, "tcp 10.0.0.1:5080, udp 10.0.0.1:5070, udp 10.0.0.2:6060, udp 10.0.0.3:6060"},
		"SRV of the transport named":      {"sip:a@all.example;transport=tcp", v4, udp, "tcp 10.0.0.1:5080"},
		"sips has _sips._tcp alone":       {"sips:a@all.example", v4, udp, "tls 10.0.0.1:5081"},
		"only another transport":          {"sip:a@tcponly.example", v4, udp, "tcp 10.0.0.1:5080"},
		"SRV whose host is gone":          {"sip:a@half.example", v4, udp, "udp 10.0.0.1:2"},
		"SRV that says no":                {"sip:a@refuses.example", v4, udp, ""},
		"SRV with an address":             {"sip:a@address.example", v4, udp, "udp 10.0.0.77:7"},
		"both families":                   {"sip:a@six.example", both, udp, "udp 10.0.0.6:5060, udp [2001:db8::6]:5060"},
		"the family that we have":         {"sip:a@six.example", v4, udp, "udp 10.0.0.6:5060"},
		"no such name":                    {"sip:a@none.example", v4, udp, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLocator(names)
			l.random = first
			flows, err := l.flows(context.Background(), uriOf(t, tc.uri), tc.bound, tc.heard)
			assert.Equal(t, tc.want, written(flows))
			if tc.want == "" {
				require.ErrorIs(t, err, errTransport)
				return
			}
			require.NoError(t, err)
			for _, f := range flows {
				assert.True(t, f.on.reaches(f.source.Addr()), "a socket of the address's family")
			}
		})
	}
}

func TestManyTargetsOfAName(t *testing.T) {
	names := newNameTable()
	var addrs []string
	for i := range 30 {
		addrs = append(addrs, fmt.Sprintf("10.0.1.%d", i))
	}
	names.host("many.example", addrs...)
	udp := udpAt("10.1.0.1:5060")
	flows, err := newLocator(names).flows(context.Background(), uriOf(t, "sip:many.example:5060"), []*listener{udp}, udp)
	require.NoError(t, err)
	assert.Len(t, flows, maxTargets)
}

func TestServicesInOrder(t *testing.T) {
	record := func(target string, priority, weight uint16) *net.SRV {
		return &net.SRV{Target: target, Priority: priority, Weight: weight}
	}
	records := []*net.SRV{
		record("late", 20, 100), record("a", 10, 10), record("none", 10, 0), record("b", 10, 30),
	}
	for name, tc := range map[string]struct {
		marks []uint32 // of the draws, whose ranges are the sums of weights
		want  string
	}{
		"lowest":     {[]uint32{0, 0, 0, 0}, "none a b late"},
		"within a":   {[]uint32{10, 0, 0, 0}, "a none b late"},
		"beyond a":   {[]uint32{11, 0, 0, 0}, "b none a late"},
		"highest":    {[]uint32{40, 10, 0, 100}, "b a none late"},
		"one by one": {[]uint32{40, 0, 0, 0}, "b none a late"},
	} {
		t.Run(name, func(t *testing.T) {
			marks := slices.Clone(tc.marks)
			var got []string
			for _, r := range inOrder(records, func(n uint32) uint32 {
				mark := marks[0]
				marks = marks[1:]
				require.Less(t, mark, n)
				return mark
			}) {
				got = append(got, r.Target)
			}
			assert.Equal(t, tc.want, strings.Join(got, " "))
		})
	}
	assert.Equal(t, "late", records[0].Target, "what was looked up is not changed")

	drawn := 0
	l := newLocator(newNameTable())
	for range 4000 {
		if inOrder(records, l.random)[0].Target == "b" {
			drawn++
		}
	}
	assert.InDelta(t, 3000, drawn, 250, "three of four")
}

func TestNamesThatFailAreNotAskedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := newNameTable()
		names.hangs["slow.example"] = true
		udp, tcp := udpAt("10.1.0.1:5060"), tcpAt("tcp", "10.1.0.1:5060")
		l := newLocator(names)
		look := func() (time.Duration, error) {
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
			defer cancel()
			_, err := l.flows(ctx, uriOf(t, "sip:slow.example"), []*listener{udp, tcp}, udp)
			return time.Since(start), err
		}
		took, err := look()
		require.ErrorIs(t, err, errTransport)
		assert.Equal(t, connectTimeout, took)
		assert.Equal(t, []string{"_sip._tcp.slow.example", "_sip._udp.slow.example", "ip4 slow.example"}, names.questions())
		took, err = look()
		var unknown *net.DNSError
		require.ErrorAs(t, err, &unknown)
		assert.Zero(t, took)
		assert.Empty(t, names.questions())

		time.Sleep(unknownFor) // fake
		names.hangs["slow.example"] = false
		names.host("slow.example", "10.0.0.5")
		took, err = look()
		require.NoError(t, err)
		assert.Zero(t, took)
	})
}

func TestLookupGivenUpSaysNothingOfTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := newNameTable()
		names.hangs["slow.example"] = true
		udp := udpAt("10.1.0.1:5060")
		l := newLocator(names)
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		_, err := l.flows(ctx, uriOf(t, "sip:slow.example:5060"), []*listener{udp}, udp)
		require.ErrorIs(t, err, errTransport)
		names.questions()
		names.hangs["slow.example"] = false
		names.host("slow.example", "10.0.0.5")
		_, err = l.flows(context.Background(), uriOf(t, "sip:slow.example:5060"), []*listener{udp}, udp)
		require.NoError(t, err)
	})
}

func TestOutagesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutages()
		on := udpAt("10.1.0.1:5060")
		at := func(i int) flow {
			return flow{on, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(i))}
		}
		for i := range 2 * maxOutages {
			o.avoid(at(i), 0)
			o.lookedUp(context.Background(), fmt.Sprint(i), assert.AnError)
		}
		assert.Len(t, o.targets, maxOutages)
		assert.Len(t, o.names, maxOutages)
		time.Sleep(avoidedFor) // fake
		o.avoid(at(1), 0)
		o.lookedUp(context.Background(), "x", assert.AnError)
		assert.Len(t, o.targets, 1)
		assert.Len(t, o.names, 1)
	})
}

// brokenResolver panics.
type brokenResolver struct{}

func (brokenResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	panic("addresses")
}

func (brokenResolver) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	panic("services")
}

func TestALookUpThatPanicsFailsAlone(t *testing.T) {
	t.Parallel()
	l := newLocator(brokenResolver{})
	var mu sync.Mutex
	var told []any
	l.panicked = func(v any) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, v)
	}
	on := &listener{network: "udp", addr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5060}}
	_, err := l.flows(t.Context(), sip.Uri{Scheme: "sip", Host: "phone.example"}, []*listener{on}, on)
	require.ErrorIs(t, err, errTransport)
	require.ErrorIs(t, err, errLookUp)
	assert.Contains(t, told, "addresses")
	assert.Contains(t, told, "services")
}
