package sipstack

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// preferences is a name table with NAPTR records.
type preferences struct {
	*nameTable
	records map[string][]NAPTR
	fails   error
}

func (p *preferences) LookupNAPTR(_ context.Context, name string) ([]NAPTR, error) {
	return p.records[name], p.fails
}

func TestADomainSaysWhichTransportsItPrefers(t *testing.T) { // RFC 3263 section 4.1
	udp, tcp, tls := udpAt("10.1.0.1:5060"), tcpAt("tcp", "10.1.0.1:5060"), tcpAt("tls", "10.1.0.1:5061")
	all := []*listener{udp, tcp, tls}
	names := newNameTable()
	names.host("one.example", "10.0.0.1")
	for name, port := range map[string]uint16{
		"_sip._udp.all.example": 1, "_sip._tcp.all.example": 2, "_sips._tcp.all.example": 3, "special.all.example": 4, "_sip._udp.lost.example": 5,
	} {
		names.service(name, &net.SRV{Target: "one.example.", Port: port})
	}
	d2u, d2t := NAPTR{50, 50, "s", "SIP+D2U", "_sip._udp.all.example."}, NAPTR{90, 50, "S", "sip+d2t", "special.all.example."}
	d2s := NAPTR{10, 50, "s", "SIPS+D2T", "_sips._tcp.all.example."}
	sooner := func(r NAPTR, order, preference uint16) NAPTR {
		r.Order, r.Preference = order, preference
		return r
	}
	for name, tc := range map[string]struct {
		uri     string
		records []NAPTR
		bound   []*listener
		want    string
	}{
		"in order":                     {"sip:a@all.example", []NAPTR{d2t, d2s, d2u}, all, "tls 10.0.0.1:3, udp 10.0.0.1:1, tcp 10.0.0.1:4"},
		"by preference within one":     {"sip:a@all.example", []NAPTR{d2u, sooner(d2t, 50, 10)}, all, "tcp 10.0.0.1:4, udp 10.0.0.1:1"},
		"what we have":                 {"sip:a@all.example", []NAPTR{d2t, d2s, d2u}, []*listener{udp, tcp}, "udp 10.0.0.1:1, tcp 10.0.0.1:4"},
		"sips: is for TLS alone":       {"sips:a@all.example", []NAPTR{d2u, d2t, d2s}, all, "tls 10.0.0.1:3"},
		"a transport that is named":    {"sip:a@all.example;transport=tcp", []NAPTR{d2u}, all, "tcp 10.0.0.1:2"},
		"a port that is named":         {"sip:a@one.example:7", []NAPTR{d2t}, all, "udp 10.0.0.1:7"},
		"none":                         {"sip:a@all.example", nil, all, "udp 10.0.0.1:1, tcp 10.0.0.1:2"},
		"none of use":                  {"sip:a@all.example", []NAPTR{{1, 1, "u", "E2U+sip", "x."}, {1, 1, "s", "SIP+D2S", "y."}, {1, 1, "s", "SIP+D2T", "."}}, all, "udp 10.0.0.1:1, tcp 10.0.0.1:2"},
		"leading nowhere":              {"sip:a@lost.example", []NAPTR{{1, 1, "s", "SIP+D2T", "nowhere.example."}}, all, "udp 10.0.0.1:5"},
		"leading nowhere, at the best": {"sip:a@all.example", []NAPTR{{1, 1, "s", "SIP+D2T", "nowhere.example."}, d2u}, all, "udp 10.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			uri := uriOf(t, tc.uri)
			l := newLocator(&preferences{nameTable: names, records: map[string][]NAPTR{uri.Host: tc.records}})
			l.random = first
			flows, err := l.flows(context.Background(), uri, tc.bound, udp)
			require.NoError(t, err)
			assert.Equal(t, tc.want, written(flows))
		})
	}
	t.Run("cannot be known", func(t *testing.T) {
		asked := &preferences{nameTable: names, fails: net.ErrClosed}
		l := newLocator(asked)
		l.random = first
		for range 2 {
			flows, err := l.flows(context.Background(), uriOf(t, "sip:a@all.example"), all, udp)
			require.NoError(t, err)
			assert.Equal(t, "udp 10.0.0.1:1, tcp 10.0.0.1:2", written(flows))
			asked.fails, asked.records = nil, map[string][]NAPTR{"all.example": {d2s}} // not asked again for a while
		}
	})
}

