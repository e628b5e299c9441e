package sipstack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file are those of sipgo's traps that only calls of ours meet.

var errChangedMind = errors.New("the caller of Invite has changed its mind")

func TestTrap14ManyProvisionalResponsesToAnInvite(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		var progress []int
		call := n.callee(p)
		call.Progress = func(code int) { progress = append(progress, code) }
		done := n.dial(context.Background(), call)
		invite := p.next()
		for i := range 30 {
			p.answerAs(invite, "c", 180+i%4, p.contactLine(), "")
			time.Sleep(20 * time.Second) // fake: it rings longer than any timer of the transaction
		}
		p.accepts(invite, "c")
		p.expect("ACK")
		require.NoError(t, (<-done).err)
		assert.Len(t, progress, 30)
	})
}

func TestTrap15CancelCrossesTheAnswer(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := n.dial(ctx, n.callee(p))
		invite := p.next()
		p.answerAs(invite, "c", 180, p.contactLine(), "")
		synctest.Wait()
		start := time.Now()
		cancel(errChangedMind)
		r := <-done
		require.ErrorIs(t, r.err, errChangedMind)
		assert.Nil(t, r.leg)
		assert.Equal(t, start, r.at)

		req := p.next()
		assert.Equal(t, strings.Replace(startOf(invite), "INVITE", "CANCEL", 1), startOf(req))
		assert.Equal(t, "1 CANCEL", field(req, "CSeq"))
		for _, same := range []string{"Via", "From", "To", "Call-ID"} {
			assert.Equal(t, field(invite, same), field(req, same))
		}
		p.reply(req, 200, "")
		p.accepts(invite, "c") // was faster
		ack := p.next()
		assert.Equal(t, "1 ACK", field(ack, "CSeq"))
		assert.Equal(t, "c", tagIn(field(ack, "To")))
		bye := p.next()
		assert.Equal(t, "2 BYE", field(bye, "CSeq"))
		assert.Equal(t, "c", tagIn(field(bye, "To")))
		p.reply(bye, 200, "")
		p.silent(time.Minute)
		assert.Equal(t, []string{
			"< INVITE", "> 180 INVITE", "< CANCEL", "> 200 CANCEL", "> 200 INVITE", "< ACK", "< BYE", "> 200 BYE",
		}, n.rec.ladder("o-1"))
		assert.Empty(t, n.rec.media, "nobody wants its sound")
	})
}

func TestTrap16CanceledBeforeAnyResponse(t *testing.T) {
	canceled := func(t *testing.T, n *node, p *phone) (invite string) {
		t.Helper()
		ctx, cancel := context.WithCancelCause(context.Background())
		done := n.dial(ctx, n.callee(p))
		invite = p.next()
		start := time.Now()
		cancel(errChangedMind)
		r := <-done
		require.ErrorIs(t, r.err, errChangedMind)
		assert.Equal(t, start, r.at, "at once")
		synctest.Wait()
		assert.Empty(t, p.in, "RFC 3261 section 9.1: no CANCEL before a provisional response")
		return invite
	}
	for name, code := range map[string]int{"100": 100, "180": 180} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				invite := canceled(t, n, p)
				p.answerAs(invite, "c", code, "", "")
				req := p.expect("CANCEL")
				p.reply(req, 200, "")
				p.answerAs(invite, "c", 487, "", "")
				assert.Equal(t, "1 ACK", field(p.next(), "CSeq"))
				p.silent(2 * time.Minute)
			})
		})
	}
	t.Run("answered at once", func(t *testing.T) {
		inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
			invite := canceled(t, n, p)
			p.accepts(invite, "c")
			p.expect("ACK")
			p.reply(p.next(), 200, "") // BYE
			p.silent(2 * time.Minute)
		})
	})
	t.Run("never answered", func(t *testing.T) {
		inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
			canceled(t, n, p)
			time.Sleep(2 * time.Minute) // fake
			p.drain()
			p.silent(2 * time.Minute)
			ladder := n.rec.ladder("o-1")
			assert.Len(t, ladder, 7, "an INVITE is sent seven times")
			assert.NotContains(t, ladder, "< CANCEL")
		})
	})
	t.Run("before it went out", func(t *testing.T) {
		inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
			n.net.(*hub).names.hangs["slow.example"] = true
			ctx, cancel := context.WithCancelCause(context.Background())
			done := n.dial(ctx, Outbound{To: "sip:carol@slow.example"})
			synctest.Wait()
			start := time.Now()
			cancel(errChangedMind)
			r := <-done
			require.ErrorIs(t, r.err, errChangedMind)
			assert.Equal(t, start, r.at)
			time.Sleep(time.Minute) // fake
			assert.Empty(t, n.rec.sip)
		})
	})
}

