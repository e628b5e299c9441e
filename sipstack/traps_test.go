package sipstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// The tests of this file are named after the defects and surprises of sipgo that the stack works around.

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
				p.drain()
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
		_, err := n.leg().dialog.send(t.Context(), sip.OPTIONS, nil, nil, func(uint32) { panic("request") })
		assert.ErrorIs(t, err, errBroken)
		require.True(t, n.spawn(func() { panic("task") }))
		synctest.Wait()
		assert.Equal(t, []any{"boom", "serve", "request", "task"}, n.rec.panics)
		n.rec.panics = nil
		n.stop()
		p.close()
		time.Sleep(70 * time.Second) // fake
	})
}

// What is told where sockets are read must not end the reading, and what comes behind it is told.
func TestTrapPanicOfTheObserverEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newHub(), Config{})
		n.rec.broken = map[string]bool{"INVITE": true, "200 INVITE": true, "ACK": true, "OPTIONS": true}
		p := n.udpPhone()
		n.answering()
		c := p.call()
		alone := p.newCall()
		alone.send(alone.request("OPTIONS", alone.uri, 1, newBranch(), "", ""))
		p.expect("SIP/2.0 200")
		c.inDialog("BYE", "", "")
		p.expect("SIP/2.0 200")
		synctest.Wait()
		assert.Equal(t, []any{"INVITE", "200 INVITE", "ACK", "OPTIONS"}, n.rec.panics)
		assert.Subset(t, n.rec.ladder(n.leg().dialog.callID), []string{"< 100 INVITE", "> BYE", "< 200 BYE"})
		n.rec.panics = nil
		n.stop()
		p.close()
		time.Sleep(70 * time.Second) // fake
	})
}

func TestTrapPanicOfTheObserverInATimerEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{broken: map[string]bool{"INVITE": true}}
		x := newTap(rec)
		for range 2 {
			require.True(t, x.message(true, "udp", "192.0.2.1:5060", &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5060},
				[]byte("INVITE sip:bob@x SIP/2.0\r\nCall-ID: 1@x\r\nTo: <sip:bob@x>\r\nCSeq: 7 INVITE\r\n\r\n")))
		}
		require.Empty(t, rec.ladder(""), "nobody has decided about it")
		time.Sleep(maxUndecided + time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"> INVITE", "> INVITE"}, rec.ladder(""))
		assert.Equal(t, []any{"INVITE", "INVITE"}, rec.panics)
		x.close()
	})
}
