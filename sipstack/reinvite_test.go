package sipstack

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReinvite(t *testing.T) {
	const hold = "a=sendonly\r\n"
	moved := strings.ReplaceAll(offerLine, "40000", "41000")
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("", offerLine)
		first := c.expect("SIP/2.0 200")
		c.established(first)
		c.ack("")
		version := func(body string) string {
			_, o, _ := strings.Cut(body, "o=- ")
			return strings.Fields(o)[1]
		}
		assert.Equal(t, "1", version(bodyOf(first)))
		for _, step := range []struct{ offer, want, version string }{
			{offerLine + hold, "a=recvonly", "2"},
			{offerLine + hold, "a=recvonly", "2"}, // as before: the description is the same
			{offerLine, "a=sendrecv", "3"},
			{moved, "a=sendrecv", "3"},
			{offerLine + "a=inactive\r\n", "a=inactive", "4"},
		} {
			c.inDialog("INVITE", "", step.offer)
			res := c.expect("SIP/2.0 ")
			require.Equal(t, "SIP/2.0 200 OK", startOf(res))
			assert.Contains(t, bodyOf(res), step.want)
			assert.Equal(t, step.version, version(bodyOf(res)))
			assert.Equal(t, "<"+c.target+">", field(res, "Contact"))
			assert.Equal(t, allow, field(res, "Allow"))
			c.ack("")
		}
		synctest.Wait()
		assert.Len(t, n.rec.media, 6, "each agreement is told")
		params := n.leg().session.params
		assert.False(t, params.Send)
		assert.Equal(t, netip.MustParseAddrPort("127.0.0.1:40000"), params.Remote)
	})
}

func TestReinviteWithoutOffer(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		c.inDialog("INVITE", "", "")
		assert.Contains(t, bodyOf(c.expect("SIP/2.0 200")), "RTP/AVP 0 8 101")
		c.ack("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 41000 RTP/AVP 8\r\n")
		synctest.Wait()
		assert.Equal(t, "PCMA", l.session.params.Codec.String())

		c.inDialog("INVITE", "", "")
		c.expect("SIP/2.0 200")
		c.ack("")
		synctest.Wait()
		assert.NoError(t, l.Err(), "the sound stays as it was")
		assert.Equal(t, uint16(41000), l.session.params.Remote.Port())
	})
}

func TestReinviteIsRefused(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		require.NoError(t, l.Ring(context.Background()))
		c.established(c.expect("SIP/2.0 180"))
		c.inDialog("INVITE", "", offerLine)
		after, err := strconv.Atoi(field(c.expect("SIP/2.0 500 Server Internal Error"), "Retry-After"))
		require.NoError(t, err, "the first is unanswered")
		assert.LessOrEqual(t, after, 10, "RFC 3261 section 14.2")
		c.send(c.request("ACK", c.target, c.cseq, newBranch(), "", ""))

		go func() { _ = l.Answer(context.Background()) }()
		c.expect("SIP/2.0 200")
		c.inDialog("INVITE", "", offerLine)
		c.expect("SIP/2.0 491 Request Pending")
		c.cseq -= 2
		c.ack("")
		c.cseq += 2
		synctest.Wait()
		before := l.session.params

		other := n.udpPhone()
		defer other.close()
		p.contact = fmt.Sprintf("sip:new@%s", other.wire.local())
		c.inDialog("INVITE", "", strings.ReplaceAll(offerLine, "RTP/AVP 0 101", "RTP/AVP 9"))
		c.expect("SIP/2.0 488 Not Acceptable Here")
		c.inDialog("INVITE", "", strings.ReplaceAll(offerLine, "m=audio 40000", "m=audio 0"))
		c.expect("SIP/2.0 488 Not Acceptable Here")
		c.inDialog("INVITE", "Require: timer\r\n", offerLine)
		assert.Equal(t, "timer", field(c.expect("SIP/2.0 420"), "Unsupported"))
		assert.Equal(t, before, l.session.params)
		assert.NoError(t, l.Err())
		go func() { _ = l.Bye(context.Background()) }()
		p.reply(c.expect("BYE sip:alice@"), 200, "") // the target stays, too
	})
}

func TestTwoHundredToAReinviteIsRepeatedUntilItsAck(t *testing.T) { // RFC 3261 sections 13.3.1.4 and 14.2
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		c.inDialog("INVITE", "", offerLine)
		assert.Equal(t, repetitions, c.twoHundreds("101 INVITE", 31900*time.Millisecond))
		p.reply(c.expect("BYE"), 200, "")
		require.ErrorIs(t, n.end(), ErrNoAck)
	})
}

func TestACancelOfAReinviteComesTooLate(t *testing.T) { // RFC 3261 section 9.2
	for name, after := range map[string]time.Duration{"at once": 0, "when its transaction waits for no more than the ACK": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				c.inDialog("INVITE", "", offerLine)
				answer := c.expect("SIP/2.0 200")
				cancelled := func() string {
					c.send(c.request("CANCEL", c.target, c.cseq, branchIn(field(answer, "Via")), "", ""))
					for {
						if res := c.expect("SIP/2.0"); field(res, "CSeq") == "101 CANCEL" { // and not the 200 once more
							return startOf(res)
						}
					}
				}
				time.Sleep(after) // fake
				assert.Equal(t, "SIP/2.0 200 OK", cancelled())
				c.ack("")
				synctest.Wait()
				require.NoError(t, n.leg().Err())

				time.Sleep(time.Minute) // fake: the CANCEL is forgotten
				assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", cancelled())
			})
		})
	}
}

func TestReinviteWhileOneIsPending(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		c.inDialog("INVITE", "", offerLine)
		c.expect("SIP/2.0 200")
		c.inDialog("INVITE", "", offerLine)
		c.expect("SIP/2.0 491")
		c.cseq--
		c.ack("")
		c.cseq++
		synctest.Wait()
		c.inDialog("INVITE", "", offerLine)
		for field(c.expect("SIP/2.0 200"), "CSeq") != "103 INVITE" {
		}
		c.ack("")
	})
}
