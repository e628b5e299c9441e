package sipstack

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// savedOf is what a recorder was told of a call, as another node reads it.
func (r *recorder) savedOf(callID string) Saved {
	r.mu.Lock()
	defer r.mu.Unlock()
	saved := Saved{CallID: callID, Snapshot: r.dialogs[callID], Refers: r.refers}
	for _, m := range r.sip {
		if m.callID == callID {
			saved.Messages = append(saved.Messages, m.Message)
		}
	}
	if n := len(saved.Refers); n > 0 {
		saved.Refers = saved.Refers[n-1:]
	}
	return saved
}

// besideTheDead runs a test with a node beside one that falls silent, which has a call in the state that prepare leaves.
func besideTheDead(t *testing.T, prepare func(dead *node, c *dialogue) *dialogue, test func(t *testing.T, heir *node, saved Saved, c *dialogue)) {
	t.Helper()
	inMemory(t, Config{}, func(t *testing.T, dead *node, p *phone) {
		heir := startNode(t, dead.net, Config{})
		t.Cleanup(func() {
			synctest.Wait()
			heir.stop()
		})
		c := prepare(dead, p.newCall())
		synctest.Wait()
		p.drain()
		saved := dead.rec.savedOf("c-" + c.callID)
		gone := addrPort(dead.Addrs()[0])
		network := dead.net.(*hub)
		network.mu.Lock()
		network.lose = func(_ []byte, to netip.AddrPort) bool { return to == gone }
		network.mu.Unlock()
		p.wire.(*packetWire).to = heir.Addrs()[0]
		test(t, heir, saved, c)
		network.mu.Lock()
		network.lose = nil
		network.mu.Unlock()
	})
}

func TestTheCallOfANodeThatIsGoneIsTakenUp(t *testing.T) {
	up := func(dead *node, c *dialogue) *dialogue {
		dead.answering()
		c.sendInvite("", offerLine)
		c.established(c.expect("SIP/2.0 200"))
		c.ack("")
		return c
	}
	t.Run("answered", func(t *testing.T) {
		besideTheDead(t, up, func(t *testing.T, heir *node, saved Saved, c *dialogue) {
			heir.TakeUp(saved, &testCall{node: heir, id: saved.CallID})
			l := heir.leg()
			invite := c.expect("INVITE")
			assert.Equal(t, "<sip:bob@"+heir.Addrs()[0].String()+">", field(invite, "Contact"), "from now on the peer reaches this node")
			assert.Contains(t, bodyOf(invite), "m=audio")
			c.phone.answerAs(invite, "", 200, "Contact: <sip:alice@"+c.wire.local().String()+">\r\n", answerLine)
			c.expect("ACK")
			c.inDialog("INFO", "", "")
			assert.Equal(t, "SIP/2.0 200 OK", startOf(c.expect("SIP/2.0 200")))
			c.inDialog("BYE", "", "")
			c.expect("SIP/2.0 200")
			require.ErrorIs(t, heir.end(), ErrRemoteHangup)
			require.ErrorIs(t, l.Err(), ErrRemoteHangup)
		})
	})
	t.Run("with a REFER that is pending", func(t *testing.T) {
		besideTheDead(t, func(dead *node, c *dialogue) *dialogue {
			up(dead, c)
			refer(t, dead.leg())
			c.phone.reply(c.expect("REFER"), 202, "")
			return c
		}, func(t *testing.T, heir *node, saved Saved, c *dialogue) {
			heir.TakeUp(saved, &testCall{node: heir, id: saved.CallID})
			l := heir.leg()
			c.phone.reply(c.expect("INVITE"), 488, "")
			c.inDialog("NOTIFY", finalNotify, "SIP/2.0 486 Busy Here\r\n")
			for !strings.HasPrefix(startOf(c.phone.next()), "SIP/2.0 200") {
			}
			<-l.Referral().Done()
			assert.Equal(t, 486, l.Referral().Result().NotifyCode)
		})
	})
	t.Run("not answered", func(t *testing.T) {
		besideTheDead(t, func(_ *node, c *dialogue) *dialogue {
			c.sendInvite("", offerLine)
			c.expect("SIP/2.0 100")
			return c
		}, func(t *testing.T, heir *node, saved Saved, c *dialogue) {
			heir.TakeUp(saved, &testCall{node: heir, id: saved.CallID})
			require.ErrorIs(t, heir.leg().Err(), ErrNotRestored)
			time.Sleep(time.Second) // fake
			assert.Empty(t, c.phone.in)
		})
	})
	t.Run("of which nothing is known", func(t *testing.T) {
		besideTheDead(t, up, func(t *testing.T, heir *node, saved Saved, _ *dialogue) {
			heir.TakeUp(Saved{CallID: saved.CallID}, &testCall{node: heir, id: saved.CallID})
			require.ErrorIs(t, heir.leg().Err(), ErrNotRestored)
		})
	})
}
