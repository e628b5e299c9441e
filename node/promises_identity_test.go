package node_test

import (
	"net/netip"
	"testing"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
)

func TestFromAndToOfACall(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to string // as they are in the INVITE
		trunk    bool
		wantFrom string
		wantTo   string
	}{
		"plain":             {"sip:ada@caller.example.com", "sip:desk@pbx.example.com", false, "sip:ada@caller.example.com", "sip:desk@pbx.example.com"},
		"parameters":        {"sip:ada@caller.example.com;user=phone", "sip:desk@pbx.example.com;transport=udp;x=y", false, "sip:ada@caller.example.com", "sip:desk@pbx.example.com"},
		"ports":             {"sip:ada@caller.example.com:5080;x=y", "sip:desk@10.0.0.1:5060;x=y", false, "sip:ada@caller.example.com:5080", "sip:desk@10.0.0.1:5060"},
		"no user":           {"sip:caller.example.com", "sip:pbx.example.com", false, "sip:caller.example.com", "sip:pbx.example.com"},
		"a number":          {"sip:+15551230001@caller.example.com;user=phone", "sip:+15551230002@pbx.example.com;user=phone", false, "sip:+15551230001@caller.example.com", "sip:+15551230002@pbx.example.com"},
		"a number by trunk": {"sip:+15551230001@caller.example.com;user=phone", "sip:+15551230002@pbx.example.com:5060;user=phone", true, "+15551230001", "+15551230002"},
		"letters by trunk":  {"sip:anonymous@anonymous.invalid", "sip:desk@pbx.example.com", true, "anonymous", "desk"},
		"without a user":    {"sip:caller.example.com", "sip:+15551230002@pbx.example.com", true, "sip:caller.example.com", "+15551230002"},
		"IPv6":              {"sip:ada@[2001:db8::1]:5080;x=y", "sip:desk@pbx.example.com", false, "sip:ada@[2001:db8::1]:5080", "sip:desk@pbx.example.com"},
		"headers of a URI":  {"sip:ada@caller.example.com", "sip:desk@pbx.example.com;x=y?Subject=hi", false, "sip:ada@caller.example.com", "sip:desk@pbx.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(cfg *node.Config) {
				if tc.trunk {
					cfg.SIP.PSTNTrunks = []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")}
				}
			}
			inBubble(t, change, func(t *testing.T, b *bubble) {
				c := b.phone.Invite(scenario.Invite{
					To: tc.to, Peer: "10.0.0.1:5060", From: tc.from, Headers: []scenario.Header{{Name: "X-Secret", Value: "1"}},
				})
				c.Rejected(603)
				e := b.app.Expect("initiate").Check(map[string]any{"from": tc.wantFrom, "to": tc.wantTo})
				assert.Equal(t, !tc.trunk, e.Has("sipHeaders"), "only for SIP URI calls")
				b.disconnect("hangup", "").Check(map[string]any{"from": tc.wantFrom, "to": tc.wantTo})
				assert.Equal(t, tc.wantFrom, b.record(e).From)
				assert.Equal(t, tc.wantTo, b.record(e).To)
			})
		})
	}
}

func TestATelephoneCallIsNotReferred(t *testing.T) {
	trunk := func(cfg *node.Config) { cfg.SIP.PSTNTrunks = []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")} }
	inBubble(t, trunk, func(t *testing.T, b *bubble) {
		c := b.invite(response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`))
		c.Rejected(500)
		b.disconnect("application-error", "Refer")
		c.Never("REFER")
		assert.Empty(t, b.app.EventsOf("referComplete"))
	})
}

func TestTheRecordOfATelephoneCallTellsOfTheCallersNumber(t *testing.T) {
	trunk := func(cfg *node.Config) { cfg.SIP.PSTNTrunks = []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")} }
	inBubble(t, trunk, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response("")))
		c := b.phone.Invite(scenario.Invite{To: b.uri("+15551230002"), Headers: []scenario.Header{
			{Name: "P-Asserted-Identity", Value: "<sip:+15551230001;verstat=TN-Validation-Passed@carrier.example>"},
			{Name: "Attestation-Info", Value: "A"},
		}})
		c.Rejected(603)
		e := b.disconnect("hangup", "")
		status, body := b.get("/api/v2/accounts/5555555/calls/" + e.Text("callId"))
		assert.Equal(t, 200, status)
		assert.Contains(t, body, `"stirShaken":{"attestationIndicator":"A","verstat":"TN-Validation-Passed"}`)
	})
}

func TestTwoCallsWithTheSameSIPCallIDAreTwoCalls(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response(`<Pause duration="3"/>`)))
		other := b.script.Phone(scenario.PhoneConfig{Address: "10.0.1.2:5060"})
		first := b.phone.Invite(scenario.Invite{To: b.uri("desk"), CallID: "same"})
		first.Answered()
		second := other.Invite(scenario.Invite{To: b.uri("desk"), CallID: "same"})
		second.Answered()
		first.Expect("BYE")
		second.Expect("BYE")
		assert.NotEqual(t, b.disconnect("hangup", "").Text("callId"), b.disconnect("hangup", "").Text("callId"))
	})
}
