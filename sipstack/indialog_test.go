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
		assert.Equal(t, "2", field(c.expect("SIP/2.0 500 Server Internal Error"), "Retry-After"), "the first is unanswered")
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
		c.inDialog("INVITE", "Require: timer\r\n", offerLine)
		assert.Equal(t, "timer", field(c.expect("SIP/2.0 420"), "Unsupported"))
		assert.Equal(t, before, l.session.params)
		assert.NoError(t, l.Err())
		go func() { _ = l.Bye(context.Background()) }()
		p.reply(c.expect("BYE sip:alice@"), 200, "") // the target stays, too
	})
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

func TestRequestsInTheDialog(t *testing.T) {
	for name, tc := range map[string]struct {
		method, extra, body string
		want                string
		headers             map[string]string
	}{
		"OPTIONS": {method: "OPTIONS", want: "200 OK", headers: map[string]string{
			"Allow": allow, "Accept": accept, "Supported": "", "Allow-Events": "refer",
		}},
		"INFO":               {method: "INFO", extra: "Content-Type: application/dtmf-relay\r\n", body: "Signal=1", want: "200 OK"},
		"UPDATE":             {method: "UPDATE", want: "405 Method Not Allowed", headers: map[string]string{"Allow": allow}},
		"PRACK":              {method: "PRACK", extra: "RAck: 1 1 INVITE\r\n", want: "405 Method Not Allowed"},
		"REFER":              {method: "REFER", extra: "Refer-To: <sip:x@y>\r\n", want: "405 Method Not Allowed"},
		"SUBSCRIBE":          {method: "SUBSCRIBE", extra: "Event: refer\r\n", want: "405 Method Not Allowed"},
		"unknown":            {method: "FROBNICATE", want: "405 Method Not Allowed", headers: map[string]string{"Allow": allow}},
		"NOTIFY of no refer": {method: "NOTIFY", extra: "Event: refer;id=7\r\n", want: "481 Subscription Does Not Exist"},
		"NOTIFY of another package": {
			method: "NOTIFY", extra: "Event: presence\r\n", want: "489 Bad Event", headers: map[string]string{"Allow-Events": "refer"},
		},
		"NOTIFY without Event": {method: "NOTIFY", want: "489 Bad Event"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				c.inDialog(tc.method, tc.extra, tc.body)
				res := p.next()
				assert.Equal(t, "SIP/2.0 "+tc.want, startOf(res))
				assert.Equal(t, "callengine", field(res, "Server"))
				for name, value := range tc.headers {
					assert.Equal(t, []string{value}, fields(res, name))
				}
				c.to = "<sip:bob@node.example>;tag=nobody"
				c.inDialog(tc.method, tc.extra, tc.body)
				assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
			})
		})
	}
}

func TestRequestsOutOfDialogs(t *testing.T) {
	for method, want := range map[string]string{
		"OPTIONS": "200 OK", "INFO": "481 Call/Transaction Does Not Exist", "BYE": "481 Call/Transaction Does Not Exist",
		"NOTIFY": "481 Call/Transaction Does Not Exist", "UPDATE": "405 Method Not Allowed", "REGISTER": "405 Method Not Allowed",
		"SUBSCRIBE": "405 Method Not Allowed", "REFER": "405 Method Not Allowed", "MESSAGE": "405 Method Not Allowed",
		"PUBLISH": "405 Method Not Allowed", "FROBNICATE": "405 Method Not Allowed",
	} {
		t.Run(method, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.target = c.uri
				c.inDialog(method, "Event: refer\r\n", "")
				res := p.next()
				assert.Equal(t, "SIP/2.0 "+want, startOf(res))
				assert.NotEmpty(t, tagIn(field(res, "To")))
				if strings.HasPrefix(want, "405") || strings.HasPrefix(want, "200") {
					assert.Equal(t, allow, field(res, "Allow"))
				}
				c.ack("") // never answered
				p.silent(time.Minute)
				assert.Equal(t, []string{"> " + method, "< " + want[:3] + " " + method, "> ACK"}, n.rec.ladder(""))
			})
		})
	}
}

