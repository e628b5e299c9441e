package sipstack

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRoutesOfACallOfOurs(t *testing.T) {
	for name, tc := range map[string]struct {
		lr          string
		inviteURI   string
		inviteRoute string
		uri, routes string
	}{
		"loose": {
			";lr", "sip:carol@192.0.2.9", "<sip:127.0.0.1:7001;lr> <sip:127.0.0.1:7002;lr>",
			"sip:carol@192.0.2.9:5070", "<sip:127.0.0.1:7001;lr> <sip:127.0.0.1:7002;lr>",
		},
		"strict": {
			"", "sip:127.0.0.1:7001", "<sip:127.0.0.1:7002> <sip:carol@192.0.2.9>",
			"sip:127.0.0.1:7001", "<sip:127.0.0.1:7002> <sip:carol@192.0.2.9:5070>",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				proxy := n.udpPhoneAt("127.0.0.1:7001")
				defer proxy.close()
				done := n.dial(context.Background(), Outbound{
					To: "sip:carol@192.0.2.9", Routes: []string{"sip:127.0.0.1:7001" + tc.lr, "sip:127.0.0.1:7002" + tc.lr},
				})
				invite := proxy.next()
				assert.Equal(t, "INVITE "+tc.inviteURI+" SIP/2.0", startOf(invite))
				assert.Equal(t, tc.inviteRoute, strings.Join(fields(invite, "Route"), " "))
				// The response has the proxy nearest to who was called first. A provisional one's set does not hold.
				proxy.answerAs(invite, "c", 180, "Contact: <sip:carol@192.0.2.9:5070>\r\nRecord-Route: <sip:127.0.0.1:7999;lr>\r\n", "")
				proxy.answerAs(invite, "c", 200, fmt.Sprintf(
					"Contact: <sip:carol@192.0.2.9:5070>\r\nRecord-Route: <sip:127.0.0.1:7002%s>, <sip:127.0.0.1:7001%s>\r\n", tc.lr, tc.lr), answerLine)
				r := <-done
				require.NoError(t, r.err)
				go func() { _ = r.leg.Bye(context.Background()) }()
				for _, method := range []string{"ACK", "BYE"} {
					req := proxy.expect(method)
					assert.Equal(t, method+" "+tc.uri+" SIP/2.0", startOf(req))
					assert.Equal(t, tc.routes, strings.Join(fields(req, "Route"), " "))
					if method == "BYE" {
						proxy.reply(req, 200, "")
					}
				}
			})
		})
	}
}

func TestCallOfOursFailsOver(t *testing.T) {
	for name, tc := range map[string]struct {
		first func(n *node, x pool)
		after time.Duration
	}{
		"unreachable": {func(n *node, _ pool) { n.net.(*hub).cutOff("127.0.0.11:7001") }, 0},
		"no room":     {func(_ *node, x pool) { x.first.answerAs(x.first.expect("INVITE"), "x", 503, "", "") }, 0},
		"no answer":   {func(*node, pool) {}, 64 * sip.T1},
	} {
		t.Run(name, func(t *testing.T) {
			inPool(t, func(t *testing.T, n *node, _ *Leg, _ *dialogue, x pool) {
				start := time.Now()
				if name == "unreachable" {
					tc.first(n, x)
				}
				done := n.dial(context.Background(), Outbound{To: "sip:carol@pool.example"})
				if name != "unreachable" {
					tc.first(n, x)
				}
				time.Sleep(tc.after) // fake
				invite := x.second.expect("INVITE sip:carol@pool.example SIP/2.0")
				assert.Equal(t, "1 INVITE", field(invite, "CSeq"))
				assert.Equal(t, tc.after, time.Since(start))
				x.second.accepts(invite, "c")
				x.second.expect("ACK")
				require.NoError(t, (<-done).err)
				x.first.drain()
			})
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		inPool(t, func(t *testing.T, n *node, _ *Leg, _ *dialogue, x pool) {
			start := time.Now()
			done := n.dial(context.Background(), Outbound{To: "sip:carol@pool.example"})
			r := <-done
			require.ErrorIs(t, r.err, errNoResponse)
			assert.Equal(t, 2*64*sip.T1, r.at.Sub(start))
			x.first.drain()
			x.second.drain()
		})
	})
}

func TestAnswerOfATargetThatWasGivenUp(t *testing.T) {
	inPool(t, func(t *testing.T, n *node, _ *Leg, _ *dialogue, x pool) {
		done := n.dial(context.Background(), Outbound{To: "sip:carol@pool.example"})
		first := x.first.expect("INVITE")
		time.Sleep(33 * time.Second) // fake
		x.first.drain()
		second := x.second.expect("INVITE")
		x.second.answerAs(second, "two", 180, x.second.contactLine(), "")
		x.first.accepts(first, "one")
		assert.Equal(t, "one", tagIn(field(x.first.expect("ACK"), "To")))
		x.first.reply(x.first.expect("BYE"), 200, "")
		x.second.accepts(second, "two")
		assert.Equal(t, "two", tagIn(field(x.second.expect("ACK"), "To")))
		r := <-done
		require.NoError(t, r.err)
		assert.Equal(t, "two", r.leg.dialog.id.remote)
		x.second.drain()
	})
}

func TestCallOfOursOverTCP(t *testing.T) {
	at, accept := tcpServer(t)
	n := startNode(t, nil, bothTransports)
	defer n.stop()
	done := n.dial(context.Background(), Outbound{To: fmt.Sprintf("sip:carol@%s;transport=tcp", at)})
	p := accept()
	defer p.close()
	invite := p.expect("INVITE")
	assert.Contains(t, field(invite, "Via"), "SIP/2.0/TCP "+n.Addrs()[1].String())
	assert.Contains(t, field(invite, "Contact"), ";transport=tcp")
	p.answerAs(invite, "c", 200, fmt.Sprintf("Contact: <sip:carol@%s;transport=tcp>\r\n", at), answerLine)
	p.expect("ACK")
	r := <-done
	require.NoError(t, r.err)
	bye := make(chan error, 1)
	go func() { bye <- r.leg.Bye(context.Background()) }()
	p.reply(p.expect("BYE"), 200, "")
	require.NoError(t, <-bye)
	for _, m := range n.rec.sip {
		assert.Equal(t, "o-1", m.callID)
		assert.Equal(t, netip.MustParseAddrPort(m.Remote), at)
	}
}
