package node_test

import (
	"net/netip"
	"testing"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
)

// TestCallsOfBothFamilies has a node listen on IPv4 and on IPv6: each caller gets addresses of its own family, in SIP as in
// the session description, and hears what is said.
func TestCallsOfBothFamilies(t *testing.T) {
	four, six := netip.MustParseAddrPort("10.0.0.1:5060"), netip.MustParseAddrPort("[::1]:5060")
	both := []node.Listener{{Network: "udp", Addr: four}, {Network: "tcp", Addr: four}, {Network: "udp", Addr: six}, {Network: "tcp", Addr: six}}
	for name, tc := range map[string]struct {
		listen           []node.Listener
		transport, phone string
		node             netip.AddrPort
		connection       string
	}{
		"IPv6 over UDP":           {both, "udp", "[::1]:5070", six, "c=IN IP6 ::1\r\n"},
		"IPv6 over TCP":           {both, "tcp", "[::1]:5070", six, "c=IN IP6 ::1\r\n"},
		"IPv4 beside it":          {both, "udp", "10.0.1.7:5070", four, "c=IN IP4 10.0.0.1\r\n"},
		"IPv4 after IPv6, on TCP": {[]node.Listener{both[2], both[1]}, "tcp", "10.0.1.7:5070", four, "c=IN IP4 10.0.0.1\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) { cfg.SIP.Listen = tc.listen }, func(t *testing.T, b *bubble) {
				p := b.script.Phone(scenario.PhoneConfig{Transport: tc.transport, Address: tc.phone})
				b.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence><Refer referCompleteUrl="/complete"><SipUri>sip:a@[2001:db8::1]:5062</SipUri></Refer>`)))
				to := "sip:desk@" + tc.node.String()
				c := p.Invite(scenario.Invite{To: to})
				ok := c.Answered()
				want := "<" + to + ">"
				if tc.transport == "tcp" {
					want = "<" + to + ";transport=tcp>"
				}
				assert.Equal(t, want, ok.Get("Contact"))
				assert.Contains(t, string(ok.Body), tc.connection)
				assert.NotEmpty(t, c.Listen(func(s scenario.Sound) bool { return len(s.Frames) > 50 }).Frames)
				r := c.ExpectRefer()
				assert.Contains(t, r.Request.Get("Via"), " "+tc.node.String()+";")
				assert.Equal(t, "<sip:a@[2001:db8::1]:5062>", r.Request.Get("Refer-To"))
				r.Reply(202)
				r.Notify("SIP/2.0 200 OK")
				c.Expect("BYE")
				e := b.disconnect("hangup", "")
				assert.Equal(t, to, e.Text("to"))
				assert.Equal(t, "sip:phone@"+tc.phone, e.Text("from"))
			})
		})
	}
}
