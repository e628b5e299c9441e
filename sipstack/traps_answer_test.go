package sipstack

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file are named after the defects and surprises of sipgo that the stack works around.

func TestTrap01BurstsOfRequestsAreNotRejected(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		for range 100 {
			for range 4 {
				c.inDialog("INFO", "", "")
			}
			for range 4 {
				require.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
			}
		}
	})
}

func TestTrap02ByeAndAckInOneBreath(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		for range 200 {
			c := p.newCall()
			c.sendInvite("", offerLine)
			c.established(c.expect("SIP/2.0 200"))
			l := n.leg()
			c.ack("")
			c.inDialog("BYE", "", "")
			bye := c.expect("SIP/2.0 ")
			require.Equal(t, "101 BYE", field(bye, "CSeq"))
			require.Equal(t, "SIP/2.0 200 OK", startOf(bye))
			require.ErrorIs(t, n.end(), ErrRemoteHangup)
			require.True(t, l.isConfirmed(), "the ACK was waited for")
		}
	})
}

func TestTrap02ByeWithoutAck(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("", offerLine)
		c.established(c.expect("SIP/2.0 200"))
		start := time.Now()
		ack := c.ackText("")
		c.inDialog("BYE", "", "")
		assert.Equal(t, "101 BYE", field(p.next(), "CSeq"))
		assert.Equal(t, 50*time.Millisecond, time.Since(start))
		require.ErrorIs(t, n.end(), ErrRemoteHangup)
		c.send(ack) // late: changes nothing
		p.silent(40 * time.Second)
		assert.ErrorIs(t, n.leg().Err(), ErrRemoteHangup)
	})
}

// cancel sends the CANCEL of the INVITE.
func (c *dialogue) cancel() {
	to := c.to
	c.to = "<sip:bob@node.example>"
	c.send(c.request("CANCEL", c.uri, c.cseq, c.branch, "", ""))
	c.to = to
}

func TestTrap03CancelThenAnswer(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		c.cancel()
		c.expect("SIP/2.0 487")
		require.ErrorIs(t, n.end(), ErrCanceled)
		require.ErrorIs(t, l.Answer(context.Background()), ErrCanceled)
		require.ErrorIs(t, l.Ring(context.Background()), ErrCanceled)
		require.NoError(t, l.Reject(context.Background(), 603), "it is over")
		for range 3 { // without ACK the final response is repeated, and is still the same
			assert.Equal(t, "SIP/2.0 487 Request Terminated", startOf(p.next()))
		}
	})
}

func TestTrap03CancelCrossesAnswer(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		for range 100 {
			c := p.newCall()
			c.sendInvite("", offerLine)
			l := n.leg()
			c.expect("SIP/2.0 100")
			answered := make(chan error, 1)
			go func() { answered <- l.Answer(context.Background()) }()
			c.cancel()
			final := c.expect("SIP/2.0 487", "SIP/2.0 200")
			for field(final, "CSeq") != "100 INVITE" {
				final = c.expect("SIP/2.0 487", "SIP/2.0 200")
			}
			repeated := c.expect("SIP/2.0 487", "SIP/2.0 200")
			for field(repeated, "CSeq") != "100 INVITE" {
				repeated = c.expect("SIP/2.0 487", "SIP/2.0 200")
			}
			require.Equal(t, startOf(final), startOf(repeated))
			c.established(final)
			c.ack("")
			if strings.HasPrefix(final, "SIP/2.0 487") {
				require.ErrorIs(t, <-answered, ErrCanceled)
				c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
			} else {
				require.NoError(t, <-answered)
			}
			p.drain()
		}
	})
}

func TestTrap04OneTagInAllResponses(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		require.NoError(t, n.leg().Ring(context.Background()))
		tag := tagIn(field(c.expect("SIP/2.0 180"), "To"))
		require.NotEmpty(t, tag)
		c.cancel()
		for range 2 {
			res := p.next()
			assert.Equal(t, tag, tagIn(field(res, "To")), startOf(res))
		}
	})
}

func TestTrap05AckWithTheBranchOfTheInvite(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		answered := make(chan error, 1)
		go func() { answered <- l.Answer(context.Background()) }()
		c.established(c.expect("SIP/2.0 200"))
		c.send(c.request("ACK", c.target, c.cseq, c.branch, "", ""))
		require.NoError(t, <-answered)
		p.silent(time.Minute)
	})
}

// twoHundreds collects when a 2xx to INVITE comes, until the given time has passed.
func (p *phone) twoHundreds(cseq string, d time.Duration) (at []time.Duration) {
	start := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case text := <-p.in:
			if strings.HasPrefix(text, "SIP/2.0 200") && field(text, "CSeq") == cseq {
				at = append(at, time.Since(start))
			}
		case <-timer.C:
			return at
		}
	}
}

var repetitions = []time.Duration{
	0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 7500 * time.Millisecond,
	11500 * time.Millisecond, 15500 * time.Millisecond, 19500 * time.Millisecond, 23500 * time.Millisecond,
	27500 * time.Millisecond, 31500 * time.Millisecond,
}

func TestTrap06LostTwoHundredIsRepeatedInTime(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("", offerLine)
		assert.Equal(t, repetitions, c.twoHundreds("100 INVITE", 31900*time.Millisecond))
	})
}

func TestTrap06TwoHundredIsRepeatedOverTCP(t *testing.T) {
	n := startNode(t, nil, Config{Listeners: []Listener{{"tcp", "127.0.0.1:0"}}}).answering()
	defer n.stop()
	p := n.tcpPhone(0)
	defer p.close()
	c := p.newCall()
	c.sendInvite("", offerLine)
	c.expect("SIP/2.0 200")
	c.established(c.expect("SIP/2.0 200"))
	c.ack("")
	c.inDialog("BYE", "", "")
	for field(c.expect("SIP/2.0 200"), "CSeq") != "101 BYE" { // a last repetition may have been under way
	}
	require.ErrorIs(t, n.end(), ErrRemoteHangup)
}

func TestTrap07NoAckAtAllIsEndedWithBye(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		start := time.Now()
		answered := make(chan error, 1)
		go func() { answered <- l.Answer(context.Background()) }()
		hungUp := make(chan error, 1)
		go func() {
			synctest.Wait()
			hungUp <- l.Bye(context.Background()) // waits for the ACK as well
		}()
		c.established(c.expect("SIP/2.0 200"))
		timer := time.NewTimer(32 * time.Second)
		<-timer.C
		bye := c.expect("BYE ")
		assert.Equal(t, 32*time.Second, time.Since(start))
		require.ErrorIs(t, <-answered, ErrNoAck)
		require.ErrorIs(t, n.end(), ErrNoAck)
		p.reply(bye, 200, "")
		require.NoError(t, <-hungUp)
		p.silent(time.Minute)
		assert.Equal(t, []string{"ack started 32s", "ack fired 32s"}, n.rec.timerEvents())
	})
}