func TestRequestsThatCannotBeHandled(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"another version":     {"bob@node.example;x=y SIP/2.0", "bob@node.example;x=y SIP/3.0", "505"},
		"method unlike CSeq":  {"100 INVITE", "100 BYE", "400"},
		"no To":               {"To: <sip:bob@node.example>\r\n", "", "400"},
		"no From":             {"From: ", "X-From: ", "400"},
		"no Call-ID":          {"Call-ID: ", "X-Call-ID: ", "400"},
		"unknown URI scheme":  {"INVITE sip:bob@node.example;x=y", "INVITE mailto:bob@node.example", "416"},
		"no CSeq":             {"CSeq: ", "X-CSeq: ", "400"},
		"no Contact is fine":  {"Contact: ", "X-Contact: ", "100"},
		"a tel: URI is, too":  {"INVITE sip:bob@node.example;x=y", "INVITE tel:+15551230001", "100"},
		"lower case likewise": {"INVITE sip:", "invite SIP:", "100"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				text := c.request("INVITE", c.uri, c.cseq, newBranch(), "", offerLine)
				require.Contains(t, text, tc.old)
				p.send(strings.Replace(text, tc.old, tc.new, 1))
				assert.Equal(t, tc.want, p.next()[len("SIP/2.0 "):][:3])
			})
		})
	}
}

func TestRequestsInTheirOrder(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		info := func(cseq int) { c.send(c.request("INFO", c.target, cseq, newBranch(), "", "")) }
		answer := func() string {
			res := p.next()
			return res[len("SIP/2.0 "):][:3] + " " + field(res, "CSeq")
		}
		start := time.Now()
		info(103)
		info(102)
		time.Sleep(5 * time.Millisecond) // fake
		info(101)
		assert.Equal(t, "200 101 INFO", answer())
		assert.Equal(t, "200 102 INFO", answer())
		assert.Equal(t, "200 103 INFO", answer())
		assert.Equal(t, 5*time.Millisecond, time.Since(start), "what was missing has come")

		start = time.Now()
		info(110)
		info(108)
		assert.Equal(t, "200 108 INFO", answer())
		assert.Equal(t, 20*time.Millisecond, time.Since(start), "a real gap")
		assert.Equal(t, "200 110 INFO", answer())

		info(105)
		assert.Equal(t, "500 105 INFO", answer())
		info(110)
		assert.Equal(t, "200 110 INFO", answer(), "answered once more")
		c.send(c.request("OPTIONS", c.target, 110, newBranch(), "", ""))
		assert.Equal(t, "500 110 OPTIONS", answer(), "but it is another")
		c.send(c.request("INVITE", c.target, 110, newBranch(), "", offerLine))
		assert.Equal(t, "482 110 INVITE", answer())
	})
}

func TestNotifyCountsOnceUnderOneNumber(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.next(), 202, "")
		c.inDialog("NOTIFY", "Event: refer\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 100 Trying\r\n")
		c.expect("SIP/2.0 200")
		c.cseq--
		c.inDialog("NOTIFY", "Event: refer\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 200 OK\r\n")
		c.expect("SIP/2.0 200")
		assert.Equal(t, ReferPending, r.Result().Status)
	})
}

const finalNotify = "Event: refer;id=1\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n"

func TestReferralOutlivesTheBye(t *testing.T) {
	for name, order := range map[string][]string{"BYE first": {"BYE", "NOTIFY"}, "NOTIFY first": {"NOTIFY", "BYE"}} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
				require.NoError(t, err)
				p.reply(p.next(), 202, "")
				synctest.Wait()
				for _, method := range order { // in one breath
					if method == "BYE" {
						c.inDialog("BYE", "", "")
					} else {
						c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
					}
				}
				assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
				assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
				<-r.Done()
				assert.Equal(t, ReferSuccess, r.Result().Status)
				require.ErrorIs(t, n.end(), ErrRemoteHangup)
				synctest.Wait()

				c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
				assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
				synctest.Wait()
				assert.Equal(t, 1, n.rec.late)
				ladder := n.rec.ladder("c-" + c.callID)
				assert.Equal(t, "< 481 NOTIFY", ladder[len(ladder)-1], "it is still told as the call's")
			})
		})
	}
}

