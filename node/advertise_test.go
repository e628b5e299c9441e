package node_test

import (
	"net/netip"
	"testing"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
)

// TestACallToAnAdvertisedAddress has a node stand behind a NAT that maps 203.0.113.9:15060 to its first listener: from the
// first response to the last request, nothing that the caller gets names an address of the inside.
func TestACallToAnAdvertisedAddress(t *testing.T) {
	listeners := []node.Listener{
		{Network: "udp", Addr: netip.MustParseAddrPort("10.0.0.1:5060")}, {Network: "tcp", Addr: netip.MustParseAddrPort("10.0.0.1:5060")},
	}
	for name, tc := range map[string]struct {
		transport, advertise, media string
		contact, via, connection    string
	}{
		"host and port, at the first listener": {
			"udp", "203.0.113.9:15060", "", "<sip:desk@203.0.113.9:15060>", "SIP/2.0/UDP 203.0.113.9:15060;", "c=IN IP4 203.0.113.9\r\n",
		},
		"host and port, at another listener": {
			"tcp", "203.0.113.9:15060", "", "<sip:desk@203.0.113.9:5060;transport=tcp>", "SIP/2.0/TCP 203.0.113.9:5060;", "c=IN IP4 203.0.113.9\r\n",
		},
		"host alone": {
			"udp", "203.0.113.9", "", "<sip:desk@203.0.113.9:5060>", "SIP/2.0/UDP 203.0.113.9:5060;", "c=IN IP4 203.0.113.9\r\n",
		},
		"the sound at an address of its own": {
			"udp", "203.0.113.9", "203.0.113.10", "<sip:desk@203.0.113.9:5060>", "SIP/2.0/UDP 203.0.113.9:5060;", "c=IN IP4 203.0.113.10\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(cfg *node.Config) {
				cfg.SIP.Listen, cfg.SIP.Advertise, cfg.Media.Address = listeners, tc.advertise, tc.media
			}
			inBubble(t, change, func(t *testing.T, b *bubble) {
				p := b.script.Phone(scenario.PhoneConfig{Transport: tc.transport})
				b.app.On("initiate", scenario.BXML(response(`<Refer><SipUri>sip:a@example.com</SipUri></Refer><SpeakSentence>Hello</SpeakSentence>`)))
				c := p.Invite(scenario.Invite{To: b.uri("desk")})
				ok := c.Answered()
				assert.Equal(t, tc.contact, ok.Get("Contact"))
				assert.Contains(t, string(ok.Body), tc.connection)
				assert.NotContains(t, string(ok.Body), "10.0.0.1")
				r := c.ExpectRefer()
				assert.Contains(t, r.Request.Get("Via"), tc.via)
				assert.Equal(t, tc.contact, r.Request.Get("Contact"))
				r.Reply(603)
				assert.NotEmpty(t, c.Listen(func(s scenario.Sound) bool { return len(s.Frames) > 20 }).Frames, "RTP leaves the inside")
				bye := c.Expect("BYE")
				assert.Contains(t, bye.Get("Via"), tc.via)
				b.disconnect("hangup", "")
			})
		})
	}
}

// TestAnAdvertisedAddressHoldsForItsFamily has a node that is reached by IPv4 through a NAT, and by IPv6 without one.
func TestAnAdvertisedAddressHoldsForItsFamily(t *testing.T) {
	for name, tc := range map[string]struct{ advertise, phone, node, contact, connection string }{
		"IPv6 caller, IPv4 address": {"203.0.113.9:15060", "[::1]:5070", "[::1]:5060", "<sip:desk@[::1]:5060>", "c=IN IP6 ::1\r\n"},
		"IPv4 caller, IPv4 address": {"203.0.113.9:15060", "10.0.1.7:5070", "10.0.0.1:5060", "<sip:desk@203.0.113.9:15060>", "c=IN IP4 203.0.113.9\r\n"},
		"IPv4 caller, IPv6 address": {"[2001:db8::9]", "10.0.1.7:5070", "10.0.0.1:5060", "<sip:desk@10.0.0.1:5060>", "c=IN IP4 10.0.0.1\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(cfg *node.Config) {
				cfg.SIP.Advertise = tc.advertise
				cfg.SIP.Listen = []node.Listener{
					{Network: "udp", Addr: netip.MustParseAddrPort("10.0.0.1:5060")}, {Network: "udp", Addr: netip.MustParseAddrPort("[::1]:5060")},
				}
			}
			inBubble(t, change, func(t *testing.T, b *bubble) {
				p := b.script.Phone(scenario.PhoneConfig{Transport: "udp", Address: tc.phone})
				b.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
				c := p.Invite(scenario.Invite{To: "sip:desk@" + tc.node})
				ok := c.Answered()
				assert.Equal(t, tc.contact, ok.Get("Contact"))
				assert.Contains(t, string(ok.Body), tc.connection)
				assert.NotEmpty(t, c.Listen(func(s scenario.Sound) bool { return len(s.Frames) > 20 }).Frames)
				c.Expect("BYE")
				b.disconnect("hangup", "")
			})
		})
	}
}
