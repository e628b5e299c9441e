package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeRecognition listens to a caller who is a goroutine.
type fakeRecognition struct {
	SpeechInput
	began, done chan struct{}
	stopped     chan struct{}
	once        sync.Once
	said        webhook.Speech
	err         error
}

func (r *fakeRecognition) Began() <-chan struct{}        { return r.began }
func (r *fakeRecognition) Done() <-chan struct{}         { return r.done }
func (r *fakeRecognition) Said() (webhook.Speech, error) { return r.said, r.err }
func (r *fakeRecognition) Stop()                         { r.once.Do(func() { close(r.stopped) }) }

func (c *fakeCall) CanRecognize() error { return c.deaf }

func (c *fakeCall) Recognize(_ context.Context, s SpeechInput) (Recognition, error) {
	c.note("listen")
	if c.deaf != nil {
		return nil, c.deaf
	}
	c.wanted = append(c.wanted, s)
	r := &fakeRecognition{SpeechInput: s, began: make(chan struct{}), done: make(chan struct{}), stopped: make(chan struct{})}
	if c.speaker != nil {
		c.heard.Go(func() { c.speaker(r) })
	}
	return r, nil
}

// wait lets time pass; false: nobody listens any more.
func (r *fakeRecognition) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.stopped:
		return false
	}
}

// says is somebody who begins to speak after a time, speaks for a second, and is understood half a second later.
func says(after time.Duration, transcript string, err error) func(*fakeRecognition) {
	return func(r *fakeRecognition) {
		if !r.wait(after) {
			return
		}
		close(r.began)
		if r.wait(1500 * time.Millisecond) {
			r.said, r.err = webhook.Speech{Transcript: transcript, Confidence: 0.9}, err
			close(r.done)
		}
	}
}

// fails is an engine that stops working after a time, while nobody speaks.
func fails(after time.Duration) func(*fakeRecognition) {
	return func(r *fakeRecognition) {
		if r.wait(after) {
			r.err = errors.New("the engine is gone")
			close(r.done)
		}
	}
}

