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

// dialled is what became of a call of ours.
type dialled struct {
	leg *Leg
	err error
	at  time.Time
}

// dial places a call and does not wait for it.
func (n *node) dial(ctx context.Context, call Outbound) <-chan dialled {
	call.CallID = "o-1"
	done := make(chan dialled, 1)
	go func() {
		leg, err := n.Invite(ctx, call)
		done <- dialled{leg, err, time.Now()}
	}()
	return done
}

// answerAs answers a request of the node as the one who has this tag.
func (p *phone) answerAs(req, tag string, code int, extra, body string) {
	res := strings.Replace(replyTo(req, code, extra), "\r\nTo: "+field(req, "To"), "\r\nTo: "+field(req, "To")+";tag="+tag, 1)
	if body != "" {
		res = strings.Replace(res, "Content-Length: 0\r\n\r\n",
			fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(body), body), 1)
	}
	p.send(res)
}

func (p *phone) contactLine() string {
	return fmt.Sprintf("Contact: <sip:carol@%s>\r\n", p.wire.local())
}

// accepts answers an INVITE with a 200.
func (p *phone) accepts(invite, tag string) {
	p.answerAs(invite, tag, 200, p.contactLine(), answerLine)
}

// callee is who is called.
func (n *node) callee(p *phone) Outbound {
	return Outbound{To: fmt.Sprintf("sip:carol@%s", p.wire.local()), From: "sip:desk@node.example"}
}

// incall is the callee's side of an answered call of ours.
func incall(p *phone, invite, tag string) *dialogue {
	return &dialogue{
		phone: p, callID: field(invite, "Call-ID"), from: field(invite, "To") + ";tag=" + tag, to: field(invite, "From"),
		cseq: 7000, target: strings.Trim(field(invite, "Contact"), "<>"),
	}
}

func TestCallOfOurs(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		var progress []int
		call := n.callee(p)
		call.Progress = func(code int) { progress = append(progress, code) }
		done := n.dial(context.Background(), call)
		invite := p.next()
		assert.Equal(t, "INVITE "+call.To+" SIP/2.0", startOf(invite))
		assert.Equal(t, "<"+call.To+">", field(invite, "To"))
		assert.True(t, strings.HasPrefix(field(invite, "From"), "<sip:desk@node.example>;tag="))
		assert.Equal(t, "<sip:desk@"+n.Addrs()[0].String()+">", field(invite, "Contact"))
		assert.Equal(t, "1 INVITE", field(invite, "CSeq"))
		assert.Equal(t, "70", field(invite, "Max-Forwards"))
		assert.Equal(t, allow, field(invite, "Allow"))
		assert.Contains(t, bodyOf(invite), "m=audio")

		p.reply(invite, 100, "")
		p.answerAs(invite, "c", 180, p.contactLine(), "")
		synctest.Wait()
		assert.Empty(t, done)
		p.accepts(invite, "c")
		ack := p.next()
		assert.Equal(t, fmt.Sprintf("ACK sip:carol@%s SIP/2.0", p.wire.local()), startOf(ack))
		assert.Equal(t, "1 ACK", field(ack, "CSeq"))
		assert.Equal(t, field(invite, "From"), field(ack, "From"))
		assert.Equal(t, field(invite, "To")+";tag=c", field(ack, "To"))
		assert.NotEqual(t, field(invite, "Via"), field(ack, "Via"), "a transaction of its own")
		assert.Empty(t, fields(ack, "Allow"))
		assert.Empty(t, bodyOf(ack))
		r := <-done
		require.NoError(t, r.err)
		assert.Equal(t, []int{180}, progress)
		require.Len(t, n.rec.media, 1)
		assert.Equal(t, "127.0.0.1:41000", n.rec.media[0].Remote.String())

		bye := make(chan error, 1)
		go func() { bye <- r.leg.Bye(context.Background()) }()
		req := p.next()
		assert.Equal(t, fmt.Sprintf("BYE sip:carol@%s SIP/2.0", p.wire.local()), startOf(req))
		assert.Equal(t, "2 BYE", field(req, "CSeq"))
		p.reply(req, 200, "")
		require.NoError(t, <-bye)
		synctest.Wait()
		assert.Equal(t, []string{
			"< INVITE", "> 100 INVITE", "> 180 INVITE", "> 200 INVITE", "< ACK", "< BYE", "> 200 BYE",
		}, n.rec.ladder("o-1"))
		_, err := n.sound.Open("another")
		require.NoError(t, err)
		time.Sleep(70 * time.Second) // fake
		synctest.Wait()
		assert.Empty(t, n.dialogs)
		assert.Empty(t, n.outgoing)
		assert.Empty(t, n.tap.threads)
	})
}

