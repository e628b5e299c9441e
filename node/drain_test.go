package node_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
)

// drain begins to drain the node and returns when it does. What it returns waits for the end and tells how long it took.
func (b *bubble) drain() (finish func() time.Duration) {
	b.t.Helper()
	began := time.Now()
	ended := make(chan time.Time, 1)
	go func() {
		b.node.Drain(context.Background())
		ended <- time.Now()
	}()
	synctest.Wait()
	return func() time.Duration { return since(began, <-ended) }
}

func TestDrainTurnsNewCallsAwayAndLetsLiveOnesGoOn(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
		c := b.call(response(`<Pause duration="10"/><Redirect redirectUrl="/next"/>`))
		finish := b.drain()

		status, body := b.get("/readyz")
		assert.Equal(t, 503, status)
		assert.Equal(t, "draining\n", body)
		status, _ = b.get("/healthz")
		assert.Equal(t, 200, status)
		refused := b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(503)
		assert.NotEmpty(t, refused.Get("Retry-After"))

		sounds(t, 12*time.Second, finish()) // ten of the pause, two of the speech, none of waiting
		c.Expect("BYE")
		b.disconnect("hangup", "")
		assert.Len(t, b.app.EventsOf("initiate"), 1, "nobody is asked about a call that is turned away")
		assert.Equal(t, []string{"Hello"}, b.speech.texts())
	})
}

func TestDrainAnswersOptionsWith503(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		ask := func(address, transport, want string) {
			t.Helper()
			p := b.script.Phone(scenario.PhoneConfig{Address: address, Transport: transport})
			p.Send("10.0.0.1:5060", outOfDialog(p, "OPTIONS", b.uri("desk")))
			p.Expect(want + " OPTIONS")
		}
		c := b.call(response(`<Pause duration="10"/>`))
		ask("10.0.1.2:5060", "udp", "200")
		ask("10.0.1.3:5060", "tcp", "200")
		finish := b.drain()
		ask("10.0.1.4:5060", "udp", "503")
		ask("10.0.1.5:5060", "tcp", "503")
		finish()
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestDrainWithoutCallsIsOverAtOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		assert.Zero(t, b.drain()())
	})
}

func TestDrainTimeoutHangsUpWhatIsLeft(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"the default": 30 * time.Second, "at once": 0, "other": 4 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) { cfg.DrainTimeout = timeout }, func(t *testing.T, b *bubble) {
				c := b.call(response(`<Pause duration="86400"/>`))
				began := time.Now()
				took := b.drain()()
				assert.Equal(t, timeout, took)
				assert.Equal(t, timeout, since(began, c.Expect("BYE").Time))
				b.disconnect("error", "the node was shut down before the call had ended")
			})
		})
	}
}

func TestDrainGivesEventsFiveSecondsMore(t *testing.T) {
	for name, tc := range map[string]struct {
		reply     scenario.Reply
		took      time.Duration
		delivered bool
	}{
		"taken in time":    {scenario.Reply{Delay: 4 * time.Second}, 34 * time.Second, true},
		"taken too late":   {scenario.Reply{Delay: 6 * time.Second}, 35 * time.Second, false},
		"never taken":      {scenario.Reply{Hang: true}, 35 * time.Second, false},
		"the node is busy": {scenario.Reply{Status: 503}, 35 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.app.On("disconnect", tc.reply)
				c := b.call(response(`<Pause duration="600"/>`))
				assert.Equal(t, tc.took, b.drain()())
				c.Expect("BYE")
				lost := b.logs.FilterMessage("event not delivered").All()
				told := b.logs.FilterMessage("events were not delivered before the node ended").All()
				if tc.delivered {
					assert.Empty(t, lost)
					assert.Empty(t, told)
					return
				}
				require.Len(t, lost, 1)
				assert.Equal(t, "disconnect", lost[0].ContextMap()["event_type"])
				assert.NotEmpty(t, lost[0].ContextMap()["call_id"])
				require.Len(t, told, 1)
				assert.Equal(t, zapcore.ErrorLevel, told[0].Level)
			})
		})
	}
}

func TestDrainOfAnEventThatComesBackBeforeTheEnd(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("disconnect", scenario.Reply{Drop: true}, scenario.Reply{Status: 503}, scenario.Reply{})
		b.call(response(`<Pause/>`)).Expect("BYE")
		took := b.drain()()
		assert.Less(t, took, 5*time.Second)
		assert.Len(t, b.app.EventsOf("disconnect"), 3)
		assert.Empty(t, b.logs.FilterMessage("event not delivered").All())
	})
}

func TestDrainTimeoutInterruptsAReferAndSendsBothEvents(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`))
		finish := b.drain()
		time.Sleep(20 * time.Second)
		c.ExpectRefer().Reply(202) // its 30 s are over at 50 s
		assert.Equal(t, 30*time.Second, finish())
		b.app.Expect("referComplete").Check(map[string]any{
			"referCallStatus": "failure", "referSipResponseCode": 202, "notifySipResponseCode": scenario.Absent,
		})
		e := b.disconnect("error", "shut down")
		require.Len(t, b.record(e).Refers, 1)
		assert.Equal(t, "interrupted", b.record(e).Refers[0].Evidence)
		assert.Len(t, c.Received("BYE"), 1)
	})
}

func TestDrainTimeoutDoesNotWaitForAWebhook(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.Reply{Hang: true})
		c := b.call(response(`<Pause duration="29"/><Redirect redirectUrl="/next"/>`))
		assert.Equal(t, 30*time.Second, b.drain()())
		c.Expect("BYE")
		b.disconnect("error", "shut down")
	})
}

func TestASecondSignalEndsTheDrainAtOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.call(response(`<Pause duration="600"/>`))
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		began := time.Now()
		b.node.Drain(ctx)
		assert.Equal(t, 3*time.Second, since(began, time.Now()))
	})
}

func TestANodeIsNotReadyBeforeItStartsNorAfterItsEnd(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		status, _ := b.get("/readyz")
		assert.Equal(t, 200, status)
		require.NoError(t, b.node.Close())
		b.phone.Invite(scenario.Invite{To: b.uri("desk")})
		time.Sleep(leftover)
		assert.Empty(t, b.phone.Received("*"), "sockets are closed")
	})
}

func TestCloseHangsUpWhatIsUp(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="3600"/>`))
		began := time.Now()
		require.NoError(t, b.node.Close())
		c.Expect("BYE")
		assert.Less(t, time.Since(began), 2*time.Second)
	})
}

// TestAStoreOfRecordingsThatIsDownDoesNotHoldUpTheEventsOfADrain: what waits for it waits for the next start.
func TestAStoreOfRecordingsThatIsDownDoesNotHoldUpTheEventsOfADrain(t *testing.T) {
	inBubble(t, func(cfg *node.Config) {
		cfg.Recordings.Dir = t.TempDir()
		cfg.Recordings.S3 = node.S3Config{Endpoint: "http://10.0.0.9:9000", Bucket: "calls", Region: "x", AccessKey: "ada", SecretKey: "lovelace"}
	}, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Record maxDuration="1" recordingAvailableUrl="/available"/><Pause duration="60"/>`))
		time.Sleep(2 * time.Second)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			b.node.Drain(t.Context())
		}()
		c.Expect("BYE")
		b.disconnect("error", "shut down")
		<-drained
		assert.Equal(t, 1, b.logs.FilterMessage("recordings wait for their store, until the next start").Len())
		assert.Empty(t, b.app.EventsOf("recordingAvailable"))
	})
}
