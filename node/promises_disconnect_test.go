package node_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endings are all the ways in which a call can come to its end, with the cause that its disconnect event must have.
var endings = map[string]struct {
	change  func(*node.Config)
	happens func(b *bubble)
	cause   string
	message string // a part of errorMessage; empty: there must be none
}{
	"the document runs out": {
		happens: func(b *bubble) { b.call(response(`<Pause/>`)).Expect("BYE") },
		cause:   "hangup",
	},
	"Hangup before the answer": {
		happens: func(b *bubble) { b.invite(response(`<Hangup/>`)).Rejected(603) },
		cause:   "hangup",
	},
	"Hangup after the answer": {
		happens: func(b *bubble) { b.call(response(`<Pause/><Hangup/>`)).Expect("BYE") },
		cause:   "hangup",
	},
	"no content": {
		happens: func(b *bubble) { b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(603) },
		cause:   "hangup",
	},
	"the application is not there": {
		change: initiateAt("http://app.example:81/initiate"),
		happens: func(b *bubble) {
			b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(500)
		},
		cause: "callback-error", message: "connection refused",
	},
	"the application has no address": {
		change:  initiateAt("http://nowhere.example/initiate"),
		happens: func(b *bubble) { b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(500) },
		cause:   "callback-error", message: "nowhere.example",
	},
	"the application is silent": {
		happens: func(b *bubble) { b.answers(scenario.Reply{Hang: true}).Rejected(500) },
		cause:   "callback-error", message: "no complete reply in time",
	},
	"the application closes the connection": {
		happens: func(b *bubble) { b.answers(scenario.Reply{Drop: true}).Rejected(500) },
		cause:   "callback-error", message: "initiate could not be delivered",
	},
	"the application fails": {
		happens: func(b *bubble) { b.answers(scenario.Reply{Status: 500}).Rejected(500) },
		cause:   "callback-error", message: "status 500",
	},
	"the application refuses": {
		happens: func(b *bubble) { b.answers(scenario.Reply{Status: 404}).Rejected(500) },
		cause:   "callback-error", message: "status 404",
	},
	"the application sends to a denied address": {
		happens: func(b *bubble) {
			b.answers(scenario.Reply{Redirect: "http://169.254.169.254/latest/meta-data"}).Rejected(500)
		},
		cause: "callback-error", message: "webhook.deny_cidrs",
	},
	"the application sends to itself for ever": {
		happens: func(b *bubble) { b.answers(scenario.Reply{Redirect: "/initiate"}).Rejected(500) },
		cause:   "callback-error", message: "redirects",
	},
	"the document is no XML": {
		happens: func(b *bubble) { b.invite(`{"error":"oops"}`).Rejected(500) },
		cause:   "invalid-bxml", message: "line 1, column 1",
	},
	"the document is too large": {
		happens: func(b *bubble) {
			b.invite(response(`<SpeakSentence>` + strings.Repeat("a", 65536) + `</SpeakSentence>`)).Rejected(500)
		},
		cause: "invalid-bxml", message: "65536",
	},
	"a verb that does not run yet": {
		happens: func(b *bubble) { b.invite(response(`<Conference>room</Conference>`)).Rejected(500) },
		cause:   "application-error", message: "Conference",
	},
	"the speech engine fails": {
		happens: func(b *bubble) {
			b.speech.err = errors.New("no voice today")
			b.call(response(`<SpeakSentence>Hello</SpeakSentence>`)).Expect("BYE")
		},
		cause: "application-error", message: "no voice today",
	},
	"the speech engine panics": {
		happens: func(b *bubble) {
			b.speech.panics = true
			b.call(response(`<SpeakSentence>Hello</SpeakSentence>`)).Expect("BYE")
		},
		cause: "application-error", message: "SpeakSentence",
	},
	"CANCEL while the application is asked": {
		happens: func(b *bubble) {
			c := b.answers(scenario.Reply{Delay: 5 * time.Second, Body: response(`<Pause/>`)})
			b.app.Expect("initiate")
			c.Cancel()
			c.Rejected(487)
		},
		cause: "cancel",
	},
	"CANCEL while it rings": {
		happens: func(b *bubble) {
			c := b.invite(response(`<Ring answerCall="false" duration="20"/>`))
			c.Expect("180")
			c.Cancel()
			c.Rejected(487)
		},
		cause: "cancel",
	},
	"BYE while it rings": {
		happens: func(b *bubble) {
			c := b.invite(response(`<Ring answerCall="false" duration="20"/>`))
			c.Expect("180")
			c.Bye()
			c.Rejected(487)
		},
		cause: "cancel",
	},
	"the connection is lost while it rings, and nothing leads to the phone": {
		happens: func(b *bubble) {
			b.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="20"/>`)))
			phone := b.script.Phone(scenario.PhoneConfig{Transport: "tcp", Address: "127.0.0.1:5070"})
			phone.Invite(scenario.Invite{To: b.uri("desk")}).Expect("180")
			require.NoError(b.t, phone.Close())
		},
		cause: "cancel",
	},
	"the connection is lost while it rings, and another leads to the phone": {
		happens: func(b *bubble) {
			b.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="20"/>`)))
			phone := b.script.Phone(scenario.PhoneConfig{Transport: "tcp", Address: "127.0.0.1:5070"})
			call := phone.Invite(scenario.Invite{To: b.uri("desk")})
			call.Expect("180")
			phone.Disconnect()
			call.Rejected(603)
		},
		cause: "hangup",
	},
	"BYE in one breath with the ACK": {
		happens: func(b *bubble) {
			b.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
			c := b.phone.Invite(scenario.Invite{To: b.uri("desk"), HoldAck: true})
			c.Send(bareAck(c), c.New("BYE", "", nil))
			c.Expect("200 BYE")
		},
		cause: "hangup",
	},
	"BYE while something is spoken": {
		happens: func(b *bubble) {
			c := b.call(response(`<SpeakSentence>Hello</SpeakSentence>`))
			time.Sleep(time.Second)
			c.Bye()
		},
		cause: "hangup",
	},
	"BYE in a pause": {
		happens: func(b *bubble) {
			c := b.call(response(`<Pause duration="20"/>`))
			time.Sleep(time.Second)
			c.Bye()
		},
		cause: "hangup",
	},
	"BYE while a file is fetched": {
		happens: func(b *bubble) {
			b.app.On("/a.wav", scenario.Reply{Hang: true})
			c := b.call(response(`<PlayAudio>/a.wav</PlayAudio>`))
			b.app.Expect("/a.wav")
			c.Bye()
		},
		cause: "hangup",
	},
	"BYE while the application is asked": {
		happens: func(b *bubble) {
			b.app.On("redirect", scenario.Reply{Hang: true})
			c := b.call(response(`<Pause/><Redirect redirectUrl="/next"/>`))
			b.app.Expect("redirect")
			c.Bye()
		},
		cause: "hangup",
	},
	"BYE while a Refer is pending": {
		happens: func(b *bubble) {
			c := b.call(response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`))
			c.ExpectRefer().Reply(202)
			c.Bye()
		},
		cause: "hangup",
	},
	"both hang up at once": {
		happens: func(b *bubble) {
			b.phone.Answer("BYE", 0)
			c := b.call(response(`<Pause/>`))
			bye := c.Expect("BYE")
			c.Bye()
			c.Respond(bye, 200)
		},
		cause: "hangup",
	},
	"the BYE is never answered": {
		happens: func(b *bubble) {
			b.phone.Answer("BYE", 0)
			b.call(response(`<Pause/>`)).Expect("BYE")
		},
		cause: "hangup",
	},
	"no ACK": {
		happens: func(b *bubble) {
			b.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
			b.phone.Invite(scenario.Invite{To: b.uri("desk"), HoldAck: true}).Expect("BYE")
		},
		cause: "error", message: "no ACK",
	},
	"BYE in place of the ACK": {
		happens: func(b *bubble) {
			b.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
			c := b.phone.Invite(scenario.Invite{To: b.uri("desk"), HoldAck: true})
			c.Answered()
			c.Bye()
		},
		cause: "hangup",
	},
	"an ACK without the answer to our offer": {
		happens: func(b *bubble) {
			b.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
			c := b.phone.Invite(scenario.Invite{To: b.uri("desk"), HoldAck: true, NoOffer: true})
			c.Send(bareAck(c))
			c.Expect("BYE")
		},
		cause: "error", message: "no usable answer",
	},
	"the caller's side knows the call no longer": {
		happens: func(b *bubble) {
			b.phone.Answer("OPTIONS", 481)
			b.call(response(`<Pause duration="600"/>`))
		},
		cause: "error", message: "481",
	},
	"the caller has vanished": {
		happens: func(b *bubble) {
			b.phone.Answer("OPTIONS", 0)
			c := b.call(response(`<Pause duration="3600"/>`))
			time.Sleep(5 * time.Minute)
			c.Expect("BYE")
		},
		cause: "error", message: "no longer knows the call",
	},
	"the drain's time is over": {
		happens: func(b *bubble) {
			b.call(response(`<Pause duration="600"/>`))
			b.node.Drain(b.t.Context())
		},
		cause: "error", message: "shut down",
	},
	"the drain's time is over before the answer": {
		happens: func(b *bubble) {
			c := b.invite(response(`<Ring answerCall="false" duration="600"/>`))
			c.Expect("180")
			b.node.Drain(b.t.Context())
			c.Rejected(500)
		},
		cause: "error", message: "shut down",
	},
	"the application is away when it is to be told of the end": {
		happens: func(b *bubble) {
			b.app.On("disconnect", scenario.Reply{Drop: true}, scenario.Reply{Status: 503}, scenario.Reply{})
			b.call(response(`<Pause/>`)).Expect("BYE")
		},
		cause: "hangup",
	},
}

func initiateAt(url string) func(*node.Config) {
	return func(cfg *node.Config) { cfg.Applications[0].CallInitiatedCallbackURL = url }
}

// answers places a call that the application answers so, for good.
func (b *bubble) answers(replies ...scenario.Reply) *scenario.ScriptedCall {
	b.t.Helper()
	b.app.On("initiate", replies...)
	return b.phone.Invite(scenario.Invite{To: b.uri("desk")})
}

func TestEveryCallHasExactlyOneDisconnectWhateverFails(t *testing.T) {
	for name, tc := range endings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, b *bubble) {
				tc.happens(b)
				time.Sleep(15 * time.Minute) // longer than whatever is scripted
				events := b.app.EventsOf("disconnect")
				require.NotEmpty(t, events, "%s", b.phone.Ladder())
				ids := map[string]int{}
				for _, e := range events {
					ids[e.ID()]++
					assert.Equal(t, string(events[0].Body), string(e.Body), "each delivery has the same body")
				}
				require.Len(t, ids, 1, "one event, however often it is delivered")

				e := events[0]
				assert.Equal(t, tc.cause, e.Text("cause"), e.Text("errorMessage"))
				assert.Equal(t, tc.message != "", e.Has("errorMessage"))
				assert.Contains(t, e.Text("errorMessage"), tc.message)
				if len(b.phone.Received("200 INVITE")) == 0 {
					assert.False(t, e.Has("answerTime"))
				} else if !slices.Contains([]string{"no ACK", "no usable answer"}, tc.message) {
					assert.True(t, e.Has("answerTime"), "whoever hangs up after the 200 has had it")
				}
				record := b.record(e)
				assert.Equal(t, "disconnected", record.State)
				assert.Equal(t, tc.cause, *record.DisconnectCause)
				assert.LessOrEqual(t, len(b.phone.Received("BYE")), 11, "a BYE and what timer E repeats")
			})
		})
	}
}

func TestACallCanceledAtOnceIsEndedIfTheApplicationWasAsked(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.answers(scenario.Reply{Delay: time.Second, Body: response(`<Pause/>`)})
		c.Cancel()
		c.Rejected(487)
		time.Sleep(leftover)
		// The initiate may have been given up on its way, too, which the node cannot tell from one that has arrived.
		asked, told := len(b.app.EventsOf("initiate")), len(b.app.EventsOf("disconnect"))
		require.LessOrEqual(t, asked, told)
		require.LessOrEqual(t, told, 1)
	})
}

// bareAck waits for the 2xx and builds its ACK, without a body.
func bareAck(c *scenario.ScriptedCall) *scenario.Message {
	number, _ := c.Answered().CSeq()
	return c.New("ACK", "", nil).Set("CSeq", strconv.FormatUint(uint64(number), 10)+" ACK")
}
