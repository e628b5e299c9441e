package sipstack

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const answerLine = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 41000 RTP/AVP 8\r\n"

// ringing has the next call ring, and returns it with the 180.
func (c *dialogue) ringing(n *node) (*Leg, string) {
	c.t.Helper()
	l := n.leg()
	require.NoError(c.t, l.Ring(context.Background()))
	res := c.expect("SIP/2.0 180")
	c.established(res)
	return l, res
}

// prack acknowledges a reliable response; more are further lines of its header.
func (c *dialogue) prack(res, more, body string) {
	c.inDialog("PRACK", fmt.Sprintf("RAck: %s %s\r\n", field(res, "RSeq"), field(res, "CSeq"))+more, body)
}

// answering answers a leg in the background.
func answering(l *Leg) chan error {
	done := make(chan error, 1)
	go func() { done <- l.Answer(context.Background()) }()
	return done
}

func TestRingingIsReliableForWhoUnderstandsIt(t *testing.T) { // RFC 3262 section 3
	for name, tc := range map[string]struct {
		header   string
		reliable bool
	}{
		"required":            {"Require: 100rel\r\n", true},
		"supported":           {"Supported: replaces, 100REL\r\n", true},
		"supported, compact":  {"k: 100rel\r\n", true},
		"neither":             {"Supported: replaces\r\n", false},
		"no word of anything": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.sendInvite(tc.header, offerLine)
				_, res := c.ringing(n)
				assert.Equal(t, allow, field(res, "Allow"), "RFC 3311 section 5.1")
				assert.Empty(t, bodyOf(res))
				if !tc.reliable {
					assert.Empty(t, fields(res, "RSeq"))
					assert.Empty(t, fields(res, "Require"))
					p.silent(59 * time.Second)
					return
				}
				assert.Equal(t, "100rel", field(res, "Require"))
				rseq, err := strconv.Atoi(field(res, "RSeq"))
				require.NoError(t, err)
				assert.Positive(t, rseq)
				c.prack(res, "", "")
				ok := p.next()
				assert.Equal(t, "SIP/2.0 200 OK", startOf(ok))
				assert.Equal(t, "101 PRACK", field(ok, "CSeq"))
				p.silent(59 * time.Second)
			})
		})
	}
}

func TestReliableResponseIsRepeatedUntilItsPrack(t *testing.T) { // RFC 3262 section 3: T1, doubled without a limit
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Supported: 100rel\r\n", offerLine)
		start := time.Now()
		_, res := c.ringing(n)
		for _, at := range []time.Duration{500, 1500, 3500, 7500, 15500} {
			assert.Equal(t, res, p.next(), "byte by byte")
			assert.Equal(t, at*time.Millisecond, time.Since(start))
		}
		c.prack(res, "", "")
		c.expect("SIP/2.0 200")
		p.silent(44 * time.Second)
		assert.Equal(t, []string{"prack started 32s", "prack stopped 32s"}, n.rec.timerEvents())
	})
}

func TestReliableResponseWithoutPrackEndsTheInvite(t *testing.T) { // RFC 3262 section 3: a 5xx after 64*T1
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Require: 100rel\r\n", offerLine)
		start := time.Now()
		l, _ := c.ringing(n)
		timer := time.NewTimer(31900 * time.Millisecond)
		<-timer.C
		res := c.expect("SIP/2.0 500")
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		assert.Equal(t, "100 INVITE", field(res, "CSeq"))
		assert.Equal(t, 32*time.Second, time.Since(start))
		require.ErrorIs(t, n.end(), ErrNoPrack)
		require.ErrorIs(t, l.Answer(context.Background()), ErrNoPrack)
		assert.Equal(t, []string{"prack started 32s", "prack fired 32s"}, n.rec.timerEvents())
	})
}

func TestPrackThatMatchesNothing(t *testing.T) { // RFC 3262 section 3: 481
	for name, change := range map[string]func(rseq, cseq int) string{
		"another RSeq":   func(rseq, cseq int) string { return fmt.Sprintf("%d %d INVITE", rseq+1, cseq) },
		"another CSeq":   func(rseq, cseq int) string { return fmt.Sprintf("%d %d INVITE", rseq, cseq+1) },
		"another method": func(rseq, cseq int) string { return fmt.Sprintf("%d %d UPDATE", rseq, cseq) },
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.sendInvite("Supported: 100rel\r\n", offerLine)
				_, res := c.ringing(n)
				rseq, _ := strconv.Atoi(field(res, "RSeq"))
				c.inDialog("PRACK", "RAck: "+change(rseq, 100)+"\r\n", "")
				c.expect("SIP/2.0 481")
				assert.Equal(t, res, p.next(), "it is still repeated")
				c.inDialog("PRACK", "RAck: x y\r\n", "")
				c.expect("SIP/2.0 400")
				c.prack(res, "Require: gruu\r\n", "")
				c.expect("SIP/2.0 420")
				c.prack(res, "", "")
				c.expect("SIP/2.0 200")
				c.prack(res, "", "")
				c.expect("SIP/2.0 481") // acknowledged before
			})
		})
	}
}

