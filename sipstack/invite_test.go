package sipstack

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// video is an offer without sound.
const video = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 40000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"

func TestInviteIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		extra, body string
		err         error
		want        string
		headers     map[string]string
		abandoned   int
	}{
		"no application": {body: offerLine, err: &StatusError{Code: 404}, want: "404 Not Found"},
		"full": {
			body: offerLine, err: &StatusError{Code: 503, RetryAfter: 5}, want: "503 Service Unavailable",
			headers: map[string]string{"Retry-After": "5"},
		},
		"another error": {body: offerLine, err: errors.New("secret"), want: "500 Server Internal Error"},
		"not a failure": {body: offerLine, err: &StatusError{Code: 200}, want: "500 Server Internal Error"},
		"extension required": {
			extra: "Require: 100rel, gruu, timer\r\n", body: offerLine, want: "420 Bad Extension",
			headers: map[string]string{"Unsupported": "gruu, timer"},
		},
		"no common codec": {body: video, want: "488 Not Acceptable Here", abandoned: 1},
		"unreadable SDP":  {body: "hello", want: "400 Bad SDP", abandoned: 1},
		"another body": {
			extra: "Content-Type: text/plain\r\n", body: "hello", want: "415 Unsupported Media Type", abandoned: 1,
			headers: map[string]string{"Accept": accept},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.admit = func(Invitation) error { return tc.err }
				c := p.newCall()
				c.sendInvite(tc.extra, tc.body)
				res := p.next() // at once: there is nothing to try
				assert.Equal(t, "SIP/2.0 "+tc.want, startOf(res))
				for name, value := range tc.headers {
					assert.Equal(t, value, field(res, name))
				}
				assert.NotEmpty(t, tagIn(field(res, "To")))
				synctest.Wait()
				assert.Equal(t, tc.abandoned, n.left)
				assert.Empty(t, n.legs)
				c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
				callID := ""
				if tc.abandoned > 0 {
					callID = "c-" + c.callID
				}
				synctest.Wait()
				assert.Len(t, n.rec.ladder(callID), 3, "INVITE, final, ACK")
			})
		})
	}
}

func TestABodyThatMayBeIgnoredIsIgnored(t *testing.T) { // RFC 3261 section 20.11
	for name, extra := range map[string]string{
		"of another type": "Content-Type: text/plain\r\n",
		"packed":          "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.newCall()
				c.sendInvite(extra+"Content-Disposition: session;handling=\"Optional\"\r\n", "hello")
				ok := c.expect("SIP/2.0 200")
				assert.Contains(t, bodyOf(ok), "RTP/AVP 0 8 101", "the offer is ours, as if there had been no body")
				c.established(ok)
				c.ack(answerLine)
				c.inDialog("BYE", "", "")
				c.expect("SIP/2.0 200")
			})
		})
	}
}

func TestInviteWithoutAnRTPPortLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := startNode(t, h, Config{})
		require.NoError(t, n.sound.Close())
		n.Stack.media, _ = media.New(media.Config{
			BindIP: netip.MustParseAddr("127.0.0.1"), Ports: media.PortRange{Min: 30000, Max: 30001},
		}, media.WithListenPacket(h.ListenPacket))
		n.sound = n.Stack.media
		p := n.udpPhone()
		p.newCall().sendInvite("", offerLine)
		n.leg()
		c := p.newCall()
		c.sendInvite("", offerLine)
		assert.Equal(t, "5", field(c.expect("SIP/2.0 503 Service Unavailable"), "Retry-After"))
		c = p.newCall()
		c.sendInvite("", video)
		c.expect("SIP/2.0 488 Not Acceptable Here") // it would have taken no port
		synctest.Wait()
		assert.Equal(t, 2, n.left)
		n.stop()
		p.close()
		time.Sleep(70 * time.Second) // fake
	})
}

