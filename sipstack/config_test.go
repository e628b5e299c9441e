package sipstack

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigErrorsNameTheKey(t *testing.T) {
	udp := func(address string) []Listener { return []Listener{{"udp", address}} }
	engine, err := media.New(media.Config{})
	require.NoError(t, err)
	defer engine.Close()
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"no listener":               {Config{}, "sip.listen"},
		"unknown transport":         {Config{Listeners: []Listener{{"sctp", "127.0.0.1:5060"}}}, "sip.listen"},
		"no port":                   {Config{Listeners: udp("127.0.0.1")}, "sip.listen"},
		"wildcard":                  {Config{Listeners: udp(":5060")}, "sip.advertise"},
		"IPv6 wildcard":             {Config{Listeners: udp("[::]:5060")}, "sip.advertise"},
		"advertise with a port":     {Config{Listeners: udp("127.0.0.1:5060"), Advertise: "host:x"}, "sip.advertise"},
		"advertise with port 0":     {Config{Listeners: udp("127.0.0.1:5060"), Advertise: "host:0"}, "sip.advertise"},
		"broken IPv6 advertise":     {Config{Listeners: udp("127.0.0.1:5060"), Advertise: "[::1"}, "sip.advertise"},
		"TLS without a certificate": {Config{Listeners: []Listener{{"tls", "127.0.0.1:5061"}}}, "sip.tls.cert_file"},
		"certificate without a key": {Config{Listeners: udp("127.0.0.1:5060"), TLS: TLSConfig{CertFile: "a"}}, "sip.tls.key_file"},
		"clients without authority": {Config{Listeners: udp("127.0.0.1:5060"), TLS: TLSConfig{VerifyClient: true}}, "sip.tls.ca_file"},
		"negative connections":      {Config{Listeners: udp("127.0.0.1:5060"), MaxConnections: -1}, "sip.max_connections"},
		"negative keepalive":        {Config{Listeners: udp("127.0.0.1:5060"), Keepalive: -1}, "sip.keepalive"},
		"negative timeout":          {Config{Listeners: udp("127.0.0.1:5060"), NotifyTimeout: -1}, "refer.notify_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(tc.cfg, engine)
			require.ErrorContains(t, err, tc.want)
		})
	}
	s, err := New(Config{Listeners: udp("127.0.0.1:0")}, engine)
	require.NoError(t, err)
	assert.Equal(t, 30*time.Second, s.cfg.NotifyTimeout)
	assert.Empty(t, s.URI("bob"))
	require.NoError(t, s.Close())
	require.Error(t, s.Start(context.Background()), "closed")
	_, err = New(Config{Listeners: udp("127.0.0.1:0")}, nil)
	require.Error(t, err)
}

func TestStartBindsAllOrNone(t *testing.T) {
	h := newHub()
	engine, err := media.New(media.Config{})
	require.NoError(t, err)
	defer engine.Close()
	s, err := New(Config{Listeners: []Listener{{"udp", "127.0.0.1:5060"}, {"udp", "127.0.0.1:5060"}}}, engine, WithNetwork(h))
	require.NoError(t, err)
	require.ErrorContains(t, s.Start(context.Background()), "sip.listen")
	assert.Empty(t, h.conns)
	require.NoError(t, s.Close())
}

func TestSplitAdvertise(t *testing.T) {
	for in, want := range map[string]struct {
		host string
		port int
	}{
		"": {"", 0}, "sip.example.com": {"sip.example.com", 0}, "sip.example.com:5080": {"sip.example.com", 5080},
		"192.0.2.1": {"192.0.2.1", 0}, "192.0.2.1:5080": {"192.0.2.1", 5080},
		"2001:db8::1": {"2001:db8::1", 0}, "[2001:db8::1]": {"2001:db8::1", 0}, "[2001:db8::1]:5080": {"2001:db8::1", 5080},
	} {
		host, port, err := splitAdvertise(in)
		require.NoError(t, err, in)
		assert.Equal(t, want.host, host, in)
		assert.Equal(t, want.port, port, in)
	}
}