func TestCallOfOursHungUpByTheOtherSide(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		done := n.dial(context.Background(), n.callee(p))
		invite := p.next()
		p.accepts(invite, "c")
		p.expect("ACK")
		r := <-done
		require.NoError(t, r.err)
		ended := make(chan error, 1)
		r.leg.OnEnd(func(err error) { ended <- err })
		start := time.Now()
		c := incall(p, invite, "c")
		c.inDialog("INFO", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		c.inDialog("INVITE", "", offerLine)
		c.expect("SIP/2.0 200")
		c.ack("")
		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		require.ErrorIs(t, <-ended, ErrRemoteHangup)
		assert.Zero(t, time.Since(start), "the first number may be any: nothing is waited for")
	})
}

func TestReliableResponseToACallOfOursIsAcknowledged(t *testing.T) { // RFC 3262 section 4
	for name, tc := range map[string]struct{ early, final string }{
		"with the answer":                {answerLine, ""},
		"with the answer, and once more": {answerLine, strings.Replace(answerLine, "41000", "49999", 1)},
		"without":                        {"", answerLine},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				var progress []int
				call := n.callee(p)
				call.Progress = func(code int) { progress = append(progress, code) }
				done := n.dial(context.Background(), call)
				invite := p.next()
				assert.Equal(t, "100rel", field(invite, "Supported"))
				reliable := func(code, rseq int, body string) {
					p.answerAs(invite, "c", code, fmt.Sprintf("%sRequire: 100rel\r\nRSeq: %d\r\n", p.contactLine(), rseq), body)
				}
				reliable(183, 4711, tc.early)
				prack := p.next()
				assert.Equal(t, fmt.Sprintf("PRACK sip:carol@%s SIP/2.0", p.wire.local()), startOf(prack))
				assert.Equal(t, "4711 1 INVITE", field(prack, "RAck"))
				assert.Equal(t, "2 PRACK", field(prack, "CSeq"))
				assert.Empty(t, bodyOf(prack))
				p.reply(prack, 200, "")
				reliable(183, 4711, tc.early) // once more
				reliable(180, 4713, "")       // 4712 is missing
				synctest.Wait()
				assert.Empty(t, p.in)
				reliable(180, 4712, "")
				prack = p.next()
				assert.Equal(t, "4712 1 INVITE", field(prack, "RAck"))
				p.reply(prack, 481, "")
				synctest.Wait()
				assert.Equal(t, []int{183, 180}, progress)
				p.answerAs(invite, "c", 200, p.contactLine(), tc.final)
				assert.Equal(t, "1 ACK", field(p.next(), "CSeq"))
				r := <-done
				require.NoError(t, r.err)
				require.Len(t, n.rec.media, 1)
				assert.Equal(t, "127.0.0.1:41000", n.rec.media[0].Remote.String())
			})
		})
	}
}

func TestReferOfACallOfOurs(t *testing.T) {
	inMemory(t, Config{Keepalive: time.Minute}, func(t *testing.T, n *node, p *phone) {
		done := n.dial(context.Background(), n.callee(p))
		invite := p.next()
		p.accepts(invite, "c")
		p.expect("ACK")
		r := <-done
		referral := refer(t, r.leg)
		req := p.next()
		assert.Equal(t, "<sip:desk@node.example>", field(req, "Referred-By"))
		p.reply(req, 202, "")
		incall(p, invite, "c").inDialog("NOTIFY", strings.Replace(finalNotify, "id=1", "id=2", 1), "SIP/2.0 200 OK\r\n")
		p.expect("SIP/2.0 200")
		<-referral.Done()
		assert.Equal(t, ReferSuccess, referral.Result().Status)
		time.Sleep(55 * time.Second) // fake
		p.reply(p.expect("OPTIONS"), 481, "")
		synctest.Wait()
		require.ErrorIs(t, r.leg.Err(), ErrDialogLost)
	})
}

func TestCallOfOursRefused(t *testing.T) {
	for _, code := range []int{302, 404, 486, 500, 503, 603} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				done := n.dial(context.Background(), n.callee(p))
				invite := p.next()
				p.answerAs(invite, "c", code, "Contact: <sip:elsewhere.example>\r\n", "")
				ack := p.next()
				assert.Equal(t, "1 ACK", field(ack, "CSeq"))
				assert.Equal(t, field(invite, "Via"), field(ack, "Via"), "in the INVITE's transaction")
				r := <-done
				var status *StatusError
				require.ErrorAs(t, r.err, &status)
				assert.Equal(t, StatusError{Method: "INVITE", Code: code, Reason: phrase(code)}, *status)
				p.answerAs(invite, "c", code, "", "")
				assert.Equal(t, "1 ACK", field(p.next(), "CSeq"), "once more")
				time.Sleep(70 * time.Second) // fake
				synctest.Wait()
				assert.Empty(t, p.in, "nothing goes to the Contact")
				assert.Empty(t, n.dialogs)
				assert.Empty(t, n.outgoing)
			})
		})
	}
}