func TestInviteCanceled(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		require.NoError(t, l.Ring(context.Background()))
		c.expect("SIP/2.0 180")
		c.cancel()
		assert.Equal(t, "100 CANCEL", field(p.next(), "CSeq"))
		c.established(c.expect("SIP/2.0 487"))
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		require.ErrorIs(t, n.end(), ErrCanceled)
		assert.False(t, l.EndTime().IsZero())
		p.silent(time.Minute)

		late := make(chan error, 1)
		l.OnEnd(func(err error) { late <- err })
		require.ErrorIs(t, <-late, ErrCanceled, "at once")
	})
}

func TestCancelHandledBeforeItsInvite(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.branch = newBranch()
		c.cancel()
		time.Sleep(10 * time.Millisecond) // fake
		c.send(c.request("INVITE", c.uri, c.cseq, c.branch, "", offerLine))
		c.expect("SIP/2.0 200 OK")
		c.expect("SIP/2.0 487")
		require.ErrorIs(t, n.end(), ErrCanceled)
	})
}

func TestCancelAndInviteInOneBreath(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		for range 200 {
			c := p.newCall()
			c.sendInvite("", offerLine)
			c.cancel()
			c.expect("SIP/2.0 487")
			c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		}
		synctest.Wait()
		assert.Equal(t, 200, n.left+len(n.legs))
	})
}

func TestCancelOfNothing(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.branch = newBranch()
		c.cancel()
		assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
	})
}

func TestCancelAfterTheAnswerChangesNothing(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("", offerLine)
		c.established(c.expect("SIP/2.0 200"))
		c.cancel()
		assert.Equal(t, "100 CANCEL", field(c.expect("SIP/2.0 200"), "CSeq"))
		c.ack("")
		synctest.Wait()
		assert.NoError(t, n.leg().Err())
		p.silent(time.Minute)
	})
}

func TestInviteThatCameTwoWays(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		n.leg()
		c.expect("SIP/2.0 100")
		c.send(c.request("INVITE", c.uri, c.cseq, newBranch(), "", offerLine))
		assert.Equal(t, "SIP/2.0 482 Loop Detected", startOf(c.next()))
		c.send(c.invite)
		assert.Equal(t, "SIP/2.0 100 Trying", startOf(c.next()), "a mere repetition is answered as before")
		c.cancel()
		c.expect("SIP/2.0 487")
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		c.send(c.request("INVITE", c.uri, c.cseq, newBranch(), "", offerLine))
		c.expect("SIP/2.0 482") // late
		assert.Empty(t, n.legs)
	})
}

func TestInviteAgainUnderTheSameCallID(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.admit = func(Invitation) error { return &StatusError{Code: 503, RetryAfter: 1} }
		c := p.newCall()
		c.sendInvite("", offerLine)
		c.expect("SIP/2.0 503")
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		synctest.Wait()
		n.admit = nil
		n.answering()
		c.cseq++
		c.sendInvite("", offerLine)
		c.established(c.expect("SIP/2.0 200"))
		c.ack("")
		synctest.Wait()
		assert.Equal(t, []string{"> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK"}, n.rec.ladder("c-"+c.callID))
		assert.Equal(t, []string{"> INVITE", "< 503 INVITE", "> ACK"}, n.rec.ladder(""))
	})
}

func TestRejectedByTheCall(t *testing.T) {
	for code, want := range map[int]string{603: "603 Decline", 486: "486 Busy Here", 200: "500 Server Internal Error", 0: "500 Server Internal Error"} {
		inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
			c := p.newCall()
			c.sendInvite("", offerLine)
			l := n.leg()
			require.NoError(t, l.Reject(context.Background(), code))
			assert.Equal(t, "SIP/2.0 "+want, startOf(c.expect("SIP/2.0 4", "SIP/2.0 5", "SIP/2.0 6")))
			c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
			require.NoError(t, l.Reject(context.Background(), code))
			require.ErrorIs(t, l.Answer(context.Background()), ErrLocalHangup)
			require.NoError(t, l.Bye(context.Background()))
			_, err := l.Refer(context.Background(), "sip:x@y")
			require.Error(t, err)
			assert.Empty(t, n.ends)
		})
	}
}