func TestPrackAndWhatFollowsKeepTheirOrder(t *testing.T) { // RFC 3261 section 12.2.2, in an early dialog, too
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Require: 100rel\r\n", "")
		_, ringing := c.ringing(n)
		prack := c.request("PRACK", c.target, 101, newBranch(), "RAck: "+field(ringing, "RSeq")+" 100 INVITE\r\n", answerLine)
		c.send(c.request("UPDATE", c.target, 102, newBranch(), "", offerLine)) // it needs the answer that the PRACK has
		c.send(prack)
		assert.Equal(t, "101 PRACK", field(c.expect("SIP/2.0 200"), "CSeq"))
		assert.Equal(t, "102 UPDATE", field(c.expect("SIP/2.0 200"), "CSeq"))
		c.send(c.request("UPDATE", c.target, 99, newBranch(), "", ""))
		c.expect("SIP/2.0 500 CSeq Out Of Order")
	})
}

func TestPrackIsRepeatedAndAnsweredAsBefore(t *testing.T) { // RFC 3261 section 17.2.2
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Supported: 100rel\r\n", offerLine)
		_, res := c.ringing(n)
		c.cseq++
		text := c.request("PRACK", c.target, c.cseq, newBranch(), "RAck: "+field(res, "RSeq")+" 100 INVITE\r\n", "")
		c.send(text)
		first := p.next()
		c.send(text)
		assert.Equal(t, first, p.next())
		assert.Equal(t, "SIP/2.0 200 OK", startOf(first))
	})
}

func TestRingingIsSaidAgainEveryMinute(t *testing.T) { // RFC 3261 section 13.3.1.1
	for name, reliable := range map[string]bool{"reliably": true, "as it is": false} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.sendInvite(map[bool]string{true: "Supported: 100rel\r\n"}[reliable], offerLine)
				c.expect("SIP/2.0 100")
				time.Sleep(10 * time.Second) // fake
				_, first := c.ringing(n)
				start := time.Now()
				rseq, _ := strconv.Atoi(field(first, "RSeq"))
				for minute := range 3 {
					if reliable {
						c.prack(first, "", "")
						c.expect("SIP/2.0 200")
					}
					time.Sleep(time.Until(start.Add(time.Duration(minute+1)*time.Minute - 5*time.Second))) // fake
					require.Empty(t, p.in)
					next := p.next()
					require.Equal(t, "SIP/2.0 180 Ringing", startOf(next))
					assert.Equal(t, time.Duration(minute+1)*time.Minute, time.Since(start), "from the first 180 on")
					if reliable {
						rseq++
						assert.Equal(t, strconv.Itoa(rseq), field(next, "RSeq"), "a response of its own")
					}
					first = next
				}
			})
		})
	}
}

func TestAnswerDoesNotWaitForThePrackOfARinging(t *testing.T) { // RFC 3262 section 3: it held no session description
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Supported: 100rel\r\n", offerLine)
		l, ringing := c.ringing(n)
		answered := answering(l)
		ok := c.expect("SIP/2.0 200")
		assert.Equal(t, "100 INVITE", field(ok, "CSeq"))
		assert.Contains(t, bodyOf(ok), "m=audio")
		c.ack("")
		require.NoError(t, <-answered)
		p.silent(time.Minute) // the 180 is not repeated any more
		assert.Equal(t, []string{"prack started 32s", "prack stopped 32s", "ack started 32s", "ack stopped 32s"}, n.rec.timerEvents())
		c.prack(ringing, "", "")
		assert.Equal(t, "101 PRACK", field(c.expect("SIP/2.0 200"), "CSeq"), "but its PRACK is still taken")
		c.prack(ringing, "", "")
		c.expect("SIP/2.0 481")
	})
}

