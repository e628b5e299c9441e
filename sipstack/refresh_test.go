package sipstack

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSessionIsRefreshedByUpdate(t *testing.T) { // RFC 4028 sections 7.4 and 10: at half of the interval
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.timed("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n" + updates)
		for range 3 {
			update, at := p.after("UPDATE", time.Hour)
			assert.Equal(t, 5*time.Minute, at)
			assert.Empty(t, bodyOf(update))
			assert.Equal(t, "600;refresher=uac", field(update, "Session-Expires"))
			assert.Equal(t, "100rel, timer", field(update, "Supported"))
			assert.NotEmpty(t, field(update, "Contact"))
			p.reply(update, 200, "Session-Expires: 600;refresher=uac\r\n")
		}
		synctest.Wait()
		assert.NoError(t, n.leg().Err())
		assert.Equal(t, []string{
			"session started 10m0s", "session stopped 10m0s", "session started 10m0s", "session stopped 10m0s",
			"session started 10m0s", "session stopped 10m0s", "session started 10m0s",
		}, slices.DeleteFunc(n.rec.timerEvents(), func(e string) bool { return strings.HasPrefix(e, "ack") }))
	})
}

func TestAnswerToARefreshMovesTheTarget(t *testing.T) { // RFC 3261 section 12.2.1.2
	for name, allow := range map[string]string{"UPDATE": updates, "INVITE": ""} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
				n.answering()
				p.timed("Supported: timer\r\n" + allow)
				other := n.udpPhone()
				defer other.close()
				req, _ := p.after(name, time.Hour)
				contact := "Contact: <sip:new@" + other.wire.local().String() + ">\r\n"
				p.reply(req, 200, contact)
				if name == "INVITE" {
					other.expect("ACK sip:new@")
				}
				synctest.Wait()
				l := n.leg()
				go func() { _ = l.Bye(context.Background()) }()
				other.reply(other.expect("BYE sip:new@"), 200, "")
			})
		})
	}
}

func TestSessionIsRefreshedByReinvite(t *testing.T) { // RFC 4028 section 7.4: with the description as it was
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, ok := p.timed("Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n")
		l := n.leg()
		before := l.session.params
		invite, at := p.after("INVITE", time.Hour)
		assert.Equal(t, 15*time.Minute, at)
		assert.Equal(t, bodyOf(ok), bodyOf(invite), "o= too")
		assert.Equal(t, "application/sdp", field(invite, "Content-Type"))
		assert.Equal(t, "1800;refresher=uac", field(invite, "Session-Expires"))
		p.reply(invite, 100, "")
		p.replySDP(invite, offerLine, "Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\n")
		ack := c.expect("ACK ")
		assert.Equal(t, strings.Fields(field(invite, "CSeq"))[0]+" ACK", field(ack, "CSeq"))
		assert.NotEqual(t, field(invite, "Via"), field(ack, "Via"))
		assert.Empty(t, fields(ack, "Supported"))
		synctest.Wait()
		p.replySDP(invite, offerLine, "") // as after a lost ACK
		again := c.expect("ACK ")
		assert.Equal(t, field(ack, "CSeq"), field(again, "CSeq"))
		synctest.Wait()
		assert.Equal(t, before, l.session.params)
		assert.Len(t, n.rec.media, 1, "nothing new was agreed on")

		invite, at = p.after("INVITE", time.Hour)
		assert.Equal(t, 15*time.Minute, at)
		p.replySDP(invite, strings.ReplaceAll(offerLine, "40000", "43000"), "Session-Expires: 1800;refresher=uas\r\n")
		c.expect("ACK ")
		synctest.Wait()
		assert.Equal(t, netip.MustParseAddrPort("127.0.0.1:43000"), l.session.params.Remote, "the peer's answer counts")
		require.Len(t, n.rec.media, 2)
		assert.Equal(t, l.session.params, n.rec.media[1])
		p.silent(30*time.Minute - 33*time.Second) // it is the peer's now
		c.expect("BYE ")
	})
}

// replySDP answers an INVITE of the node with 200.
func (p *phone) replySDP(req, body, extra string) {
	text := replyTo(req, 200, extra+"Content-Type: application/sdp\r\nContact: <sip:alice@"+p.wire.local().String()+">\r\n")
	text = strings.Replace(text, "Content-Length: 0", "Content-Length: "+decimal(uint32(len(body))), 1)
	p.send(text + body)
}

func TestRefreshKeepsTheNumberOfKeys(t *testing.T) { // RFC 4733: events come under the number that our description has
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("Supported: timer\r\n", strings.ReplaceAll(offerLine, "101", "96"))
		c.established(c.expect("SIP/2.0 200"))
		c.ack("")
		synctest.Wait()
		l := n.leg()
		require.Equal(t, uint8(96), l.session.params.EventType)
		invite, _ := p.after("INVITE", time.Hour)
		assert.Contains(t, bodyOf(invite), "a=rtpmap:96 telephone-event")
		p.replySDP(invite, strings.ReplaceAll(offerLine, "101", "96"), "")
		p.expect("ACK ")
		synctest.Wait()
		assert.Equal(t, uint8(96), l.session.params.EventType)
	})
}