func TestWhatNeedsAnotherStateOfTheCall(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		require.ErrorIs(t, l.Bye(context.Background()), errNotAnswered)
		_, err := l.Refer(context.Background(), "sip:x@y")
		require.ErrorIs(t, err, errNotAnswered)
		go func() { _ = l.Answer(context.Background()) }()
		c.established(c.expect("SIP/2.0 200"))
		c.ack("")
		synctest.Wait()
		require.ErrorIs(t, l.Reject(context.Background(), 603), errAnswered)

		c = p.newCall()
		c.sendInvite("", offerLine)
		l = n.leg()
		go func() { _ = l.Answer(context.Background()) }()
		c.expect("SIP/2.0 200")
		require.ErrorIs(t, l.Reject(context.Background(), 603), errAnswered, "nor may it wait for the ACK")
	})
}

func TestRingingIsToldEveryMinute(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		require.NoError(t, l.Ring(context.Background()))
		require.NoError(t, l.Ring(context.Background()), "once")
		c.expect("SIP/2.0 180")
		p.silent(59 * time.Second)
		for range 3 {
			p.expect("SIP/2.0 180")
			time.Sleep(55 * time.Second) // fake
		}
	})
}

func TestByeBeforeTheAnswer(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		require.NoError(t, n.leg().Ring(context.Background()))
		c.established(c.expect("SIP/2.0 180"))
		c.inDialog("BYE", "", "")
		assert.Equal(t, "101 BYE", field(c.expect("SIP/2.0 200"), "CSeq"))
		c.expect("SIP/2.0 487")
		require.ErrorIs(t, n.end(), ErrCanceled)
	})
}

func TestAnswerWhoseContextEnds(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		l := n.leg()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.Answer(ctx), context.DeadlineExceeded)
		// The 200 went out, so that somebody has to wait for the ACK; the BYE waits with them.
		done := make(chan error, 1)
		go func() { done <- l.Bye(context.Background()) }()
		c.established(c.expect("SIP/2.0 200"))
		time.Sleep(10 * time.Second) // fake
		c.ack("")
		bye := c.expect("BYE")
		p.reply(bye, 200, "")
		require.NoError(t, <-done)
	})
}

func TestServeThatReturnsHangsUp(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		close(n.hold)
		c := p.newCall()
		c.sendInvite("", offerLine)
		c.expect("SIP/2.0 500")
		n.answering()
		p.call()
		p.reply(p.expect("BYE"), 200, "")
		synctest.Wait()
		n.hold = make(chan struct{})
	})
}

func TestInviteWithoutOffer(t *testing.T) {
	const answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 41000 RTP/AVP 8\r\n"
	for name, tc := range map[string]struct {
		answer string
		err    error
	}{
		"answered in the ACK": {answer, nil},
		"no answer":           {"", ErrNoMedia},
		"refused":             {"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n", ErrNoMedia},
		"unreadable":          {"hello", ErrNoMedia},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.sendInvite("", "")
				l := n.leg()
				answered := make(chan error, 1)
				go func() { answered <- l.Answer(context.Background()) }()
				ok := c.expect("SIP/2.0 200")
				assert.Contains(t, bodyOf(ok), "RTP/AVP 0 8 101")
				c.established(ok)
				c.ack(tc.answer)
				if tc.err == nil {
					require.NoError(t, <-answered)
					return
				}
				p.reply(c.expect("BYE"), 200, "")
				require.ErrorIs(t, <-answered, tc.err)
				require.ErrorIs(t, n.end(), tc.err)
			})
		})
	}
}

func TestOfferAmongOtherParts(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("Content-Type: multipart/mixed;boundary=xyz\r\n",
			"--xyz\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n--xyz\r\nContent-Type: application/sdp\r\n\r\n"+offerLine+"\r\n--xyz--\r\n")
		assert.Contains(t, bodyOf(c.expect("SIP/2.0 200")), "RTP/AVP 0 101")
	})
}
