package node_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spoken is what an event says of speech.
func spoken(e *scenario.ScriptedEvent) map[string]any {
	said, _ := e.Properties["speech"].(map[string]any)
	return said
}

// listening are the entries of a call's journal that tell of what was listened to.
func (b *bubble) listening(e interface{ Text(string) string }) (events []string) {
	for _, entry := range b.journal(e) {
		if m := entry.Media; m != nil && m.Event != "agreed" && m.Stream == "" {
			events = append(events, m.Event+": "+m.Detail)
		}
	}
	return events
}

// TestGatherStopsItsPromptWhenSomebodySpeaks, a tenth of a second or so after they have begun, and tells what was said when
// they have been silent for 0.7 s.
func TestGatherStopsItsPromptWhenSomebodySpeaks(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.speech.length = 10 * time.Second
		b.app.On("gather", scenario.BXML(response(`<Hangup/>`)))
		began := time.Now()
		c := b.call(response(`<Gather input="speech" gatherUrl="/said" tag="asking" hints="one, two" language="en-GB" speechModel="phone">` +
			`<SpeakSentence>Which department?</SpeakSentence><SpeakSentence>Sales, or service?</SpeakSentence></Gather><Tag>never</Tag>`))
		time.Sleep(3 * time.Second)
		speaks(c)
		e := b.app.Expect("gather").Check(map[string]any{
			"digits": "", "terminatingDigit": "", "tag": "asking", "answerTime": scenario.Present,
			"speech": map[string]any{"transcript": "one", "confidence": 0.8},
		})
		assert.Equal(t, "/said", e.Path)
		c.Expect("BYE")
		loud := heard(c).Loud()
		assert.Greater(t, loud, 3*time.Second)
		assert.Less(t, loud, 3400*time.Millisecond)
		assert.InDelta(t, 3+1+0.7+0.1, since(began, e.Time).Seconds(), 0.2, "three seconds, one of speech, and the silence behind it")
		b.disconnect("hangup", "")
		assert.Equal(t, []transcribe.Options{{
			Language: "en-GB", Hints: []string{"one", "two"}, Model: "phone", ProfanityFilter: true, CallID: e.Text("callId"), Track: "inbound",
		}}, b.hearing.options())
		assert.Equal(t, []string{"listening: ", "playing: Which department?", "played: Which department?", "understood: one (0.80)"}, b.listening(e))
		m := b.metrics()
		assert.Equal(t, 0.0, m["callengine_transcriptions_active"])
		assert.Equal(t, 1.0, m[`callengine_transcriptions_total{kind="gather",result="available"}`])
	})
}