// bothAtOnePort binds a port that is free for both.
func bothAtOnePort(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, pc
		}
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		require.NoError(t, l.Close()) // somebody has that port for UDP: the next one
	}
}

// nameServer answers as f does, over UDP and TCP at one port.
func nameServer(t *testing.T, f dns.HandlerFunc) *dns.ClientConfig {
	t.Helper()
	l, pc := bothAtOnePort(t)
	for _, s := range []*dns.Server{{Listener: l, Handler: f}, {PacketConn: pc, Handler: f}} {
		up, done := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(up) }
		go func() { done <- s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() {
			require.NoError(t, s.Shutdown())
			require.NoError(t, <-done)
		})
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return &dns.ClientConfig{Servers: []string{host}, Port: port}
}

func TestNAPTRRecordsComeFromTheNameServers(t *testing.T) {
	record := func(service, regexp string) dns.RR {
		return &dns.NAPTR{
			Hdr:   dns.RR_Header{Name: "example.com.", Rrtype: dns.TypeNAPTR, Class: dns.ClassINET, Ttl: 60},
			Order: 10, Preference: 20, Flags: "S", Service: service, Regexp: regexp, Replacement: "_sip._tcp.example.com.",
		}
	}
	answer := func(change func(res *dns.Msg, tcp bool)) dns.HandlerFunc {
		return func(w dns.ResponseWriter, req *dns.Msg) {
			res := new(dns.Msg).SetReply(req)
			change(res, w.RemoteAddr().Network() == "tcp")
			_ = w.WriteMsg(res)
		}
	}
	sip := []NAPTR{{10, 20, "S", "SIP+D2T", "_sip._tcp.example.com."}}
	for name, tc := range map[string]struct {
		serve dns.HandlerFunc
		want  []NAPTR
		fails bool
	}{
		"records": {answer(func(res *dns.Msg, _ bool) {
			res.Answer = []dns.RR{record("SIP+D2T", ""), record("E2U+sip", "!.*!sip:x!")}
		}), sip, false},
		"none":         {answer(func(*dns.Msg, bool) {}), nil, false},
		"no such name": {answer(func(res *dns.Msg, _ bool) { res.Rcode = dns.RcodeNameError }), nil, false},
		"refused":      {answer(func(res *dns.Msg, _ bool) { res.Rcode = dns.RcodeRefused }), nil, true},
		"too long for a datagram": {answer(func(res *dns.Msg, tcp bool) {
			if res.Truncated = !tcp; tcp {
				res.Answer = []dns.RR{record("SIP+D2T", "")}
			}
		}), sip, false},
	} {
		t.Run(name, func(t *testing.T) {
			conf := nameServer(t, tc.serve)
			found, err := hostResolver{servers: func() (*dns.ClientConfig, error) { return conf, nil }}.LookupNAPTR(t.Context(), "example.com")
			assert.Equal(t, tc.fails, err != nil, "%v", err)
			assert.Equal(t, tc.want, found)
		})
	}
	t.Run("no name server", func(t *testing.T) {
		_, err := hostResolver{servers: func() (*dns.ClientConfig, error) { return &dns.ClientConfig{}, nil }}.LookupNAPTR(t.Context(), "example.com")
		require.Error(t, err)
	})
	t.Run("not set up", func(t *testing.T) {
		_, err := hostResolver{servers: func() (*dns.ClientConfig, error) { return dns.ClientConfigFromFile("testdata/none") }}.LookupNAPTR(t.Context(), "example.com")
		require.Error(t, err)
	})
}
