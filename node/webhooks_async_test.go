package node_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
)

func TestDisconnectIsOwedUntilItIsDelivered(t *testing.T) {
	retryAfter := http.Header{"Retry-After": {"7"}}
	for name, tc := range map[string]struct {
		fails   []scenario.Reply
		atMost  time.Duration // until it is delivered
		atLeast time.Duration
	}{
		"no reply at all":      {[]scenario.Reply{{Drop: true}}, time.Second, 500 * time.Millisecond},
		"a time-out":           {[]scenario.Reply{{Hang: true}}, 16 * time.Second, 15500 * time.Millisecond},
		"500":                  {[]scenario.Reply{{Status: 500}}, time.Second, 500 * time.Millisecond},
		"503":                  {[]scenario.Reply{{Status: 503}}, time.Second, 500 * time.Millisecond},
		"408":                  {[]scenario.Reply{{Status: 408}}, time.Second, 500 * time.Millisecond},
		"425":                  {[]scenario.Reply{{Status: 425}}, time.Second, 500 * time.Millisecond},
		"429 with Retry-After": {[]scenario.Reply{{Status: 429, Header: retryAfter}}, 7 * time.Second, 7 * time.Second},
		"503 with Retry-After": {[]scenario.Reply{{Status: 503, Header: retryAfter}}, 7 * time.Second, 7 * time.Second},
		"one thing after another": {
			[]scenario.Reply{{Drop: true}, {Status: 500}, {Hang: true}, {Status: 429}}, 15*time.Second + 15*time.Second, 15*time.Second + 7500*time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.app.On("disconnect", append(tc.fails, scenario.Reply{})...)
				bye := b.call(response(`<Pause/>`)).Expect("BYE")
				time.Sleep(time.Hour)
				events := b.app.EventsOf("disconnect")
				require.Len(t, events, len(tc.fails)+1, "once more after each failure, and not again after the delivery")
				for _, e := range events {
					assert.Equal(t, events[0].ID(), e.ID())
					assert.Equal(t, string(events[0].Body), string(e.Body), "eventTime included")
				}
				took := since(bye.Time, events[len(events)-1].Time)
				assert.GreaterOrEqual(t, took, tc.atLeast)
				assert.LessOrEqual(t, took, tc.atMost)
				journal := b.journal(events[0])
				assert.Equal(t, state.WebhookDelivered, journal[len(journal)-1].Webhook.Event)
				warned := b.logs.FilterMessage("event not delivered yet").FilterLevelExact(zapcore.WarnLevel).All()
				require.Len(t, warned, 1, "the first failure is told, the others say nothing new")
			})
		})
	}
}

func TestDisconnectIsGivenUpWhenTheApplicationRefusesIt(t *testing.T) {
	for _, status := range []int{301, 400, 401, 404, 410, 422} {
		inBubble(t, nil, func(t *testing.T, b *bubble) {
			b.app.On("disconnect", scenario.Reply{Status: status})
			b.call(response(`<Pause/>`)).Expect("BYE")
			time.Sleep(time.Hour)
			events := b.app.EventsOf("disconnect")
			require.Len(t, events, 1)
			letters := b.logs.FilterMessage("event given up").All()
			require.Len(t, letters, 1)
			assert.Equal(t, zapcore.ErrorLevel, letters[0].Level)
			assert.Equal(t, events[0].Text("callId"), letters[0].ContextMap()["call_id"])
			assert.Equal(t, events[0].ID(), letters[0].ContextMap()["event_id"])
			journal := b.journal(events[0])
			assert.Equal(t, state.WebhookFailed, journal[len(journal)-1].Webhook.Event)
		})
	}
}

func TestDisconnectIsGivenUpAtItsAge(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.State.OutboxMaxAge = time.Minute }, func(t *testing.T, b *bubble) {
		b.app.On("disconnect", scenario.Reply{Status: 503})
		bye := b.call(response(`<Pause/>`)).Expect("BYE")
		time.Sleep(time.Hour)
		events := b.app.EventsOf("disconnect")
		assert.Equal(t, time.Minute, since(bye.Time, events[len(events)-1].Time), "the last attempt is made when the time is over")
		letters := b.logs.FilterMessage("event given up").All()
		require.Len(t, letters, 1)
		assert.Contains(t, letters[0].ContextMap()["error"], "too old")
	})
}

func TestAnApplicationThatIsAwayDelaysNobodyElse(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("disconnect", scenario.Reply{Hang: true}, scenario.Reply{})
		first := b.call(response(`<Pause/>`))
		first.Expect("BYE")
		b.app.Expect("disconnect")
		second := b.call(response(`<Pause/>`)).Expect("BYE")
		e := b.app.Expect("disconnect")
		assert.Zero(t, since(second.Time, e.Time))
	})
}

func TestWithoutAStatusURLThereIsNoDisconnect(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.Applications[0].CallStatusCallbackURL = "" }, func(t *testing.T, b *bubble) {
		b.call(response(`<Pause/>`)).Expect("BYE")
		time.Sleep(leftover)
		assert.Empty(t, b.app.EventsOf("disconnect"))
		assert.Empty(t, b.logs.FilterLevelExact(zapcore.ErrorLevel).All())
	})
}

func TestDisconnectIsTheLastEventOfItsCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.Reply{Delay: 3 * time.Second, Body: response(`<Pause/>`)})
		b.invite(response(`<Redirect redirectUrl="/next"/>`)).Expect("BYE")
		b.ended()
		var order []string
		for _, e := range b.app.Events() {
			order = append(order, e.Type())
		}
		assert.Equal(t, []string{"initiate", "redirect", "disconnect"}, order)
	})
}

func TestTheBodyOfAnAsynchronousReplyIsIgnored(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("disconnect", scenario.BXML(`<Response><no such verb`))
		b.call(response(`<Pause/>`)).Expect("BYE")
		assert.Equal(t, "hangup", b.ended().Text("cause"))
		assert.Empty(t, b.logs.FilterLevelExact(zapcore.WarnLevel).All())
	})
}

// TestAnApplicationThatWasAwayForFiveMinutesMissesNothing has calls come, press keys and go while nothing is taken of what
// they tell: it all comes in the order of each call once the application is back.
func TestAnApplicationThatWasAwayForFiveMinutesMissesNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		const calls, keys = 30, "12345"
		b.app.On("initiate", scenario.BXML(response(`<StartGather dtmfUrl="/pressed"/><Pause duration="3600"/>`)))
		b.app.On("dtmf", scenario.Reply{Status: 503})
		b.app.On("disconnect", scenario.Reply{Drop: true})
		for range calls {
			c := b.phone.Invite(scenario.Invite{To: b.uri("desk")})
			c.Answered()
			press(t, c, keys)
			c.Bye()
			time.Sleep(9 * time.Second)
		}
		back := time.Now()
		b.app.On("dtmf", scenario.Reply{})
		b.app.On("disconnect", scenario.Reply{})
		time.Sleep(time.Hour)

		told, known := map[string]string{}, map[string]bool{}
		for _, e := range b.app.Events() {
			if e.Time.Before(back) || known[e.ID()] {
				continue
			}
			known[e.ID()] = true
			if e.Type() == "dtmf" {
				told[e.Text("callId")] += e.Text("digit")
			} else {
				told[e.Text("callId")] += " " + e.Type()
			}
		}
		assert.Len(t, told, calls)
		for id, events := range told {
			assert.Equal(t, keys+" disconnect", events, id)
		}
		assert.Empty(t, b.logs.FilterMessage("event given up").All())
	})
}