// TestGatherSpeech speaks, and presses keys, while a Gather runs. Each of its prompts takes two seconds.
func TestGatherSpeech(t *testing.T) {
	t.Parallel()
	const (
		ms  = time.Millisecond
		two = `<SpeakSentence>one</SpeakSentence><SpeakSentence>two</SpeakSentence>`
		yes = `{"transcript":"yes","confidence":0.9}`
	)
	type want struct {
		digits, terminating, speech string // speech as JSON; empty: it is absent
		took                        time.Duration
		spoken                      int // prompts
	}
	for name, tc := range map[string]struct {
		attributes, prompts string
		speaker             func(*fakeRecognition)
		keys                string // the first after a second, and then each 300 ms after the one before
		want                want
	}{
		"somebody speaks":                         {`input="speech"`, "", says(700*ms, "yes", nil), "", want{"", "", yes, 2200 * ms, 0}},
		"the prompts are stopped":                 {`input="speech"`, two, says(700*ms, "yes", nil), "", want{"", "", yes, 2200 * ms, 1}},
		"the second prompt is stopped":            {`input="speech"`, two, says(2700*ms, "yes", nil), "", want{"", "", yes, 4200 * ms, 2}},
		"nobody speaks":                           {`input="speech"`, two, nil, "", want{"", "", "", 9 * time.Second, 2}},
		"nobody speaks in time":                   {`input="speech" speechTimeout="1.5"`, two, says(5600*ms, "yes", nil), "", want{"", "", "", 5500 * ms, 2}},
		"in the last moment":                      {`input="speech" speechTimeout="1.5"`, two, says(5400*ms, "yes", nil), "", want{"", "", yes, 6900 * ms, 2}},
		"no waiting":                              {`input="speech" speechTimeout="0"`, two, nil, "", want{"", "", "", 4 * time.Second, 2}},
		"the first digit's time does not count":   {`input="speech" speechTimeout="2" firstDigitTimeout="9"`, "", nil, "", want{"", "", "", 2 * time.Second, 0}},
		"prompts are played again":                {`input="speech" speechTimeout="2" repeatCount="2"`, two, nil, "", want{"", "", "", 12 * time.Second, 4}},
		"in the second round":                     {`input="speech" speechTimeout="2" repeatCount="2"`, two, says(6700*ms, "yes", nil), "", want{"", "", yes, 8200 * ms, 3}},
		"between the rounds":                      {`input="speech" speechTimeout="2" repeatCount="2"`, two, says(5*time.Second, "yes", nil), "", want{"", "", yes, 6500 * ms, 2}},
		"digits are ignored":                      {`input="speech"`, "", says(2*time.Second, "yes", nil), "12", want{"", "", yes, 3500 * ms, 0}},
		"nothing is understood":                   {`input="speech"`, "", says(700*ms, "", nil), "", want{"", "", `{"transcript":"","confidence":0.9}`, 2200 * ms, 0}},
		"digits, not understood":                  {`input="speech"`, "", says(700*ms, "", nil), "12", want{"", "", `{"transcript":"","confidence":0.9}`, 2200 * ms, 0}},
		"the engine fails at once":                {`input="speech"`, two, fails(100 * ms), "", want{"", "", `{"transcript":"","confidence":0,"errorMessage":"the engine is gone"}`, 100 * ms, 1}},
		"the engine fails when it is spoken to":   {`input="speech"`, two, says(700*ms, "", errors.New("slow")), "", want{"", "", `{"transcript":"","confidence":0,"errorMessage":"slow"}`, 2200 * ms, 1}},
		"both: speech first":                      {`input="dtmf_speech"`, two, says(700*ms, "yes", nil), "1", want{"", "", yes, 2200 * ms, 1}},
		"both: a digit first":                     {`input="dtmf_speech" terminatingDigits="#"`, two, says(1100*ms, "yes", nil), "12#", want{"12", "#", "", 1600 * ms, 1}},
		"both: digits that stop":                  {`input="dtmf_speech"`, two, says(1100*ms, "yes", nil), "12", want{"12", "", "", 6300 * ms, 1}},
		"both: nothing":                           {`input="dtmf_speech"`, two, nil, "", want{"", "", "", 9 * time.Second, 2}},
		"both: the longer time counts":            {`input="dtmf_speech" firstDigitTimeout="0.5" speechTimeout="3"`, "", nil, "1", want{"1", "", "", 6 * time.Second, 0}},
		"both: the first digit's is longer":       {`input="dtmf_speech" firstDigitTimeout="3" speechTimeout="0.5"`, "", says(2*time.Second, "yes", nil), "", want{"", "", yes, 3500 * ms, 0}},
		"both: a cough, and then digits":          {`input="dtmf_speech" maxDigits="2"`, "", says(700*ms, "", nil), "12", want{"12", "", "", 2200 * ms, 0}},
		"both: nothing is understood":             {`input="dtmf_speech"`, "", says(700*ms, "", nil), "", want{"", "", `{"transcript":"","confidence":0.9}`, 2200 * ms, 0}},
		"both: the engine fails, and digits come": {`input="dtmf_speech" maxDigits="1"`, two, fails(500 * ms), "1", want{"1", "", "", 1000 * ms, 1}},
		"both: the engine fails, and nothing":     {`input="dtmf_speech"`, two, fails(500 * ms), "", want{"", "", `{"transcript":"","confidence":0,"errorMessage":"the engine is gone"}`, 9 * time.Second, 2}},
		"both: it fails when it is spoken to":     {`input="dtmf_speech"`, two, says(700*ms, "", errors.New("slow")), "", want{"", "", `{"transcript":"","confidence":0,"errorMessage":"slow"}`, 2200 * ms, 1}},
		"digits alone":                            {`input="dtmf" maxDigits="1"`, "", says(200*ms, "yes", nil), "1", want{"1", "", "", 1000 * ms, 0}},
	} {
		for _, withURL := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, with a URL %v", name, withURL), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					call := &fakeCall{
						keys: make(chan byte, 64), speaker: tc.speaker,
						play: func(ctx context.Context, _ string) error { return wait(ctx, 2*time.Second) },
					}
					attributes := tc.attributes
					if withURL {
						attributes += ` gatherUrl="/g"`
					}
					g := only(t, fmt.Sprintf("<Response><Gather %s>%s</Gather></Response>", attributes, tc.prompts))
					start := time.Now()
					if tc.keys != "" {
						fingers := typingAfter(call, 700*ms, tc.keys)
						defer fingers.Wait()
					}
					out, err := g.Execute(t.Context(), call)
					require.NoError(t, err)
					call.heard.Wait() // whoever listens is stopped
					assert.Equal(t, tc.want.took, time.Since(start))
					assert.Len(t, call.spoken, tc.want.spoken)
					if !withURL {
						assert.Equal(t, Outcome{}, out, "the next verb runs")
						return
					}
					assert.NotNil(t, out.Replace)
					var event struct {
						Digits, TerminatingDigit string
						Speech                   json.RawMessage
					}
					require.NoError(t, json.Unmarshal(call.asked[0].Body, &event))
					assert.Equal(t, tc.want, want{event.Digits, event.TerminatingDigit, string(event.Speech), tc.want.took, tc.want.spoken})
				})
			})
		}
	}
}

// typingAfter is typing with a pause before it.
func typingAfter(call *fakeCall, pause time.Duration, keys string) *sync.WaitGroup {
	var fingers sync.WaitGroup
	fingers.Go(func() {
		time.Sleep(pause)
		typing(call, 300*time.Millisecond, keys).Wait()
	})
	return &fingers
}

func TestGatherSpeechSaysWhatItListensFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call := &fakeCall{keys: make(chan byte), info: webhook.Call{CallID: "c-1"}, speaker: func(r *fakeRecognition) {
			r.Partial("the sales")
			says(0, "the sales department", nil)(r)
		}}
		g := only(t, `<Response><Gather input="speech" gatherUrl="/g" hints=" sales,customer   service, ," language="en-GB" speechModel="phone"
			profanityFilter="false" partialResultCallback="/partial" partialResultCallbackMethod="get"/></Response>`)
		_, err := g.Execute(t.Context(), call)
		require.NoError(t, err)
		call.heard.Wait()
		assert.NotNil(t, call.wanted[0].Partial)
		call.wanted[0].Partial = nil
		assert.Equal(t, []SpeechInput{{Language: "en-GB", Hints: []string{"sales", "customer service"}, Model: "phone"}}, call.wanted)
		require.Len(t, call.told, 1)
		assert.Equal(t, "partialgather", call.told[0].Type)
		assert.Contains(t, string(call.told[0].Body), `"speech":{"transcript":"the sales"}`)
		assert.Equal(t, webhook.Target{URL: "https://app.example/partial", Method: "GET"}, call.toldTo[0])

		assert.Equal(t, time.Duration(1<<62), only(t, `<Response><Gather input="speech" speechTimeout="99999999999999999999"/></Response>`).(*Gather).SpeechTimeout)

		call = &fakeCall{keys: make(chan byte)}
		_, err = only(t, `<Response><Gather input="speech"/></Response>`).Execute(t.Context(), call)
		require.NoError(t, err)
		assert.Equal(t, []SpeechInput{{ProfanityFilter: true}}, call.wanted, "nobody is told of partial results")
	})
}

func TestGatherSpeechOfANodeThatRecognisesNone(t *testing.T) {
	t.Parallel()
	off := errors.New("transcription is switched off")
	synctest.Test(t, func(t *testing.T) {
		call := &fakeCall{deaf: off, keys: make(chan byte)}
		_, err := only(t, `<Response><Gather input="speech" gatherUrl="/g"/></Response>`).Execute(t.Context(), call)
		var action *ActionError
		require.ErrorAs(t, err, &action)
		assert.Equal(t, "speech cannot be recognised: transcription is switched off", action.Reason)
		assert.Empty(t, call.done(), "the call is not even answered")

		call = &fakeCall{deaf: off, keys: make(chan byte, 1)}
		call.keys <- '7'
		_, err = only(t, `<Response><Gather input="dtmf_speech" gatherUrl="/g" maxDigits="1"/></Response>`).Execute(t.Context(), call)
		require.NoError(t, err)
		assert.Contains(t, string(call.asked[0].Body), `"digits":"7","terminatingDigit":""}`)
	})
}

// TestGatherSpeechEndsWithTheCall ends the call while somebody speaks, and while what they have said is not understood yet.
func TestGatherSpeechEndsWithTheCall(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"before they speak": 500 * time.Millisecond, "while they are listened to": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				call := &fakeCall{keys: make(chan byte), speaker: says(time.Second, "yes", nil), play: func(ctx context.Context, _ string) error { return wait(ctx, time.Minute) }}
				time.AfterFunc(after, func() { end(ErrRemoteHangup) })
				out, err := only(t, `<Response><Gather input="speech" gatherUrl="/g"><SpeakSentence>one</SpeakSentence></Gather></Response>`).Execute(ctx, call)
				require.ErrorIs(t, err, ErrRemoteHangup)
				assert.Equal(t, Outcome{}, out)
				call.heard.Wait()
				assert.Equal(t, []string{"answer", "listen", "answer", "speak one"}, call.done())
			})
		})
	}
}

func TestAKeyComesBeforeTheSpeechThatCameWithIt(t *testing.T) {
	t.Parallel()
	for range 20 { // what is ready at once is chosen at random
		keys, began := make(chan byte, 1), make(chan struct{})
		keys <- '1'
		close(began)
		in := &inputs{keys: keys, speech: &fakeRecognition{began: began}}
		came, err := in.next(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, input{aKey, '1'}, came)
	}
}

// How long the application takes to answer, nobody listens any more.
func TestGatherSpeechListensNoLongerThanItCollects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call := &fakeCall{keys: make(chan byte)}
		listener := make(chan *fakeRecognition, 1)
		call.speaker = func(r *fakeRecognition) { listener <- r }
		call.replies = func(context.Context, int) (webhook.Reply, error) {
			assert.False(t, (<-listener).wait(time.Second), "it was stopped before")
			return webhook.Reply{Status: 200, Body: []byte("<Response/>")}, nil
		}
		_, err := only(t, `<Response><Gather input="speech" gatherUrl="/g"/></Response>`).Execute(t.Context(), call)
		require.NoError(t, err)
		require.Len(t, call.asked, 1)
	})
}