func TestACL(t *testing.T) {
	a := acl{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for ip, want := range map[string]bool{
		"192.0.2.7": true, "192.0.3.7": false, "::ffff:192.0.2.7": true, "2001:db8::1": true, "2001:db9::1": false,
	} {
		assert.Equal(t, want, a.contains(netip.MustParseAddr(ip)), ip)
	}
	assert.True(t, acl(nil).admits(ours), "an empty list lets everybody in")
	assert.False(t, a.admits(ours))
}

// invitationOf reads the invitation of an INVITE with these headers.
func invitationOf(t *testing.T, uri, from, headers string, trunks acl) Invitation {
	t.Helper()
	msg, err := sip.ParseMessage([]byte("INVITE " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: " + from +
		"\r\nTo: <sip:ignored@x>\r\nCall-ID: 1@x\r\nCSeq: 1 INVITE\r\n" + headers + "Content-Length: 0\r\n\r\n"))
	require.NoError(t, err)
	msg.SetSource("192.0.2.1:5062")
	return readInvitation(msg.(*sip.Request), trunks)
}

func TestInvitation(t *testing.T) {
	inv := invitationOf(t, "sip:front-desk:pw@sip.example.com:5070;transport=udp;x=y", `"Alice" <sip:alice@peer.example:5090;line=1>;tag=1`,
		"X-Session-Id: first\r\nx-session-id: sess-12345\r\nX-Other: a, b\r\n"+
			"User-To-User: 3132;encoding=hex\r\nUser-To-User: abc;encoding=base64, def;encoding=jwt\r\n", nil)
	inv.Time = time.Time{}
	assert.Equal(t, Invitation{
		SIPCallID: "1@x", From: "sip:alice@peer.example:5090", To: "sip:front-desk@sip.example.com:5070",
		RequestURI: "sip:front-desk:pw@sip.example.com:5070;transport=udp;x=y",
		User:       "front-desk", UserHost: "front-desk@sip.example.com", Source: netip.MustParseAddrPort("192.0.2.1:5062"),
		UUI:      "3132;encoding=hex,abc;encoding=base64,def;encoding=jwt",
		XHeaders: map[string]string{"x-session-id": "sess-12345", "x-other": "a, b"},
	}, inv)
}

func TestInvitationOfATelephoneCall(t *testing.T) {
	trunks := acl{netip.MustParsePrefix("192.0.2.0/24")}
	inv := invitationOf(t, "sip:+15551230002;npdi@sip.example.com;user=phone", "<sip:+15551230001@carrier.example;user=phone>;tag=1",
		"X-Session-Id: 1\r\n", trunks)
	assert.True(t, inv.Trunk)
	assert.Equal(t, "+15551230001", inv.From)
	assert.Equal(t, "+15551230002", inv.To)
	assert.Equal(t, "+15551230002@sip.example.com", inv.UserHost)
	assert.Nil(t, inv.XHeaders)

	inv = invitationOf(t, "sip:sip.example.com", "<sip:anonymous.invalid>;tag=1", "", trunks)
	assert.Equal(t, "sip:anonymous.invalid", inv.From, "where there is no user part")
	assert.Equal(t, "sip:sip.example.com", inv.To)
	assert.Equal(t, "sip.example.com", inv.UserHost)

	inv = invitationOf(t, "tel:+15551230002;phone-context=x", "<tel:+15551230001;x=y>;tag=1", "", nil)
	assert.Equal(t, "tel:+15551230001", inv.From)
	assert.Equal(t, "tel:+15551230002", inv.To)
	assert.Equal(t, "+15551230002", inv.User)
}

func TestDiversion(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		want  map[string]string
	}{
		"a number": {
			`<sip:+15551230009@carrier.example>;reason=no-answer;privacy=off`,
			map[string]string{"origTo": "+15551230009", "reason": "no-answer", "privacy": "off"},
		},
		"the newest of several": {
			`"Bob, the boss" <sip:bob@example.com;x=y>;Reason="user-busy";counter=1, <sip:carol@example.com>;reason=deflection`,
			map[string]string{"origTo": "sip:bob@example.com", "reason": "user-busy", "counter": "1"},
		},
		"tel":        {`<tel:+15551230009>;reason=unconditional`, map[string]string{"origTo": "+15551230009", "reason": "unconditional"}},
		"unreadable": {`<<<`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inv := invitationOf(t, "sip:x@y", "<sip:a@b>;tag=1", "Diversion: "+tc.value+"\r\nDiversion: <sip:older@example.com>\r\n", nil)
			assert.Equal(t, tc.want, inv.Diversion)
		})
	}
}

