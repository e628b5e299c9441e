package node_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestACallOverTLSIsHandedOver has a phone call over TLS: it is rung, answered, spoken to and handed over, all on its own connection.
func TestACallOverTLSIsHandedOver(t *testing.T) {
	var authority *scenario.Authority
	at := netip.MustParseAddrPort("127.0.0.1:5061")
	inBubble(t, func(cfg *node.Config) {
		var err error
		authority, err = scenario.NewAuthority()
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, authority.Close()) })
		cfg.SIP.Listen = []node.Listener{{Network: "tls", Addr: at}}
		cfg.SIP.TLS.CertFile, cfg.SIP.TLS.KeyFile, err = authority.Issue("node")
		cfg.SIP.TLS.CAFile, cfg.SIP.TLS.VerifyClient = authority.CAFile(), true
		require.NoError(t, err)
	}, func(t *testing.T, b *bubble) {
		secret, err := authority.PhoneTLS()
		require.NoError(t, err)
		secret.KeyLogWriter = allSent.keys()
		b.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="1"/><SpeakSentence>Hello</SpeakSentence>`+
			`<Refer referCompleteUrl="/complete"><SipUri>sip:carol@example.com</SipUri></Refer>`)))
		p := b.script.Phone(scenario.PhoneConfig{Transport: "tls", TLS: secret, Address: "127.0.0.1:5071"})
		to := "sip:desk@" + at.String() + ";transport=tls"
		c := p.Invite(scenario.Invite{To: to})
		ok := c.Answered()
		assert.Equal(t, "<"+to+">", ok.Get("Contact"))
		assert.NotEmpty(t, c.Listen(func(s scenario.Sound) bool { return len(s.Frames) > 50 }).Frames)
		r := c.ExpectRefer()
		assert.Contains(t, r.Request.Get("Via"), "SIP/2.0/TLS "+at.String()+";")
		r.Reply(202)
		r.Notify("SIP/2.0 200 OK")
		c.Expect("BYE")
		b.disconnect("hangup", "")
		time.Sleep(leftover)
	})
}
