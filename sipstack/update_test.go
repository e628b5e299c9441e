package sipstack

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUpdateOfAnAnsweredCall(t *testing.T) { // RFC 3311 section 5.2
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		c.inDialog("UPDATE", "", "")
		ok := p.next()
		assert.Equal(t, "SIP/2.0 200 OK", startOf(ok))
		assert.Empty(t, bodyOf(ok), "no offer, no answer")
		assert.Equal(t, "<"+c.target+">", field(ok, "Contact"))
		assert.Equal(t, allow, field(ok, "Allow"))

		for _, step := range []struct{ offer, want string }{
			{offerLine + "a=sendonly\r\n", "a=recvonly"},
			{offerLine, "a=sendrecv"},
			{strings.ReplaceAll(answerLine, "127.0.0.1", "127.0.0.2"), "RTP/AVP 8"},
		} {
			c.inDialog("UPDATE", "", step.offer)
			res := p.next()
			require.Equal(t, "SIP/2.0 200 OK", startOf(res))
			assert.Contains(t, bodyOf(res), step.want)
		}
		synctest.Wait()
		assert.Equal(t, netip.MustParseAddrPort("127.0.0.2:41000"), l.session.params.Remote)
		assert.Len(t, n.rec.media, 4, "each agreement is told")
		p.silent(time.Minute) // nothing to repeat: there is no ACK
	})
}

func TestUpdateRefreshesTheTarget(t *testing.T) { // RFC 3311 section 5.1
	for name, body := range map[string]string{"with an offer": offerLine, "without": ""} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				l := n.leg()
				other := n.udpPhone()
				defer other.close()
				p.contact = fmt.Sprintf("sip:new@%s", other.wire.local())
				c.inDialog("UPDATE", "", body)
				c.expect("SIP/2.0 200")
				go func() { _ = l.Bye(context.Background()) }()
				other.reply(other.expect("BYE sip:new@"), 200, "")
			})
		})
	}
}

func TestUpdateThatIsRefusedChangesNothing(t *testing.T) {
	for name, tc := range map[string]struct{ header, body, want string }{
		"no common codec":   {"", strings.ReplaceAll(answerLine, "AVP 8", "AVP 9"), "488"},
		"no sound":          {"", strings.ReplaceAll(offerLine, "m=audio 40000", "m=audio 0"), "488"},
		"unreadable":        {"", "hello", "400"},
		"another body":      {"Content-Type: text/plain\r\n", "hello", "415"},
		"unknown extension": {"Require: gruu\r\n", offerLine, "420"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				l := n.leg()
				synctest.Wait()
				before := l.session.params
				p.contact = "sip:nobody@127.0.0.9:9"
				c.inDialog("UPDATE", tc.header, tc.body)
				c.expect("SIP/2.0 " + tc.want)
				assert.Equal(t, before, l.session.params)
				go func() { _ = l.Bye(context.Background()) }()
				p.reply(c.expect("BYE sip:alice@"), 200, "")
			})
		})
	}
}

func TestUpdateBeforeTheAnswer(t *testing.T) { // RFC 3311 section 5.2
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l, _ := c.ringing(n)
		other := n.udpPhone()
		defer other.close()
		c.inDialog("UPDATE", "", offerLine)
		assert.NotEmpty(t, field(c.expect("SIP/2.0 500"), "Retry-After"), "the offer of the INVITE is not answered")
		p.contact = fmt.Sprintf("sip:new@%s", other.wire.local())
		c.inDialog("UPDATE", "", "")
		assert.Equal(t, "102 UPDATE", field(c.expect("SIP/2.0 200"), "CSeq"))
		answered := answering(l)
		c.expect("SIP/2.0 200")
		c.send(c.request("ACK", c.target, 100, newBranch(), "", ""))
		require.NoError(t, <-answered)
		go func() { _ = l.Bye(context.Background()) }()
		other.reply(other.expect("BYE sip:new@"), 200, "")
	})
}

func TestUpdateBeforeTheAnswerOfASessionThatIsAgreed(t *testing.T) { // by a reliable 180 and its PRACK
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Require: 100rel\r\n", "")
		l, ringing := c.ringing(n)
		c.inDialog("UPDATE", "", offerLine)
		c.expect("SIP/2.0 491") // our offer waits for its answer
		c.prack(ringing, "", answerLine)
		c.expect("SIP/2.0 200")
		c.inDialog("UPDATE", "", offerLine)
		assert.Contains(t, bodyOf(c.expect("SIP/2.0 200")), "RTP/AVP 0 101")
		synctest.Wait()
		assert.Empty(t, n.rec.media, "the sound does not run yet")
		answered := answering(l)
		assert.Empty(t, bodyOf(c.expect("SIP/2.0 200")))
		c.send(c.request("ACK", c.target, 100, newBranch(), "", ""))
		require.NoError(t, <-answered)
		synctest.Wait()
		require.Len(t, n.rec.media, 1)
		assert.Equal(t, uint16(40000), n.rec.media[0].Remote.Port())
	})
}

func TestUpdateWhileOurOfferWaitsForItsAnswer(t *testing.T) { // RFC 3311 section 5.2: 491
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		c.inDialog("INVITE", "", "")
		c.expect("SIP/2.0 200")
		c.inDialog("UPDATE", "", offerLine)
		c.expect("SIP/2.0 491")
		c.inDialog("UPDATE", "", "")
		c.expect("SIP/2.0 200")
		ack := c.request("ACK", c.target, 101, newBranch(), "", answerLine)
		c.cseq++
		update := c.request("UPDATE", c.target, c.cseq, newBranch(), "", offerLine)
		c.send(update)                    // in one breath, handled in the wrong order
		time.Sleep(10 * time.Millisecond) // fake
		c.send(ack)
		for res := c.expect("SIP/2.0 "); field(res, "CSeq") != "104 UPDATE"; res = c.expect("SIP/2.0 ") {
			require.Contains(t, field(res, "CSeq"), "INVITE")
		}
		synctest.Wait()
		assert.Equal(t, uint16(40000), l.session.params.Remote.Port())
	})
}

func TestUpdateAfterTheEnd(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.next(), 202, "")
		c.inDialog("BYE", "", "")
		c.expect("SIP/2.0 200")
		for _, method := range []string{"UPDATE", "PRACK"} {
			c.inDialog(method, "RAck: 1 1 INVITE\r\n", "")
			c.expect("SIP/2.0 481")
		}
		<-r.Done()
	})
}