func TestStirShaken(t *testing.T) {
	for name, tc := range map[string]struct {
		from, headers string
		want          map[string]string
	}{
		"in the asserted identity": {
			headers: "P-Asserted-Identity: <sip:+15551230001;verstat=TN-Validation-Passed@carrier.example;user=phone>\r\n" +
				"Attestation-Info: A\r\nOrigination-Id: 6c1f0f36\r\n",
			want: map[string]string{"verstat": "TN-Validation-Passed", "attestationIndicator": "A", "originatingId": "6c1f0f36"},
		},
		"in From": {
			from: "<tel:+15551230001;verstat=No-TN-Validation>;tag=1", want: map[string]string{"verstat": "No-TN-Validation"},
		},
		"older names": {
			headers: "P-Attestation-Indicator: \"B\"\r\nP-Origination-ID: 1\r\nP-Verstat: TN-Validation-Failed\r\n",
			want:    map[string]string{"verstat": "TN-Validation-Failed", "attestationIndicator": "B", "originatingId": "1"},
		},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			trunk := acl{netip.MustParsePrefix("192.0.2.0/24")}
			inv := invitationOf(t, "sip:x@y", orElse(tc.from, "<sip:a@b>;tag=1"), tc.headers, trunk)
			assert.Equal(t, tc.want, inv.StirShaken)
			inv = invitationOf(t, "sip:x@y", orElse(tc.from, "<sip:a@b>;tag=1"), tc.headers, nil)
			assert.Nil(t, inv.StirShaken, "who is no trunk could say anything")
		})
	}
}

func parseInvite(t *testing.T, uri, headers string) *sip.Request {
	t.Helper()
	msg, err := sip.ParseMessage([]byte("INVITE " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:ignored@x>\r\nCall-ID: 1@x\r\nCSeq: 1 INVITE\r\n" + headers + "Content-Length: 0\r\n\r\n"))
	require.NoError(t, err)
	return msg.(*sip.Request)
}

// FuzzInvitation holds that whatever the gate lets through can be read as an INVITE.
func FuzzInvitation(f *testing.F) {
	for _, raw := range corpus(f) {
		f.Add(raw)
	}
	for _, more := range []string{
		"Diversion: <sip:a@b>;reason=busy, <tel:+1>\r\nUser-To-User: x, y\r\nP-Asserted-Identity: <sip:+1;verstat=TN-Validation-Passed@b>",
		"Diversion:\r\nUser-To-User:\r\nSession-Expires: 90;refresher=uas\r\nMin-SE: 91\r\nRequire: timer, 100rel\r\nX-:",
	} {
		f.Add([]byte("INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x>\r\n" +
			"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.2>\r\n" + more + "\r\nContent-Length: 0\r\n\r\n"))
	}
	sound, err := media.New(media.Config{})
	require.NoError(f, err)
	s, err := New(Config{Listeners: []Listener{{"udp", "127.0.0.1:5060"}}, SessionExpires: 30 * time.Minute}, sound)
	require.NoError(f, err)
	f.Cleanup(func() {
		require.NoError(f, s.Close())
		require.NoError(f, sound.Close())
	})
	f.Fuzz(func(t *testing.T, raw []byte) {
		message, _ := testGate().pass(raw, theirs, false)
		if message == nil {
			return
		}
		msg, err := sip.ParseMessage(message)
		if err != nil {
			return
		}
		req, ok := msg.(*sip.Request)
		if !ok {
			return
		}
		req.SetSource("192.0.2.1:5062")
		for _, trunks := range []acl{nil, {netip.MustParsePrefix("192.0.2.0/24")}} {
			inv := readInvitation(req, trunks)
			require.LessOrEqual(t, len(inv.UUI), maxUUI)
			require.NotContains(t, inv.From+inv.To+inv.UserHost, "\n")
		}
		s.incapable(req)
		new(sessionTimer).proposed(s, req)
		newReliable(req)
		pathOf(req)
		readRAck(req)
		secureContact(req)
		if offer, err := readOffer(req); err == nil {
			_, _, _ = exchange(offer, sdpLocal{addr: netip.MustParseAddr("127.0.0.1"), port: 9})
		}
	})
}