// A proxy that forks: each who answers has a tag of its own.
func TestTrap17SecondAnswerOfAForkIsHungUp(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		branches := map[string]*phone{"one": n.udpPhoneAt("127.0.0.11:7001"), "two": n.udpPhoneAt("127.0.0.12:7002"), "six": n.udpPhoneAt("127.0.0.16:7006")}
		contact := map[string]string{}
		for tag, b := range branches {
			defer b.close()
			contact[tag] = fmt.Sprintf("Contact: <sip:%s@%s>\r\n", tag, b.wire.local())
		}
		done := n.dial(context.Background(), n.callee(p))
		invite := p.next()
		p.answerAs(invite, "one", 180, contact["one"], "")
		p.answerAs(invite, "two", 180, contact["two"], "")
		synctest.Wait()
		assert.Len(t, n.dialogs, 2, "an early dialog each")

		p.answerAs(invite, "two", 200, contact["two"], answerLine)
		ack := branches["two"].next()
		assert.Equal(t, "two", tagIn(field(ack, "To")))
		r := <-done
		require.NoError(t, r.err)

		for _, tag := range []string{"one", "six"} { // that was early, and one that comes from nowhere
			b := branches[tag]
			p.answerAs(invite, tag, 200, contact[tag], answerLine)
			ack := b.next()
			assert.Equal(t, "ACK sip:"+tag+"@"+b.wire.local().String()+" SIP/2.0", startOf(ack))
			assert.Equal(t, tag, tagIn(field(ack, "To")))
			assert.Equal(t, "1 ACK", field(ack, "CSeq"))
			bye := b.next()
			assert.Equal(t, "BYE sip:"+tag+"@"+b.wire.local().String()+" SIP/2.0", startOf(bye))
			assert.Equal(t, "2 BYE", field(bye, "CSeq"))
			b.reply(bye, 200, "")

			p.answerAs(invite, tag, 200, contact[tag], answerLine)
			assert.Equal(t, "1 ACK", field(b.next(), "CSeq"), "repeated, it is acknowledged again")
		}
		// The call that counts is untouched, and its sound, too.
		require.NoError(t, r.leg.Err())
		assert.Len(t, n.rec.media, 1)
		go func() { _ = r.leg.Bye(context.Background()) }()
		req := branches["two"].next()
		assert.Equal(t, "2 BYE", field(req, "CSeq"), "its numbers are its own")
		branches["two"].reply(req, 200, "")
		synctest.Wait()
		for _, m := range n.rec.sip {
			assert.Equal(t, "o-1", m.callID, "%s", m.Raw)
		}
		time.Sleep(70 * time.Second) // fake
		synctest.Wait()
		assert.Empty(t, n.dialogs)
		assert.Empty(t, n.outgoing)
		assert.Empty(t, n.tap.threads)
		for tag, b := range branches {
			assert.Empty(t, b.in, tag)
		}
	})
}

