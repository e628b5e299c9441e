package sipstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
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
			synctest.Wait()
			for len(p.in) > 0 {
				<-p.in
			}
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

func TestTrap08RequestsAtOnceHaveNumbersOfTheirOwn(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		d := n.leg().dialog
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { _, _ = d.send(context.Background(), "OPTIONS", nil, nil, nil) })
		}
		for i := range 200 {
			req := p.next()
			assert.Equal(t, fmt.Sprintf("%d OPTIONS", i+1), field(req, "CSeq"), "in the order in which they left")
			p.reply(req, 200, "")
		}
		wg.Wait()
	})
}

func TestTrap09ChallengesAreAnsweredInTheDialog(t *testing.T) {
	cfg := Config{Credentials: []Credential{{Realm: "peer", Username: "bob", Password: "secret"}}}
	inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.contact = fmt.Sprintf("sip:alice@%s;line=7;ob", p.wire.local())
		p.call()
		l := n.leg()
		r, err := l.Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		refer := p.next()
		assert.Equal(t, "1 REFER", field(refer, "CSeq"))
		p.reply(refer, 401, "WWW-Authenticate: Digest realm=\"peer\", nonce=\"abc\", algorithm=MD5\r\n")
		again := p.next()
		assert.Equal(t, "2 REFER", field(again, "CSeq"), "the number is the dialog's")
		assert.NotEqual(t, field(refer, "Via"), field(again, "Via"))
		assert.Contains(t, field(again, "Authorization"), `uri="`+p.contact+`"`, "with all its parameters")
		p.reply(again, 603, "")
		<-r.Done()
		done := make(chan error, 1)
		go func() { done <- l.Bye(context.Background()) }()
		bye := p.next()
		assert.Equal(t, "3 BYE", field(bye, "CSeq"))
		p.reply(bye, 200, "")
		require.NoError(t, <-done)
	})
}

func TestTrap10NewContactIsUsed(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		other := n.udpPhone()
		defer other.close()
		p.contact = fmt.Sprintf("sip:moved@%s", other.wire.local())
		c.inDialog("INVITE", "", offerLine)
		c.expect("SIP/2.0 200")
		c.ack("")
		synctest.Wait()
		go func() { _ = l.Bye(context.Background()) }()
		bye := other.next()
		assert.Equal(t, "BYE "+p.contact+" SIP/2.0", startOf(bye))
		other.reply(bye, 200, "")
	})
}

func TestTrap11TwoHundredToReinviteIsRepeated(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		c.inDialog("INVITE", "", offerLine)
		at := c.twoHundreds("101 INVITE", 3*time.Second)
		assert.Equal(t, repetitions[:3], at)
		c.ack("")
		p.silent(time.Minute)
		assert.NoError(t, n.leg().Err())
	})
}

func TestTrap11NoAckToReinviteEndsTheCall(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		c.inDialog("INVITE", "", offerLine)
		assert.Len(t, c.twoHundreds("101 INVITE", 32*time.Second), len(repetitions))
		p.reply(c.expect("BYE "), 200, "")
		require.ErrorIs(t, n.end(), ErrNoAck)
	})
}

func TestTrap12AnyEndOfByeEndsTheCall(t *testing.T) {
	for _, code := range []int{481, 408, 405, 500, 0} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				l := n.leg()
				start := time.Now()
				done := make(chan error, 1)
				go func() { done <- l.Bye(context.Background()) }()
				bye := p.next()
				if code != 0 {
					p.reply(bye, 100, "")
					p.reply(bye, code, "")
				}
				require.NoError(t, <-done)
				if code == 0 {
					assert.Equal(t, 32*time.Second, time.Since(start))
				}
				assert.Equal(t, start, l.EndTime())
				for len(p.in) > 0 {
					<-p.in
				}
				c.inDialog("INFO", "", "")
				assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
			})
		})
	}
}

func TestTrap13ReasonsAreOneKindOfError(t *testing.T) {
	inMemory(t, Config{Keepalive: time.Minute}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		n.leg()
		timer := time.NewTimer(time.Minute)
		<-timer.C
		p.reply(p.expect("OPTIONS"), 481, "")
		err := n.end()
		require.ErrorIs(t, err, ErrDialogLost)
		var status *StatusError
		require.True(t, errors.As(err, &status))
		assert.Equal(t, StatusError{Method: "OPTIONS", Code: 481, Reason: "Call/Transaction Does Not Exist"}, *status)
	})
}

