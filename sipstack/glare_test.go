package sipstack

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOffersThatCrossOurReinvite(t *testing.T) { // RFC 3261 section 14.2, RFC 3311 section 5.2: 491
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, _ := p.timed("Supported: timer\r\nSession-Expires: 600\r\n")
		ours, _ := p.after("INVITE", time.Hour)
		c.inDialog("INVITE", "", offerLine)
		assert.Equal(t, "101 INVITE", field(c.expect("SIP/2.0 491"), "CSeq"))
		c.send(c.request("ACK", c.target, c.cseq, newBranch(), "", ""))
		c.inDialog("UPDATE", "", offerLine)
		assert.Equal(t, "102 UPDATE", field(c.expect("SIP/2.0 491"), "CSeq"))
		c.inDialog("UPDATE", "", "")
		c.expect("SIP/2.0 200")
		p.reply(ours, 491, "") // and so do they
		p.expect("ACK ")
		synctest.Wait()
		c.inDialog("INVITE", "", offerLine)
		assert.Equal(t, "104 INVITE", field(c.expect("SIP/2.0 200"), "CSeq"))
		c.ack("")
		p.drain()
		assert.NoError(t, n.leg().Err())
	})
}

func TestOurReinviteWaitsForThatOfThePeer(t *testing.T) { // RFC 3261 section 14.1
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, _ := p.timed("Supported: timer\r\nSession-Expires: 90\r\n")
		time.Sleep(40 * time.Second) // fake
		c.inDialog("INVITE", "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n", offerLine)
		c.expect("SIP/2.0 200")
		// The wait for the ACK ends before the next refresh is due, so that one is made here and now.
		l := n.leg()
		require.False(t, l.dialog.inviting())
		_, err := l.refresh(l.timer.state())
		require.ErrorIs(t, err, errInviting)
		c.ack("")
		synctest.Wait()
		require.True(t, l.dialog.inviting())
		require.False(t, l.dialog.inviting(), "one at a time")
		l.dialog.invited()
	})
}

func TestOurReinviteAfterGlare(t *testing.T) { // RFC 3261 section 14.1: not the owner of the Call-ID
	for range 20 {
		inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.timed("Supported: timer\r\nSession-Expires: 600\r\n")
			first, _ := p.after("INVITE", time.Hour)
			p.reply(first, 491, "")
			p.expect("ACK ")
			again, at := p.after("INVITE", time.Hour)
			assert.LessOrEqual(t, at, 2*time.Second)
			assert.NotEqual(t, field(first, "CSeq"), field(again, "CSeq"))
			p.replySDP(again, offerLine, "")
			p.expect("ACK ")
		})
	}
}

func TestBothSidesRefreshAtOnce(t *testing.T) { // RFC 3261 sections 14.1 and 14.2
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		const header = "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n"
		c, _ := p.timed(header)
		first := 0 // how often theirs was; it is chance
		for range 30 {
			time.Sleep(5 * time.Minute) // fake: as long as ours waits
			c.inDialog("INVITE", header, offerLine)
			var ours, theirs string
			for synctest.Wait(); len(p.in) > 0; {
				switch text := <-p.in; {
				case strings.HasPrefix(text, "INVITE"):
					ours = text
				case field(text, "CSeq") == fmt.Sprint(c.cseq, " INVITE"):
					theirs = startOf(text)
				}
			}
			if ours == "" {
				require.Equal(t, "SIP/2.0 200 OK", theirs)
				c.ack("")
				first++
				continue
			}
			require.Equal(t, "SIP/2.0 491 Request Pending", theirs)
			p.reply(ours, 491, "") // refused as theirs was, and then tried again
			again, at := p.after("INVITE", time.Minute)
			assert.LessOrEqual(t, at, 2*time.Second)
			p.replySDP(again, offerLine, "Session-Expires: 600;refresher=uac\r\n")
			c.expect("ACK ")
			p.drain()
		}
		t.Logf("%d times theirs came first", first)
		assert.NoError(t, n.leg().Err())
	})
}

func TestGlareWaitsOfBothSidesDoNotOverlap(t *testing.T) { // RFC 3261 section 14.1
	ours, theirs := &dialog{ownsCallID: true}, &dialog{}
	seen := map[time.Duration]bool{}
	for range 1000 {
		long, short := ours.glareWait(), theirs.glareWait()
		assert.GreaterOrEqual(t, long, 2100*time.Millisecond)
		assert.LessOrEqual(t, long, 4*time.Second)
		assert.Positive(t, short)
		assert.LessOrEqual(t, short, 2*time.Second)
		assert.Zero(t, long%(10*time.Millisecond))
		assert.Zero(t, short%(10*time.Millisecond))
		seen[long], seen[short] = true, true
	}
	assert.Greater(t, len(seen), 100, "at random")
}

func TestReinviteThatIsThoughtAboutForTooLong(t *testing.T) { // RFC 4028 section 10
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.timed("Supported: timer\r\nSession-Expires: 600\r\n")
		invite, at := p.after("INVITE", time.Hour)
		p.reply(invite, 180, "")
		bye, later := p.after("BYE", time.Hour)
		assert.Equal(t, 568*time.Second, (at + later).Round(time.Second))
		p.reply(bye, 200, "")
		require.ErrorIs(t, n.end(), ErrSessionExpired)
	})
}

func TestReinviteOfOursEndsWithTheCall(t *testing.T) {
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, _ := p.timed("Supported: timer\r\nSession-Expires: 600\r\n")
		invite, _ := p.after("INVITE", time.Hour)
		p.reply(invite, 180, "")
		c.inDialog("BYE", "", "")
		c.expect("SIP/2.0 200")
		require.ErrorIs(t, n.end(), ErrRemoteHangup)
		synctest.Wait()
		assert.False(t, n.leg().dialog.offerPending(), "it is waited for no longer")
		p.silent(time.Hour)
	})
}
