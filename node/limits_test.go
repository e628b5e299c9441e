package node_test

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhoIsNotInSIPAllowGetsNoAnswerAtAll(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			allow := func(cfg *node.Config) { cfg.SIP.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")} }
			inBubble(t, allow, func(t *testing.T, b *bubble) {
				stranger := b.phoneAt("10.0.1.7", transport)
				// What is sent over TCP fails once the node has closed the connection.
				_, _ = stranger.Phone.Invite(t.Context(), scenario.Invite{To: b.uri("desk")})
				for _, method := range []string{"OPTIONS", "FOO"} {
					_ = stranger.Phone.Send(t.Context(), "10.0.0.1:5060", outOfDialog(stranger, method, b.uri("")))
				}
				_ = stranger.SendRaw(t.Context(), "10.0.0.1:5060", []byte("hello\r\n\r\n"))
				time.Sleep(leftover)
				assert.Empty(t, stranger.Received("*"))
				assert.Empty(t, b.app.Events())

				b.app.On("initiate", scenario.BXML(response(`<Pause/>`)))
				b.phoneAt("10.0.2.7", transport).Call(b.uri("desk")).Expect("BYE")
				b.disconnect("hangup", "")
			})
		})
	}
}

// phoneAt makes a phone at an address of its own.
func (b *bubble) phoneAt(ip, transport string) *scenario.ScriptedPhone {
	b.t.Helper()
	from := b.net.From(netip.MustParseAddr(ip))
	return scenario.NewScript(b.t, from, 0).Phone(scenario.PhoneConfig{Address: net.JoinHostPort(ip, "5060"), Transport: transport})
}

// outOfDialog builds a request that belongs to no dialog.
func outOfDialog(p *scenario.ScriptedPhone, method, uri string, headers ...scenario.Header) *scenario.Message {
	via := "SIP/2.0/UDP "
	if p.URI() != "sip:phone@"+p.Addr().String() {
		via = "SIP/2.0/TCP "
	}
	m := &scenario.Message{Start: method + " " + uri + " SIP/2.0"}
	return m.With(
		scenario.Header{Name: "Via", Value: via + p.Addr().String() + ";rport;branch=z9hG4bK-" + method},
		scenario.Header{Name: "Max-Forwards", Value: "70"},
		scenario.Header{Name: "From", Value: "<" + p.URI() + ">;tag=1"},
		scenario.Header{Name: "To", Value: "<" + uri + ">"},
		scenario.Header{Name: "Call-ID", Value: "out-of-dialog-" + method},
		scenario.Header{Name: "CSeq", Value: "1 " + method},
	).With(headers...)
}

func TestCallsAboveMaxCallsGet503(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.SIP.MaxCalls = 2 }, func(t *testing.T, b *bubble) {
		first, second := b.call(response(`<Pause duration="10"/>`)), b.call(response(`<Pause duration="20"/>`))
		status, body := b.get("/readyz")
		assert.Equal(t, 503, status)
		assert.Contains(t, body, "max_calls")

		refused := b.invite(response(`<Pause/>`)).Rejected(503)
		assert.Equal(t, "5", refused.Get("Retry-After"))
		time.Sleep(time.Second)
		assert.Len(t, b.app.EventsOf("initiate"), 2, "nobody is asked about the third")
		assert.Equal(t, 1.0, b.metrics()[`callengine_calls_refused_total{reason="max_calls"}`])

		first.Expect("BYE")
		synctest.Wait()
		status, _ = b.get("/readyz")
		assert.Equal(t, 200, status)
		b.call(response(`<Pause/>`)).Expect("BYE")
		second.Expect("BYE")
		for range 3 {
			b.disconnect("hangup", "")
		}
	})
}

func TestTheFirstApplicationThatMatchesGetsTheCall(t *testing.T) {
	change := func(cfg *node.Config) {
		cfg.Applications = nil
		for _, m := range [][]string{
			{"100", "2??"}, {"desk@pbx.example.com", "*@sales.example.com"}, {"desk", "[a-c]*"}, {"*@10.0.0.1"},
		} {
			app := application(m[0], "http://app.example")
			app.Match = m
			cfg.Applications = append(cfg.Applications, app)
		}
	}
	for uri, want := range map[string]string{
		"sip:100@pbx.example.com":            "100",
		"sip:234@anything.example":           "100",
		"sip:234@sales.example.com":          "100", // the order of the applications counts
		"sip:2345@sales.example.com":         "desk@pbx.example.com",
		"sip:desk@pbx.example.com":           "desk@pbx.example.com",
		"sip:desk@pbx.example.com:5070":      "desk@pbx.example.com",
		"sip:desk@other.example.com":         "desk",
		"sip:bob@other.example.com":          "desk",
		"sip:desk;x=y@other.example.com":     "desk",
		"sip:other@10.0.0.1:5060":            "*@10.0.0.1",
		"sip:other@10.0.0.1;transport=udp":   "*@10.0.0.1",
		"sip:other@other.example.com":        "",
		"sip:other.example.com":              "",
		"sip:1000@pbx.example.com":           "",
		"sip:DESK@other.example.com":         "", // user parts are case-sensitive (RFC 3261 section 19.1.4)
		"sip:desk@PBX.example.com;user=ip":   "desk@pbx.example.com",
		"sip:%64esk@other.example.com":       "desk", // an escaped d is a d
		"sip:anybody@sales.example.com:5061": "desk@pbx.example.com",
	} {
		t.Run(uri, func(t *testing.T) {
			inBubble(t, change, func(t *testing.T, b *bubble) {
				c := b.phone.Invite(scenario.Invite{To: uri, Peer: "10.0.0.1:5060"})
				if want == "" {
					c.Rejected(404)
					time.Sleep(leftover)
					assert.Empty(t, b.app.Events())
					return
				}
				c.Rejected(603)
				b.app.Expect("initiate").Check(map[string]any{"applicationId": want})
				b.disconnect("hangup", "").Check(map[string]any{"applicationId": want})
			})
		})
	}
}