func TestTrap18AckHasTheNumberOfTheInvite(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		done := n.dial(context.Background(), n.callee(p))
		invite := p.next()
		p.answerAs(invite, "c", 180, p.contactLine(), "")
		synctest.Wait()
		var early *dialog
		for _, d := range n.dialogs {
			early = d
		}
		sent := make(chan error, 1)
		go func() {
			_, err := early.send(context.Background(), "INFO", nil, nil, nil)
			sent <- err
		}()
		info := p.next()
		assert.Equal(t, "2 INFO", field(info, "CSeq"))
		p.reply(info, 200, "")
		require.NoError(t, <-sent)
		p.accepts(invite, "c")
		assert.Equal(t, "1 ACK", field(p.next(), "CSeq"))
		r := <-done
		require.NoError(t, r.err)
		p.accepts(invite, "c")
		assert.Equal(t, "1 ACK", field(p.next(), "CSeq"), "again, for the one that came again")
		go func() { _ = r.leg.Bye(context.Background()) }()
		bye := p.next()
		assert.Equal(t, "3 BYE", field(bye, "CSeq"))
		p.reply(bye, 200, "")
		synctest.Wait()
	})
}

// A 2xx that comes when the INVITE's transaction is over reaches sipgo's handler of responses without one.
func TestTrapAnswerAfterTheTransaction(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := n.dial(ctx, n.callee(p))
		invite := p.next()
		p.answerAs(invite, "c", 180, p.contactLine(), "")
		synctest.Wait()
		cancel(errChangedMind)
		require.ErrorIs(t, (<-done).err, errChangedMind)
		p.reply(p.expect("CANCEL"), 200, "")
		time.Sleep(40 * time.Second) // fake: 64*T1 after the CANCEL the INVITE is given up
		p.drain()
		p.accepts(invite, "c")
		assert.Equal(t, "1 ACK", field(p.next(), "CSeq"))
		p.reply(p.expect("BYE"), 200, "")

		time.Sleep(time.Minute) // fake: and then nobody knows it any more
		p.accepts(invite, "other")
		p.silent(time.Minute)
	})
}

// Requests of the other side before it has answered.
func TestEarlyDialogOfACallOfOurs(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		done := n.dial(context.Background(), n.callee(p))
		invite := p.next()
		p.answerAs(invite, "c", 183, p.contactLine(), "")
		synctest.Wait()
		c := incall(p, invite, "c")
		for _, tc := range []struct {
			method string
			code   string
		}{{"INFO", "200"}, {"BYE", "481"}, {"PRACK", "481"}, {"INVITE", "500"}, {"INFO", "200"}} {
			extra := ""
			if tc.method == "PRACK" {
				extra = "RAck: 1 1 INVITE\r\n"
			}
			c.inDialog(tc.method, extra, "")
			assert.Contains(t, startOf(c.expect("SIP/2.0 "+tc.code)), tc.code, tc.method)
		}
		p.accepts(invite, "c")
		p.expect("ACK")
		require.NoError(t, (<-done).err)
	})
}

func TestForksThatAreNotAnsweredAreForgotten(t *testing.T) { // RFC 3261 section 13.2.2.4: 64*T1 after the first answer
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		done := n.dial(context.Background(), n.callee(p))
		invite := p.next()
		for _, tag := range []string{"c", "d", "e"} {
			p.answerAs(invite, tag, 180, p.contactLine(), "")
			synctest.Wait()
		}
		p.accepts(invite, "d")
		p.expect("ACK")
		require.NoError(t, (<-done).err)
		time.Sleep(linger() - time.Second) // fake
		c := incall(p, invite, "c")
		c.inDialog("INFO", "", "")
		c.expect("SIP/2.0 200")
		time.Sleep(2 * linger())
		c.inDialog("INFO", "", "")
		c.expect("SIP/2.0 481")
		d := incall(p, invite, "d")
		d.inDialog("INFO", "", "")
		d.expect("SIP/2.0 200")
		assert.Len(t, n.dialogs, 1)
	})
}

func TestForksAreBounded(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		done := n.dial(context.Background(), n.callee(p))
		invite := p.next()
		for i := range 3 * maxForks {
			p.answerAs(invite, fmt.Sprint("c", i), 180, p.contactLine(), "")
			synctest.Wait()
		}
		assert.Len(t, n.dialogs, maxForks)
		p.accepts(invite, "c3")
		p.expect("ACK")
		require.NoError(t, (<-done).err)
	})
}
