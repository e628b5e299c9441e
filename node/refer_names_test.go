package node_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/scenario"
)

// A call over a proxy that is a name with two machines behind it: where the first has no room the REFER goes to the
// second, and so does what follows (RFC 3263 section 4.3).
func TestReferOverAProxyThatIsAName(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		one := s.Phone(scenario.PhoneConfig{Address: "127.0.0.11:5070", Manual: true})
		two := s.Phone(scenario.PhoneConfig{Address: "127.0.0.12:5070", Manual: true})
		s.network.AddHost("one.edge.example", netip.MustParseAddr("127.0.0.11"))
		s.network.AddHost("two.edge.example", netip.MustParseAddr("127.0.0.12"))
		s.network.AddService("sip", "udp", "edge.example",
			&net.SRV{Target: "one.edge.example.", Port: 5070, Priority: 1}, &net.SRV{Target: "two.edge.example.", Port: 5070, Priority: 2})
		s.app.On("initiate", scenario.BXML(referWithURL))
		s.app.On("referComplete", scenario.BXML(recovery))
		call := s.phone.Invite(scenario.Invite{
			To: appURI, Headers: []scenario.Header{{Name: "Record-Route", Value: "<sip:edge.example;lr>"}},
		})
		call.Answered()

		refused := one.Expect("REFER")
		require.NoError(t, one.Respond(refused, 503))
		refer := two.Expect("REFER")
		assert.Equal(t, refused.Get("CSeq"), refer.Get("CSeq"))
		require.NoError(t, two.Respond(refer, 202))
		call.Notify(scenario.Notify{Frag: connected}, 200)
		s.referComplete(succeeded)
		require.NoError(t, two.Respond(two.Expect("BYE"), 200))
		s.disconnected("hangup")
		assert.Empty(t, one.Received("BYE"))
	})
}
