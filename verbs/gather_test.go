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

// typing presses keys, each so long after the one before; a space stands for a pause of a second.
func typing(call *fakeCall, every time.Duration, keys string) *sync.WaitGroup {
	var fingers sync.WaitGroup
	fingers.Go(func() {
		for _, key := range keys {
			if key == ' ' {
				time.Sleep(time.Second)
				continue
			}
			time.Sleep(every)
			call.keys <- byte(key)
		}
	})
	return &fingers
}

// TestGather presses keys while a Gather runs. Each prompt takes two seconds.
func TestGather(t *testing.T) {
	t.Parallel()
	const two = `<SpeakSentence>one</SpeakSentence><PlayAudio>/two.wav</PlayAudio>`
	playsTwo := []string{"answer", "speak one", "answer", "play https://app.example/two.wav <nil>"}
	type want struct {
		digits, terminating string
		took                time.Duration
		did                 []string // between the answer and the event, the two prompts where nil
	}
	for name, tc := range map[string]struct {
		attributes, prompts string
		keys                string // pressed every 300 ms from the beginning on
		want                want
	}{
		"a terminating digit":               {`terminatingDigits="#*"`, "", "12#3", want{"12", "#", 900 * time.Millisecond, []string{"answer"}}},
		"a terminating letter, in small":    {`terminatingDigits="a"`, "", "12A", want{"12", "A", 900 * time.Millisecond, []string{"answer"}}},
		"a terminating digit alone":         {`terminatingDigits="#"`, "", "#", want{"", "#", 300 * time.Millisecond, []string{"answer"}}},
		"none is set":                       {``, "", "1#", want{"1#", "", 600*time.Millisecond + 5*time.Second, []string{"answer"}}},
		"enough":                            {`maxDigits="3" terminatingDigits="#"`, "", "123#", want{"123", "", 900 * time.Millisecond, []string{"answer"}}},
		"fifty":                             {``, "", fmt.Sprintf("%051d", 0), want{fmt.Sprintf("%050d", 0), "", 15 * time.Second, []string{"answer"}}},
		"too long between two":              {`interDigitTimeout="1.5"`, "", "12  3", want{"12", "", 2100 * time.Millisecond, []string{"answer"}}},
		"not too long between two":          {`interDigitTimeout="2" maxDigits="3"`, "", "12 3", want{"123", "", 1900 * time.Millisecond, []string{"answer"}}},
		"none at all":                       {``, "", "", want{"", "", 5 * time.Second, []string{"answer"}}},
		"too late":                          {`firstDigitTimeout="2.5"`, "", "   1", want{"", "", 2500 * time.Millisecond, []string{"answer"}}},
		"no waiting":                        {`firstDigitTimeout="0"`, "", "", want{"", "", 0, []string{"answer"}}},
		"repetition without prompts":        {`repeatCount="99"`, "", "", want{"", "", 5 * time.Second, []string{"answer"}}},
		"prompts, and none":                 {``, two, "", want{"", "", 9 * time.Second, playsTwo}},
		"the first prompt is stopped":       {`maxDigits="1"`, two, " 1", want{"1", "", 1300 * time.Millisecond, []string{"answer", "speak one"}}},
		"the second prompt is stopped":      {`maxDigits="1"`, two, "   1", want{"1", "", 3300 * time.Millisecond, playsTwo}},
		"digits go on after the prompt":     {`terminatingDigits="#"`, two, " 12 3#", want{"123", "#", 3200 * time.Millisecond, []string{"answer", "speak one"}}},
		"the time begins after the prompts": {`firstDigitTimeout="3" maxDigits="1"`, two, "      1", want{"1", "", 6300 * time.Millisecond, playsTwo}},
		"played again":                      {`repeatCount="2" firstDigitTimeout="2"`, two, "", want{"", "", 12 * time.Second, append(playsTwo[:4:4], playsTwo...)}},
		"a digit in the second round":       {`repeatCount="3" firstDigitTimeout="2" maxDigits="1"`, two, "       1", want{"1", "", 7300 * time.Millisecond, append(playsTwo[:4:4], "answer", "speak one")}},
		"a digit between the rounds":        {`repeatCount="3" firstDigitTimeout="2" maxDigits="1"`, two, "     1", want{"1", "", 5300 * time.Millisecond, playsTwo}},
	} {
		for _, withURL := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, with a URL %v", name, withURL), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					call := &fakeCall{keys: make(chan byte, 64), play: func(ctx context.Context, _ string) error { return wait(ctx, 2*time.Second) }}
					attributes := tc.attributes
					if withURL {
						attributes += ` gatherUrl="/g" gatherMethod="get"`
					}
					g := only(t, fmt.Sprintf("<Response><Gather %s>%s</Gather></Response>", attributes, tc.prompts))
					start := time.Now()
					defer typing(call, 300*time.Millisecond, tc.keys).Wait()
					out, err := g.Execute(t.Context(), call)
					require.NoError(t, err)
					assert.Equal(t, tc.want.took, time.Since(start))
					did := tc.want.did
					if len(did) > 1 {
						did = append([]string{"answer"}, did...)
					}
					if !withURL {
						assert.Equal(t, did, call.done())
						assert.Equal(t, Outcome{}, out, "the next verb runs")
						return
					}
					assert.Equal(t, append(did[:len(did):len(did)], "ask gather GET /g"), call.done())
					assert.NotNil(t, out.Replace)
					var event map[string]any
					require.NoError(t, json.Unmarshal(call.asked[0].Body, &event))
					assert.Equal(t, "gather", event["eventType"])
					assert.Equal(t, tc.want.digits, event["digits"])
					assert.Equal(t, tc.want.terminating, event["terminatingDigit"])
				})
			})
		}
	}
}

func TestGatherThatCannotGoOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		body string
		call *fakeCall
		keys string
		err  error
		did  []string
	}{
		"a prompt fails": {`<Gather gatherUrl="/g"><SpeakSentence>one</SpeakSentence></Gather>`, &fakeCall{playErr: broken}, "", broken, []string{"answer", "answer", "speak one"}},
		"no answer":      {`<Gather gatherUrl="/g" tag=""/>`, &fakeCall{answerErr: ErrNoAck}, "", ErrNoAck, []string{`tag ""`, "answer"}},
		"nobody takes the event": {`<Gather gatherUrl="/g" maxDigits="1"/>`, &fakeCall{replies: func(context.Context, int) (webhook.Reply, error) { return webhook.Reply{}, broken }},
			"1", broken, []string{"answer", "ask gather POST /g"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				call := tc.call
				call.keys = make(chan byte, 64)
				defer typing(call, time.Second, tc.keys).Wait()
				out, err := only(t, "<Response>"+tc.body+"</Response>").Execute(t.Context(), call)
				assert.Equal(t, Outcome{}, out)
				assert.Equal(t, tc.did, call.done())
				require.ErrorIs(t, err, tc.err)
			})
		})
	}
}

// TestGatherEndsWithTheCall ends the call while a prompt is played, and after a digit: no event is sent.
func TestGatherEndsWithTheCall(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{"during the prompt": "", "after a digit": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				call := &fakeCall{keys: make(chan byte, 64), play: func(ctx context.Context, _ string) error { return wait(ctx, time.Minute) }}
				defer typing(call, time.Second, keys).Wait()
				time.AfterFunc(4*time.Second, func() { end(ErrRemoteHangup) })
				start := time.Now()
				out, err := only(t, `<Response><Gather gatherUrl="/g"><SpeakSentence>one</SpeakSentence></Gather></Response>`).Execute(ctx, call)
				require.ErrorIs(t, err, ErrRemoteHangup)
				assert.Equal(t, 4*time.Second, time.Since(start))
				assert.Equal(t, Outcome{}, out)
				assert.Equal(t, []string{"answer", "answer", "speak one"}, call.done())
			})
		})
	}
}

// TestGatherTarget reads where the gather event goes.
func TestGatherTarget(t *testing.T) {
	t.Parallel()
	g := only(t, `<Response><Gather gatherUrl="/a" gatherMethod="get" username="u" password="p"
		gatherFallbackUrl="https://b.example/b" gatherFallbackMethod="GET" fallbackUsername="f" fallbackPassword="q" tag=""/></Response>`).(*Gather)
	assert.Equal(t, &webhook.Target{
		URL: "/a", Method: "GET", Auth: &webhook.BasicAuth{Username: "u", Password: "p"},
		Fallback: &webhook.Target{URL: "https://b.example/b", Method: "GET", Auth: &webhook.BasicAuth{Username: "f", Password: "q"}},
	}, g.Target)
	assert.Equal(t, ptr(""), g.Tag, "clears the tag")
	g = only(t, `<Response><Gather gatherFallbackUrl="/b"/></Response>`).(*Gather)
	assert.Nil(t, g.Target)
	assert.Nil(t, g.Tag)
}