func TestLateOfferGoesIntoTheFirstReliableResponse(t *testing.T) { // RFC 3262 section 5
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Require: 100rel\r\n", "")
		l, ringing := c.ringing(n)
		assert.Contains(t, bodyOf(ringing), "RTP/AVP 0 8 101")
		answered := answering(l)
		start := time.Now()
		assert.Equal(t, ringing, p.next(), "no 2xx before the offer is acknowledged (section 3)")
		assert.Equal(t, 500*time.Millisecond, time.Since(start))

		c.prack(ringing, "", answerLine)
		assert.Equal(t, "101 PRACK", field(p.next(), "CSeq"))
		ok := p.next()
		assert.Equal(t, "100 INVITE", field(ok, "CSeq"))
		assert.Empty(t, bodyOf(ok), "all has been said")
		c.cseq--
		c.ack("")
		c.cseq++
		require.NoError(t, <-answered)
		synctest.Wait()
		require.Len(t, n.rec.media, 1, "told at the answer")
		assert.Equal(t, "PCMA", n.rec.media[0].Codec.String())
		assert.Equal(t, uint16(41000), n.rec.media[0].Remote.Port())
		assert.NoError(t, l.Err())
	})
}

func TestLateOfferStaysInTheTwoHundredWithoutReliability(t *testing.T) { // RFC 3261 section 13.2.1
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", "")
		l, ringing := c.ringing(n)
		assert.Empty(t, bodyOf(ringing))
		answered := answering(l)
		assert.Contains(t, bodyOf(c.expect("SIP/2.0 200")), "RTP/AVP 0 8 101")
		c.ack(answerLine)
		require.NoError(t, <-answered)
	})
}

func TestPrackWithoutAUsableAnswerEndsTheInvite(t *testing.T) {
	for name, body := range map[string]string{"none": "", "no common codec": strings.ReplaceAll(answerLine, "AVP 8", "AVP 9")} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.sendInvite("Require: 100rel\r\n", "")
				l, ringing := c.ringing(n)
				answered := answering(l)
				c.prack(ringing, "", body)
				c.expect("SIP/2.0 200")
				assert.Equal(t, "100 INVITE", field(c.expect("SIP/2.0 488"), "CSeq"))
				require.ErrorIs(t, <-answered, ErrNoMedia)
				require.ErrorIs(t, n.end(), ErrNoMedia)
			})
		})
	}
}

func TestCallerGivesUpWhileTheAnswerWaitsForThePrack(t *testing.T) {
	for name, giveUp := range map[string]func(c *dialogue){
		"CANCEL": func(c *dialogue) { c.cancel() },
		"BYE":    func(c *dialogue) { c.inDialog("BYE", "", "") },
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.sendInvite("Require: 100rel\r\n", "")
				l, _ := c.ringing(n)
				answered := answering(l)
				synctest.Wait()
				giveUp(c)
				c.expect("SIP/2.0 487")
				require.ErrorIs(t, <-answered, ErrCanceled)
				require.ErrorIs(t, n.end(), ErrCanceled)
			})
		})
	}
}

func TestRejectWhileTheAnswerWaitsForThePrack(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Require: 100rel\r\n", "")
		l, _ := c.ringing(n)
		ctx, cancel := context.WithCancel(context.Background())
		answered := make(chan error, 1)
		go func() { answered <- l.Answer(ctx) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-answered, context.Canceled)
		require.NoError(t, l.Reject(context.Background(), 603))
		c.expect("SIP/2.0 603")
	})
}

func TestPrackWithAnOffer(t *testing.T) { // RFC 3262 section 5
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Require: 100rel\r\n", "")
		l, ringing := c.ringing(n)
		c.prack(ringing, "", answerLine)
		c.expect("SIP/2.0 200")
		time.Sleep(55 * time.Second) // fake
		again := c.expect("SIP/2.0 180")
		assert.Empty(t, bodyOf(again), "the offer was made")
		p.contact = "sip:nobody@127.0.0.9:9" // a PRACK is no target refresh (RFC 3261 section 12.2)
		c.prack(again, "", offerLine)
		ok := c.expect("SIP/2.0 200")
		assert.Contains(t, bodyOf(ok), "RTP/AVP 0 101", "the answer")
		answered := answering(l)
		assert.Empty(t, bodyOf(c.expect("SIP/2.0 200")))
		c.send(c.request("ACK", c.target, 100, newBranch(), "", ""))
		require.NoError(t, <-answered)
		assert.Equal(t, "PCMU", l.session.params.Codec.String())
		go func() { _ = l.Bye(context.Background()) }()
		p.reply(c.expect("BYE sip:alice@"), 200, "")
	})
}

func TestPrackWithAnOfferBeforeTheFirstIsAnswered(t *testing.T) { // which RFC 3264 section 4 forbids
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("Require: 100rel\r\n", offerLine)
		l, ringing := c.ringing(n)
		c.prack(ringing, "", offerLine)
		assert.NotEmpty(t, field(c.expect("SIP/2.0 500"), "Retry-After"))
		p.silent(50 * time.Second) // it is acknowledged, though
		answered := answering(l)
		c.expect("SIP/2.0 200")
		c.send(c.request("ACK", c.target, 100, newBranch(), "", ""))
		require.NoError(t, <-answered)
	})
}