func TestOnlyTheReferralIsLeftAfterTheBye(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		r, err := l.Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.next(), 202, "")
		c.inDialog("BYE", "", "")
		c.expect("SIP/2.0 200")
		for _, method := range []string{"BYE", "INVITE", "INFO"} {
			c.inDialog(method, "", "")
			assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()), method)
		}
		_, err = l.Refer(context.Background(), "sip:dave@example.com")
		require.ErrorIs(t, err, ErrRemoteHangup)
		<-r.Done()
		assert.Equal(t, EvidenceNotifyTimeout, r.Result().Evidence)
		synctest.Wait()
		assert.True(t, l.dialog.isGone())
		time.Sleep(33 * time.Second) // fake
		synctest.Wait()
		assert.Empty(t, n.dialogs)
		assert.Empty(t, n.invites)
		assert.Empty(t, n.tap.threads)
	})
}

func TestInterruptEndsReferrals(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.next(), 202, "")
		synctest.Wait()
		n.Interrupt()
		<-r.Done()
		assert.Equal(t, EvidenceInterrupted, r.Result().Evidence)
	})
}

func TestReferToALostDialog(t *testing.T) {
	for _, code := range []int{408, 481} {
		inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			l := n.leg()
			r, err := l.Refer(context.Background(), "sip:carol@example.com")
			require.NoError(t, err)
			p.reply(p.next(), code, "")
			<-r.Done()
			assert.True(t, r.Result().DialogLost)
			require.ErrorIs(t, n.end(), ErrDialogLost)
			require.NoError(t, l.Bye(context.Background()))
			p.silent(time.Minute) // no BYE: nobody would know what it ends
		})
	}
}

func TestByesThatCross(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		done := make(chan error, 1)
		go func() { done <- l.Bye(context.Background()) }()
		bye := p.next()
		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		p.reply(bye, 481, "")
		require.NoError(t, <-done)
		assert.ErrorIs(t, l.Err(), ErrLocalHangup)
	})
}

func TestKeepalive(t *testing.T) {
	cfg := Config{Keepalive: time.Minute}
	t.Run("answered", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			for _, code := range []int{200, 404, 500, 200, 408, 408, 405, 408, 408} {
				time.Sleep(55 * time.Second) // fake
				req := p.expect("OPTIONS")
				assert.Equal(t, allow, field(req, "Allow"))
				p.reply(req, code, "")
			}
			assert.NoError(t, n.leg().Err())
		})
	})
	t.Run("481", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			time.Sleep(55 * time.Second) // fake
			p.reply(p.expect("OPTIONS"), 481, "")
			require.ErrorIs(t, n.end(), ErrDialogLost)
			p.silent(5 * time.Minute)
		})
	})
	t.Run("nobody there", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			start := time.Now()
			n.net.(*hub).losing(func(_ []byte, to netip.AddrPort) bool { return to == p.wire.local() })
			timer := time.NewTimer(3 * (time.Minute + 32*time.Second))
			<-timer.C
			require.ErrorIs(t, n.end(), ErrDialogLost)
			assert.Equal(t, 3*(time.Minute+32*time.Second), n.leg().EndTime().Sub(start))
			time.Sleep(time.Minute) // fake: the BYE's own end
		})
	})
	t.Run("off after the end", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			c := p.call()
			c.inDialog("BYE", "", "")
			c.expect("SIP/2.0 200")
			p.silent(10 * time.Minute)
		})
	})
}