func TestGatherOfSpeechTellsPartialResults(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Gather input="dtmf_speech" gatherUrl="/said" partialResultCallback="/partial" partialResultCallbackMethod="GET" profanityFilter="false"/>`))
		speaks(c)
		e := b.app.Expect("partialgather").Check(map[string]any{"speech.transcript": "on", "answerTime": scenario.Present})
		assert.Equal(t, "GET /partial", e.Method+" "+e.Path)
		assert.Equal(t, "one", spoken(b.app.Expect("gather"))["transcript"])
		c.Expect("BYE")
		b.disconnect("hangup", "")
		assert.Equal(t, []string{"initiate", "partialgather", "gather", "disconnect"}, eventTypes(b))
		o := b.hearing.options()[0]
		assert.Equal(t, []bool{true, false}, []bool{o.Partial, o.ProfanityFilter})
	})
}

func TestGatherOfDigitsAndSpeechTakesWhatComesFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		input  string
		does   func(t *testing.T, c *scenario.ScriptedCall)
		digits string
		speech any
	}{
		"a digit": {"dtmf_speech", func(t *testing.T, c *scenario.ScriptedCall) {
			press(t, c, "12")
			c.SendTone(440, time.Second)
		}, "12", nil},
		"speech": {"dtmf_speech", func(t *testing.T, c *scenario.ScriptedCall) {
			c.SendTone(440, time.Second)
			press(t, c, "12")
		}, "", "one"},
		"digits where speech alone counts": {"speech", func(t *testing.T, c *scenario.ScriptedCall) {
			press(t, c, "12")
			speaks(c)
		}, "", "one"},
		"speech where digits alone count": {"dtmf", func(t *testing.T, c *scenario.ScriptedCall) {
			c.SendTone(440, time.Second)
			press(t, c, "12")
		}, "12", nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				c := b.call(response(`<StartGather dtmfUrl="/pressed"/><Gather input="` + tc.input + `" gatherUrl="/said"/>`))
				time.Sleep(100 * time.Millisecond)
				tc.does(t, c)
				e := b.app.Expect("gather").Check(map[string]any{"digits": tc.digits})
				assert.Equal(t, tc.speech, spoken(e)["transcript"])
				c.Expect("BYE")
				b.disconnect("hangup", "")
				assert.Empty(t, b.app.EventsOf("dtmf"), "StartGather is suspended")
			})
		})
	}
}

// TestATonePressedIsNoSpeech: a phone that knows no telephone events sends the tones of its keys in the sound.
func TestATonePressedIsNoSpeech(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response(`<Gather input="dtmf_speech" gatherUrl="/said" maxDigits="3"/>`)))
		c := b.script.Phone(scenario.PhoneConfig{Address: "10.0.1.2:5060", NoEvents: true}).Call(b.uri("desk"))
		time.Sleep(time.Second)
		require.NoError(t, c.SendDigitTones(t.Context(), "147", 400*time.Millisecond, 60*time.Millisecond))
		b.app.Expect("gather").Check(map[string]any{"digits": "147", "speech": scenario.Absent})
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestGatherOfSpeechWhenNobodySpeaks(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		began := time.Now()
		c := b.call(response(`<Pause duration="0.11"/><Gather input="speech" gatherUrl="/said" speechTimeout="2.99" repeatCount="2"><SpeakSentence>Well?</SpeakSentence></Gather>`))
		e := b.app.Expect("gather").Check(map[string]any{"digits": "", "terminatingDigit": "", "speech": scenario.Absent})
		// Frames go out every 20 ms from the answer on, and each sound begins 10 ms before one: at 0.12 s and at 5.1 s. The
		// last of 2 s goes out 1.98 s after its first.
		assert.Equal(t, 120*time.Millisecond+2*(1980+2990)*time.Millisecond+10*time.Millisecond, since(began, e.Time))
		c.Expect("BYE")
		b.disconnect("hangup", "")
		assert.Equal(t, []string{"listening: ", "playing: Well?", "played: Well?", "playing: Well?", "played: Well?", "unheard: "}, b.listening(e))
	})
}

// TestGatherOfSpeechWithoutAnEngine: where digits count, too, they alone do; where nothing but speech counts, the call
// cannot do it.
func TestGatherOfSpeechWithoutAnEngine(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.Media.STT.Engine = node.EngineNone }, func(t *testing.T, b *bubble) {
		b.app.On("gather", scenario.BXML(response(`<Gather input="speech" gatherUrl="/said"/>`)))
		c := b.call(response(`<Gather input="dtmf_speech" gatherUrl="/said" maxDigits="1"><SpeakSentence>Well?</SpeakSentence></Gather>`))
		time.Sleep(time.Second)
		press(t, c, "7")
		e := b.app.Expect("gather").Check(map[string]any{"digits": "7", "speech": scenario.Absent})
		c.Expect("BYE")
		b.disconnect("application-error", "Gather")
		assert.Equal(t, "not listening: transcription is switched off (media.stt.engine: none)", b.listening(e)[0])
	})
}

// TestGatherOfSpeechTellsOfAnEngineThatFails: the event is sent in any case, and at once where nothing else can come.
func TestGatherOfSpeechTellsOfAnEngineThatFails(t *testing.T) {
	for name, tc := range map[string]struct {
		hearing *fakeHearing
		engine  string
		input   string
		does    func(t *testing.T, c *scenario.ScriptedCall)
		within  time.Duration
		digits  string
		message string // of speech; empty: there is none
	}{
		"an error":                  {&fakeHearing{err: errors.New("out of order")}, "", "speech", nil, time.Second, "", "out of order"},
		"a panic":                   {&fakeHearing{panics: true}, "", "speech", nil, time.Second, "", "panic"},
		"nobody is there":           {nil, "ws://10.0.0.9/", "speech", nil, time.Second, "", "connection failed"},
		"it is not what it seems":   {nil, "ws://app.example/closed", "speech", nil, time.Second, "", "the server answered 404"},
		"it is too slow":            {&fakeHearing{delay: time.Minute, texts: []string{""}}, "", "speech", func(_ *testing.T, c *scenario.ScriptedCall) { c.SendTone(440, time.Second) }, 35 * time.Second, "", "took too long"},
		"it is slow, and has words": {&fakeHearing{delay: time.Minute}, "", "speech", func(_ *testing.T, c *scenario.ScriptedCall) { c.SendTone(440, time.Second) }, 35 * time.Second, "", ""},
		"and digits count":          {&fakeHearing{err: errors.New("out of order")}, "", "dtmf_speech", func(t *testing.T, c *scenario.ScriptedCall) { time.Sleep(time.Second); press(t, c, "4711") }, 8 * time.Second, "4711", ""},
		"and no digit comes":        {&fakeHearing{err: errors.New("out of order")}, "", "dtmf_speech", nil, 8 * time.Second, "", "out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) {
				if tc.engine != "" {
					cfg.Media.STT.Engine, cfg.Media.STT.URL = node.EngineWebSocket, tc.engine
				}
			}, func(t *testing.T, b *bubble) {
				if h := tc.hearing; h != nil {
					b.hearing.err, b.hearing.panics, b.hearing.delay, b.hearing.texts = h.err, h.panics, h.delay, h.texts
				}
				b.app.On("/closed", scenario.Reply{Status: 404})
				began := time.Now()
				c := b.call(response(`<Gather input="` + tc.input + `" gatherUrl="/said"/>`))
				if tc.does != nil {
					tc.does(t, c)
				}
				e := b.app.Expect("gather").Check(map[string]any{"digits": tc.digits})
				assert.Less(t, since(began, e.Time), tc.within)
				if tc.message == "" {
					assert.Nil(t, spoken(e)["errorMessage"])
				} else {
					assert.Equal(t, "", spoken(e)["transcript"])
					assert.Contains(t, spoken(e)["errorMessage"], tc.message)
					assert.Equal(t, 1.0, b.metrics()[`callengine_transcriptions_total{kind="gather",result="failed"}`])
				}
				c.Expect("BYE")
				b.disconnect("hangup", "")
			})
		})
	}
}

// TestGatherOfSpeechOfACallThatEndsSendsNoEvent, and leaves nothing that listens.
func TestGatherOfSpeechOfACallThatEndsSendsNoEvent(t *testing.T) {
	for name, does := range map[string]func(c *scenario.ScriptedCall){
		"before anybody speaks": func(*scenario.ScriptedCall) { time.Sleep(time.Second) },
		"while they speak":      func(c *scenario.ScriptedCall) { c.SendTone(440, 500*time.Millisecond) },
		"while it is listened to": func(c *scenario.ScriptedCall) {
			c.SendTone(440, 500*time.Millisecond)
			time.Sleep(2 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.hearing.delay = 10 * time.Second
				c := b.call(response(`<Gather input="speech" gatherUrl="/said"><SpeakSentence>Well?</SpeakSentence></Gather>`))
				does(c)
				synctest.Wait()
				c.Bye()
				e := b.disconnect("hangup", "")
				b.ended()
				assert.Empty(t, b.app.EventsOf("gather"))
				assert.Equal(t, 0.0, b.metrics()["callengine_transcriptions_active"])
				all := b.listening(e)
				assert.Equal(t, "unheard: ", all[len(all)-1])
			})
		})
	}
}

// TestADrainEndsAGatherOfSpeech in the middle of somebody's words.
func TestADrainEndsAGatherOfSpeech(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Gather input="speech" gatherUrl="/said"/>`))
		c.SendTone(440, 500*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		b.node.Drain(ctx)
		c.Expect("BYE")
		b.disconnect("error", "shut down")
		assert.Empty(t, b.app.EventsOf("gather"))
	})
}

// TestSpeechThatNeverEndsIsCut: somebody who does not stop is told of after 20 s.
func TestSpeechThatNeverEndsIsCut(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		began := time.Now()
		c := b.call(response(`<Gather input="speech" gatherUrl="/said"/>`))
		c.SendTone(440, 22*time.Second)
		e := b.app.Expect("gather")
		assert.Equal(t, "one", spoken(e)["transcript"])
		assert.InDelta(t, 20.3, since(began, e.Time).Seconds(), 0.3)
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

// TestWhatAServiceHearsIsSpeech, though it is too faint for the node to find it: then the service says when it ends.
func TestWhatAServiceHearsIsSpeech(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.hearing.whispers = 2 * time.Second
		b.speech.length = 10 * time.Second
		began := time.Now()
		c := b.call(response(`<Gather input="speech" gatherUrl="/said" partialResultCallback="/partial"><SpeakSentence>Well?</SpeakSentence></Gather>`))
		e := b.app.Expect("gather")
		assert.Equal(t, "psst psst", spoken(e)["transcript"])
		assert.InDelta(t, 3, since(began, e.Time).Seconds(), 0.3)
		assert.Len(t, b.app.EventsOf("partialgather"), 1)
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}