func TestTrap14ManyProvisionalResponses(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		refer := p.next()
		for range 20 {
			p.reply(refer, 100, "")
		}
		p.reply(refer, 603, "")
		<-r.Done()
		assert.Equal(t, 603, r.Result().ReferCode)
	})
}

func TestTrap16WaitEndsAtOnceWithoutAnyResponse(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		l := n.leg()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, l.Bye(ctx), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		p.expect("BYE")
		p.reply(p.expect("BYE"), 200, "") // it goes on all the same
		require.NoError(t, l.Bye(context.Background()))
		assert.Less(t, time.Since(start), 2*time.Second)
	})
}

func TestTrap19UnwantedSourcesLeaveNothingBehind(t *testing.T) {
	cfg := Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
		n.answering()
		synctest.Wait()
		before := n.transport.Pool("udp").Size()
		for i := range 100 {
			q := n.udpPhoneAt(fmt.Sprintf("127.0.0.2:%d", 1000+i))
			q.newCall().sendInvite("", offerLine)
			q.send("nonsense")
			synctest.Wait()
			assert.Empty(t, q.in, "no answer at all")
			q.close()
		}
		assert.Equal(t, before, n.transport.Pool("udp").Size())
		assert.Empty(t, n.rec.sip, "nor is it told")
		p.call() // trap 20: the listener goes on
	})
}

func TestTrap21UnreadablePacketsAreNotLogged(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		secret := "INVITE sip:x SIP/2.0\r\nAuthorization top-secret\r\n" + strings.Repeat("x", 3000)
		p.send(secret)
		p.send("\x00\xff garbage \r\n\r\n")
		synctest.Wait()
		for _, e := range logs.All() {
			assert.LessOrEqual(t, e.Level, zapcore.DebugLevel, e.Message)
			var b bytes.Buffer
			fmt.Fprint(&b, e.Message, e.ContextMap())
			assert.NotContains(t, b.String(), strings.Repeat("x", 100), "the whole packet")
		}
		n.answering()
		p.call()
	}, WithLogger(zap.New(core)))
}

func TestTrap22PhrasesAreOneLine(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.admit = func(Invitation) error {
			return &StatusError{Code: 503, Reason: "first\r\nsecond: line\nthird", RetryAfter: 7}
		}
		c := p.newCall()
		c.sendInvite("", offerLine)
		res := c.expect("SIP/2.0 503")
		assert.Equal(t, "SIP/2.0 503 first  second: line third", startOf(res))
		assert.Equal(t, "7", field(res, "Retry-After"))
	})
}

func TestTrapRequestsLeaveFromTheListeningPort(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		other := n.udpPhone() // never sends us anything
		defer other.close()
		p.contact = fmt.Sprintf("sip:alice@%s", other.wire.local())
		p.call()
		go func() { _ = n.leg().Bye(context.Background()) }()
		bye := other.next()
		assert.Contains(t, field(bye, "Via"), "SIP/2.0/UDP "+n.Addrs()[0].String()+";")
		other.reply(bye, 200, "")
		synctest.Wait()
		for _, m := range n.rec.sip {
			assert.Equal(t, n.Addrs()[0].String(), m.Local)
		}
	})
}

func TestTrapPanicOfAHandlerEndsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newHub(), Config{})
		p := n.udpPhone()
		n.admit = func(inv Invitation) error {
			if inv.User == "boom" {
				panic("boom")
			}
			return nil
		}
		c := p.newCall()
		c.uri = "sip:boom@node.example"
		c.sendInvite("", offerLine)
		c.expect("SIP/2.0 500")
		assert.Equal(t, []any{"boom"}, n.rec.panics)

		n.serve = func(*Leg) { panic("serve") }
		c = p.newCall()
		c.sendInvite("", offerLine)
		c.expect("SIP/2.0 500")
		synctest.Wait()
		assert.Equal(t, []any{"boom", "serve"}, n.rec.panics)

		n.answering()
		p.call()
		n.stop()
		p.close()
		time.Sleep(70 * time.Second) // fake
	})
}