func TestPeerThatSaysLaterThatItTakesUpdate(t *testing.T) { // RFC 3311 section 5.1
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, _ := p.timed("Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n")
		c.inDialog("OPTIONS", updates, "")
		c.expect("SIP/2.0 200")
		p.after("UPDATE", time.Hour)
	})
}

func TestRefreshThatThePeerDoesNotKnowEndsTheCall(t *testing.T) { // RFC 4028 section 10, RFC 3261 section 12.2.1.2
	for name, tc := range map[string]struct {
		allow string
		code  int
		want  string
	}{
		"UPDATE 481": {updates, 481, "UPDATE rejected: 481"},
		"UPDATE 408": {updates, 408, "UPDATE rejected: 408"},
		"INVITE 481": {"", 481, "INVITE rejected: 481"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
				n.answering()
				p.timed("Supported: timer\r\n" + tc.allow)
				req, _ := p.after(tc.want[:6], time.Hour)
				p.reply(req, tc.code, "")
				p.reply(p.expect("BYE"), 481, "")
				err := n.end()
				require.ErrorIs(t, err, ErrDialogLost)
				assert.Contains(t, err.Error(), tc.want)
				p.drain()
				p.silent(time.Hour)
			})
		})
	}
}

func TestRefreshThatNobodyAnswersEndsTheCall(t *testing.T) {
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.timed("Supported: timer\r\n" + updates)
		p.after("UPDATE", time.Hour)
		bye, at := p.after("BYE", time.Hour)
		assert.Equal(t, 32*time.Second, at)
		p.reply(bye, 200, "")
		require.ErrorIs(t, n.end(), ErrDialogLost)
	})
}

func TestRefreshIsTriedAgain(t *testing.T) { // RFC 4028 section 10: as the response says
	for name, tc := range map[string]struct {
		code        int
		header      string
		least, most time.Duration
		next        string
		expires     string
	}{
		"glare":             {491, "", 10 * time.Millisecond, 2 * time.Second, "UPDATE", "600;refresher=uac"}, // RFC 3261 section 14.1
		"a busy peer":       {500, "Retry-After: 7\r\n", 7 * time.Second, 7 * time.Second, "UPDATE", "600;refresher=uac"},
		"too short":         {422, "Min-SE: 700\r\n", time.Millisecond, time.Millisecond, "UPDATE", "700;refresher=uac"},
		"no UPDATE":         {405, "", time.Millisecond, time.Millisecond, "INVITE", "600;refresher=uac"},
		"not implemented":   {501, "", time.Millisecond, time.Millisecond, "INVITE", "600;refresher=uac"},
		"another reason":    {488, "", 134 * time.Second, 134 * time.Second, "UPDATE", "600;refresher=uac"},
		"422 without sense": {422, "", 134 * time.Second, 134 * time.Second, "UPDATE", "600;refresher=uac"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
				n.answering()
				p.timed("Supported: timer\r\nSession-Expires: 600\r\n" + updates)
				req, _ := p.after("UPDATE", time.Hour)
				p.reply(req, tc.code, tc.header)
				next, at := p.after(tc.next, time.Hour)
				assert.GreaterOrEqual(t, at, tc.least)
				assert.LessOrEqual(t, at, tc.most)
				assert.Equal(t, tc.expires, field(next, "Session-Expires"))
				p.reply(next, 200, "")
				if tc.next == "INVITE" {
					p.expect("ACK ")
				}
				assert.NoError(t, n.leg().Err())
			})
		})
	}
}

func TestRefreshThatIsAlwaysRefusedEndsTheCall(t *testing.T) { // RFC 4028 section 10
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.timed("Supported: timer\r\nSession-Expires: 600\r\n" + updates)
		start := time.Now()
		for {
			req, _ := p.after("", time.Hour)
			if strings.HasPrefix(req, "BYE") {
				p.reply(req, 200, "")
				break
			}
			p.reply(req, 488, "")
		}
		assert.Equal(t, 600*time.Second-32*time.Second, time.Since(start))
		require.ErrorIs(t, n.end(), ErrSessionExpired)
	})
}

func TestPeerThatKnowsNoTimersIsRefreshedAllTheSame(t *testing.T) { // a proxy has asked for it
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.timed("Session-Expires: 600\r\n" + updates)
		for range 3 {
			req, at := p.after("UPDATE", time.Hour)
			assert.Equal(t, 5*time.Minute, at)
			p.reply(req, 200, "")
		}
	})
}

func TestRefreshOfThePeerInTimeStopsOurTrying(t *testing.T) {
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, _ := p.timed("Supported: timer\r\nSession-Expires: 600\r\n" + updates)
		req, _ := p.after("UPDATE", time.Hour)
		p.reply(req, 491, "Retry-After: 60\r\n")
		synctest.Wait()
		c.inDialog("UPDATE", "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "")
		p.expect("SIP/2.0 200")
		bye, at := p.after("", time.Hour)
		assert.Equal(t, "BYE", bye[:3], "nothing else came")
		assert.Equal(t, 568*time.Second, at)
		p.reply(bye, 200, "")
	})
}
