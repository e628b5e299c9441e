package node_test

import (
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func supports(tags string) scenario.Header { return scenario.Header{Name: "Supported", Value: tags} }

// inviteWith places a call for which the application has this document, with header fields of its own.
func (b *bubble) inviteWith(document string, headers ...scenario.Header) *scenario.ScriptedCall {
	b.t.Helper()
	b.app.On("initiate", scenario.BXML(document))
	return b.phone.Invite(scenario.Invite{To: b.uri("desk"), Headers: headers})
}

func TestRingWithoutAnAnswerSaysSoEveryMinute(t *testing.T) { // RFC 3261 section 13.3.1.1
	t.Run("as it is", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, b *bubble) {
			c := b.invite(response(`<Ring answerCall="false" duration="150"/>`))
			first := c.Expect("180")
			assert.False(t, first.Has("RSeq"))
			time.Sleep(149 * time.Second)
			assert.Equal(t, 150*time.Second, since(first.Time, c.Rejected(603).Time))
			b.disconnect("hangup", "")
			rang := c.Received("180")
			require.Len(t, rang, 3)
			assert.Equal(t, time.Minute, since(first.Time, rang[1].Time))
			assert.Equal(t, 2*time.Minute, since(first.Time, rang[2].Time))
		})
	})
	t.Run("reliably", func(t *testing.T) { // RFC 3262 section 3
		inBubble(t, nil, func(t *testing.T, b *bubble) {
			c := b.inviteWith(response(`<Ring answerCall="false" duration="150"/><Pause duration="1"/>`), supports("100rel"))
			first := c.Expect("180")
			assert.True(t, first.Reliable())
			for minute := range 2 {
				next := c.Expect("180")
				assert.Equal(t, time.Duration(minute+1)*time.Minute, since(first.Time, next.Time))
			}
			c.Answered()
			c.Expect("BYE")
			b.disconnect("hangup", "")
			assert.Len(t, c.Received("180"), 3, "the PRACKs have ended their repetition")
		})
	})
}

func TestRingingThatNobodyAcknowledgesEndsTheCall(t *testing.T) { // RFC 3262 section 3
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="60"/>`)))
		c := b.phone.Invite(scenario.Invite{
			To: b.uri("desk"), Headers: []scenario.Header{{Name: "Require", Value: "100rel"}}, NoPrack: true,
		})
		first := c.Expect("180")
		assert.Equal(t, 32*time.Second, since(first.Time, c.Rejected(500).Time))
		b.disconnect("error", "no PRACK")
		assert.Len(t, c.Received("180"), 7, "at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s")
	})
}

func TestSessionIsRefreshedBesidesTheKeepalive(t *testing.T) { // RFC 4028 section 10
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.phone.Answer("UPDATE", 200)
		c := b.inviteWith(response(`<Pause duration="3600"/>`), supports("timer"), scenario.Header{Name: "Allow", Value: "INVITE, ACK, BYE, UPDATE"})
		answered := c.Answered()
		assert.Equal(t, "1800;refresher=uas", answered.Get("Session-Expires"))
		for n := range 3 {
			time.Sleep(14 * time.Minute)
			assert.Equal(t, time.Duration(n+1)*15*time.Minute, since(answered.Time, c.Expect("UPDATE").Time))
		}
		assert.GreaterOrEqual(t, len(c.Received("OPTIONS")), 44, "one each minute")
		time.Sleep(15 * time.Minute)
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestSessionThatIsNotRefreshedEndsTheCall(t *testing.T) { // RFC 4028 section 10
	for name, tc := range map[string]struct {
		refresher, message string
		at                 time.Duration
	}{
		"by the caller": {"uac", "no longer knows the call (the session was not refreshed in time)", 600*time.Second - 32*time.Second},
		"by us":         {"uas", "no longer knows the call (UPDATE rejected: 481", 300 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) { cfg.SIP.Keepalive = 0 }, func(t *testing.T, b *bubble) {
				b.phone.Answer("UPDATE", 481)
				c := b.inviteWith(response(`<Pause duration="3600"/>`), supports("timer"),
					scenario.Header{Name: "Session-Expires", Value: "600;refresher=" + tc.refresher},
					scenario.Header{Name: "Allow", Value: "INVITE, ACK, BYE, UPDATE"})
				answered := c.Answered()
				time.Sleep(tc.at - time.Second)
				assert.Equal(t, tc.at, since(answered.Time, c.Expect("BYE").Time))
				e := b.disconnect("error", tc.message)
				assert.Equal(t, tc.at, since(answered.Time, *b.record(e).EndTime))
			})
		})
	}
}

func TestSessionTimersAreAsConfigured(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*node.Config)
		asked   string
		status  int
		expires string
	}{
		"longer than the longest":   {func(c *node.Config) { c.SIP.SessionExpires = 10 * time.Minute }, "1800", 200, "600;refresher=uas"},
		"shorter than the shortest": {func(c *node.Config) { c.SIP.MinSE = 5 * time.Minute }, "299", 422, ""},
		"off":                       {func(c *node.Config) { c.SIP.SessionExpires = 0 }, "1", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, b *bubble) {
				c := b.inviteWith(response(`<Pause duration="1"/>`), supports("timer"), scenario.Header{Name: "Session-Expires", Value: tc.asked})
				if tc.status != 200 {
					assert.Equal(t, "300", c.Rejected(tc.status).Get("Min-SE"))
					assert.Empty(t, b.app.Events(), "nobody was asked")
					return
				}
				assert.Equal(t, tc.expires, c.Answered().Get("Session-Expires"))
				b.disconnect("hangup", "")
			})
		})
	}
}

func TestUpdatePutsACallOnHold(t *testing.T) { // RFC 3311 section 5
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<SpeakSentence>Hello</SpeakSentence><Pause duration="10"/>`))
		ok := c.Do(c.New("UPDATE", "application/sdp", c.Offer(scenario.SendOnly)), 200)
		assert.Contains(t, string(ok.Body), "a=recvonly")
		before := len(heard(c).Frames)
		time.Sleep(time.Second)
		assert.Equal(t, before, len(heard(c).Frames), "nothing is sent to a call on hold")
		ok = c.Do(c.New("UPDATE", "application/sdp", c.Offer(scenario.SendRecv)), 200)
		assert.Contains(t, string(ok.Body), "a=sendrecv")
		time.Sleep(time.Second)
		assert.Greater(t, len(heard(c).Frames), before)
		b.disconnect("hangup", "")
	})
}

func TestLateOfferIsAnsweredInThePrack(t *testing.T) { // RFC 3262 section 5
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="1"/><SpeakSentence>Hello</SpeakSentence>`)))
		c := b.phone.Invite(scenario.Invite{
			To: b.uri("desk"), Headers: []scenario.Header{{Name: "Require", Value: "100rel"}}, NoOffer: true,
		})
		assert.NotEmpty(t, c.Expect("180").Body)
		assert.Empty(t, c.Answered().Body)
		c.Expect("BYE")
		sounds(t, 2*time.Second, time.Duration(len(heard(c).Frames))*20*time.Millisecond)
		b.disconnect("hangup", "")
	})
}