// An offer with nothing in it that we know.
const foreignOffer = "v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n"

func TestAnOfferWithoutACommonCodecGets488BeforeTheApplicationIsAsked(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.phone.Invite(scenario.Invite{To: b.uri("desk"), SDP: []byte(foreignOffer)}).Rejected(488)
		time.Sleep(leftover)
		assert.Empty(t, b.app.Events())
		m := b.metrics()
		assert.Zero(t, m["callengine_rtp_ports_in_use"])
		assert.Zero(t, m[`callengine_calls_active{direction="inbound"}`])
		assert.Zero(t, m[`callengine_calls_total{direction="inbound"}`])
		assert.Zero(t, b.drain()(), "nobody is waited for")
	})
}

func TestACallForWhichNoRTPPortIsLeftGets503BeforeTheApplicationIsAsked(t *testing.T) {
	onePair := func(cfg *node.Config) { cfg.Media.RTPPorts = node.PortRange{Min: 20000, Max: 20001} }
	inBubble(t, onePair, func(t *testing.T, b *bubble) {
		first := b.call(response(`<SpeakSentence>Hello</SpeakSentence><Pause duration="10"/>`))
		b.invite(response(`<Pause/>`)).Rejected(503)
		first.Expect("BYE")
		b.disconnect("hangup", "")
		require.Len(t, b.app.EventsOf("initiate"), 1)
		time.Sleep(time.Minute) // the pair rests
		assert.Zero(t, b.metrics()["callengine_rtp_ports_in_use"])
		b.call(response(`<Pause/>`)).Expect("BYE")
		b.disconnect("hangup", "")
		assert.Zero(t, b.drain()(), "nobody is waited for")
	})
}

func TestRequestsThatBelongToNoCall(t *testing.T) {
	for name, tc := range map[string]struct {
		method  string
		headers []scenario.Header
		code    int
		header  string // that the answer must have
	}{
		"OPTIONS":                    {"OPTIONS", nil, 200, "Allow"},
		"an unknown method":          {"FOO", nil, 405, "Allow"},
		"REGISTER":                   {"REGISTER", nil, 405, "Allow"},
		"BYE of a call that is not":  {"BYE", []scenario.Header{{Name: "To", Value: "<sip:desk@10.0.0.1>;tag=2"}}, 481, ""},
		"INFO of a call that is not": {"INFO", []scenario.Header{{Name: "To", Value: "<sip:desk@10.0.0.1>;tag=2"}}, 481, ""},
		"an extension":               {"INVITE", []scenario.Header{{Name: "Require", Value: "gruu"}}, 420, "Unsupported"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.phone.Send("10.0.0.1:5060", outOfDialog(b.phone, tc.method, b.uri("desk"), tc.headers...))
				var last *scenario.Message
				for last == nil || last.Code() < 200 {
					last = b.phone.Next()
				}
				assert.Equal(t, tc.code, last.Code(), last.Start)
				if tc.header != "" {
					assert.NotEmpty(t, last.Get(tc.header))
				}
				time.Sleep(leftover)
				assert.Empty(t, b.app.Events())
			})
		})
	}
}

func TestKeepaliveEndsACallThatTheOtherSideKnowsNoLonger(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="600"/>`))
		began := time.Now()
		for n := range 3 {
			assert.Equal(t, time.Duration(n+1)*time.Minute, since(began, c.Expect("OPTIONS").Time))
		}
		b.phone.Answer("OPTIONS", 481)
		assert.Equal(t, 4*time.Minute, since(began, c.Expect("OPTIONS").Time))
		e := b.disconnect("error", "481")
		assert.Equal(t, 4*time.Minute, since(began, e.Time))
		c.Never("BYE") // the other side has no dialog to end
		assert.Equal(t, 4*time.Minute, since(began, *b.record(e).EndTime))
	})
}

func TestKeepaliveEndsACallWhenThreeInARowAreNotAnswered(t *testing.T) {
	const timerF = 32 * time.Second
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="3600"/>`))
		began := time.Now()
		b.phone.Answer("OPTIONS", 0)
		for range 2 { // two are not three
			c.Expect("OPTIONS")
			time.Sleep(timerF)
		}
		b.phone.Answer("OPTIONS", 200)
		time.Sleep(time.Minute + time.Second) // the third is answered
		b.phone.Answer("OPTIONS", 0)
		answered := began.Add(2*(time.Minute+timerF) + time.Minute)
		time.Sleep(5 * time.Minute)
		bye := c.Expect("BYE")
		assert.Equal(t, 3*(time.Minute+timerF), since(answered, bye.Time))
		e := b.disconnect("error", "no longer knows the call")
		assert.Equal(t, 3*(time.Minute+timerF), since(answered, *b.record(e).EndTime))
	})
}

func TestKeepaliveCanBeSwitchedOff(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.SIP.Keepalive = 0 }, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="600"/>`))
		time.Sleep(610 * time.Second)
		c.Never("OPTIONS")
		b.disconnect("hangup", "")
	})
}