func TestCallOfOursChallenged(t *testing.T) {
	cfg := Config{Credentials: []Credential{{Realm: "peer", Username: "bob", Password: "secret"}}}
	for name, tc := range map[string]struct {
		code              int
		challenge, answer string
	}{
		"by who is called": {401, "WWW-Authenticate", "Authorization"},
		"by a proxy":       {407, "Proxy-Authenticate", "Proxy-Authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
				done := n.dial(context.Background(), n.callee(p))
				first := p.next()
				p.answerAs(first, "x", tc.code, tc.challenge+": Digest realm=\"peer\", nonce=\"abc\", qop=\"auth\"\r\n", "")
				p.expect("ACK")
				second := p.next()
				assert.Equal(t, "2 INVITE", field(second, "CSeq"))
				assert.Equal(t, field(first, "Call-ID"), field(second, "Call-ID"))
				assert.Equal(t, field(first, "From"), field(second, "From"))
				assert.Equal(t, field(first, "To"), field(second, "To"), "no tag")
				assert.NotEqual(t, field(first, "Via"), field(second, "Via"))
				assert.Contains(t, field(second, tc.answer), `username="bob"`)
				p.accepts(second, "c")
				ack := p.expect("ACK")
				assert.Equal(t, "2 ACK", field(ack, "CSeq"))
				assert.Equal(t, field(second, tc.answer), field(ack, tc.answer), "the INVITE's credentials")
				require.NoError(t, (<-done).err)
			})
		})
	}
	t.Run("refused again", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			done := n.dial(context.Background(), n.callee(p))
			for range 2 {
				p.answerAs(p.expect("INVITE"), "x", 401, "WWW-Authenticate: Digest realm=\"peer\", nonce=\"abc\"\r\n", "")
			}
			var status *StatusError
			require.ErrorAs(t, (<-done).err, &status)
			assert.Equal(t, 401, status.Code)
		})
	})
}

// An answer that cannot be used: the call is up for the other side, so that it is acknowledged and hung up.
func TestCallOfOursWithoutSound(t *testing.T) {
	for name, body := range map[string]string{
		"no answer": "", "no codec": strings.Replace(answerLine, "RTP/AVP 8", "RTP/AVP 18", 1), "no SDP": "hello",
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				done := n.dial(context.Background(), n.callee(p))
				invite := p.next()
				p.answerAs(invite, "c", 200, p.contactLine(), body)
				assert.Equal(t, "1 ACK", field(p.next(), "CSeq"))
				p.reply(p.expect("BYE"), 200, "")
				require.ErrorIs(t, (<-done).err, ErrNoMedia)
			})
		})
	}
}

func TestCallOfOursThatCannotBe(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, _ *phone) {
		for name, call := range map[string]Outbound{
			"no URI":        {To: "carol"},
			"no SIP URI":    {To: "tel:+15551234"},
			"no host":       {To: "sip:"},
			"no caller":     {To: "sip:carol@127.0.0.1", From: "carol"},
			"no proxy":      {To: "sip:carol@127.0.0.1", Routes: []string{"tel:1"}},
			"no such name":  {To: "sip:carol@nowhere.example"},
			"no transport":  {To: "sips:carol@127.0.0.1"},
			"name of a way": {To: "sip:carol@127.0.0.1", Routes: []string{"sip:nowhere.example;lr"}},
		} {
			leg, err := n.Invite(context.Background(), call)
			assert.Nil(t, leg, name)
			require.Error(t, err, name)
			var status *StatusError
			assert.False(t, errors.As(err, &status), name)
		}
		require.NoError(t, n.Close())
		_, err := n.Invite(context.Background(), Outbound{To: "sip:carol@127.0.0.1"})
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestCloseEndsCallsOfOurs(t *testing.T) {
	for name, stage := range map[string]int{"no response": 0, "ringing": 180, "answered": 200} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				done := n.dial(context.Background(), n.callee(p))
				invite := p.next()
				if stage != 0 {
					p.answerAs(invite, "c", stage, p.contactLine(), answerLine)
				}
				synctest.Wait()
				if stage == 200 {
					r := <-done
					require.NoError(t, n.Close())
					require.ErrorIs(t, r.leg.Err(), ErrClosed)
					return
				}
				require.NoError(t, n.Close())
				require.ErrorIs(t, (<-done).err, ErrClosed)
			})
		})
	}
}

// routed INVITEs: the proxies on the way there, and those that stay on the way (RFC 3261 sections 8.1.1.1 and 12.1.2).
// Who was given up answers after all, while another is called.
