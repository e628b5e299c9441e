package verbs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/webhook"
)

// TestExecute runs each verb on a call that is not answered.
func TestExecute(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	noEngine := &ActionError{Verb: "SpeakSentence", Reason: "espeak-ng is missing"}
	for name, tc := range map[string]struct {
		body    string
		call    *fakeCall
		did     []string
		took    time.Duration
		end     Cause
		replace bool
		err     error
	}{
		"Hangup":                        {body: `<Hangup/>`, end: CauseHangup},
		"Tag":                           {body: `<Tag> vip </Tag>`, did: []string{`tag "vip"`}},
		"Tag that clears":               {body: `<Tag/>`, did: []string{`tag ""`}},
		"Pause answers":                 {body: `<Pause duration="2.5"/>`, did: []string{"answer"}, took: 2500 * time.Millisecond},
		"Pause without duration":        {body: `<Pause/>`, did: []string{"answer"}, took: time.Second},
		"Pause without an answer":       {body: `<Pause/>`, call: &fakeCall{answerErr: ErrNoAck}, did: []string{"answer"}, err: ErrNoAck},
		"Ring answers":                  {body: `<Ring/>`, did: []string{"answer", "ringing tone"}, took: 5 * time.Second},
		"Ring without an answer":        {body: `<Ring answerCall="FALSE" duration="3"/>`, did: []string{"ring"}, took: 3 * time.Second},
		"Ring on an answered call":      {body: `<Ring answerCall="false" duration="3"/>`, call: &fakeCall{info: webhook.Call{AnswerTime: time.Now()}}, did: []string{"answer", "ringing tone"}, took: 3 * time.Second},
		"Ring that fails":               {body: `<Ring duration="0.1"/>`, call: &fakeCall{playErr: broken}, did: []string{"answer", "ringing tone"}, took: 100 * time.Millisecond, err: broken},
		"SpeakSentence":                 {body: `<SpeakSentence>Hi</SpeakSentence>`, did: []string{"answer", "speak Hi"}},
		"SpeakSentence, no engine":      {body: `<SpeakSentence>Hi</SpeakSentence>`, call: &fakeCall{playErr: noEngine}, did: []string{"answer", "speak Hi"}, err: noEngine},
		"PlayAudio":                     {body: `<PlayAudio> b.wav </PlayAudio>`, did: []string{"answer", "play https://app.example/a/b.wav <nil>"}},
		"PlayAudio with credentials":    {body: `<PlayAudio username="u" password="p">https://x.example/b.wav</PlayAudio>`, did: []string{"answer", "play https://x.example/b.wav &{u p}"}},
		"PlayAudio, password alone":     {body: `<PlayAudio password="p">/b.wav</PlayAudio>`, did: []string{"answer", "play https://app.example/b.wav &{ p}"}},
		"PlayAudio that fails":          {body: `<PlayAudio>/b.wav</PlayAudio>`, call: &fakeCall{playErr: broken}, did: []string{"answer", "play https://app.example/b.wav <nil>"}, err: broken},
		"PlayAudio relative to nowhere": {body: `<PlayAudio>/b.wav</PlayAudio>`, call: &fakeCall{urlErr: broken}, did: []string{"answer"}, err: broken},
		"SendDtmf":                      {body: `<SendDtmf>1#</SendDtmf>`, did: []string{"answer", "press '1' 200ms 400ms", "press '#' 200ms 400ms"}},
		"SendDtmf with times":           {body: `<SendDtmf toneDuration="50.5" toneInterval="5000">a</SendDtmf>`, did: []string{"answer", "press 'A' 50.5ms 5s"}},
		"SendDtmf with pauses":          {body: `<SendDtmf> ,1w2Ww3D </SendDtmf>`, did: []string{"answer", "press '\\x00' 0s 500ms", "press '1' 200ms 500ms", "press '2' 200ms 1.5s", "press '3' 200ms 400ms", "press 'D' 200ms 400ms"}},
		"SendDtmf that fails":           {body: `<SendDtmf>W</SendDtmf>`, call: &fakeCall{playErr: broken}, did: []string{"answer", "press '\\x00' 0s 1s"}, err: broken},
		"Redirect":                      {body: `<Redirect redirectUrl="/n" tag="x"/>`, did: []string{`tag "x"`, "ask redirect POST /n"}, replace: true},
		"Redirect that is not answered": {body: `<Redirect redirectUrl="/n" redirectMethod="gEt"/>`,
			call: &fakeCall{replies: func(context.Context, int) (webhook.Reply, error) { return webhook.Reply{}, broken }},
			did:  []string{"ask redirect GET /n"}, err: broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				call := tc.call
				if call == nil {
					call = &fakeCall{}
				}
				start := time.Now()
				out, err := only(t, "<Response>"+tc.body+"</Response>").Execute(t.Context(), call)
				require.ErrorIs(t, err, tc.err)
				assert.Equal(t, tc.took, time.Since(start))
				assert.Equal(t, tc.did, call.done())
				assert.Equal(t, tc.end, out.End)
				assert.Equal(t, tc.replace, out.Replace != nil)
				assert.Nil(t, out.After)
			})
		})
	}
}

// TestVerbsEndWithTheCall ends the call while a verb runs: it returns at once, with the cause.
func TestVerbsEndWithTheCall(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`<Pause duration="60"/>`, `<Ring duration="60"/>`, `<Ring duration="60" answerCall="false"/>`, `<Redirect redirectUrl="/n"/>`, `<Gather firstDigitTimeout="60"/>`, `<Gather gatherUrl="/g" firstDigitTimeout="0"/>`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				call := &fakeCall{replies: func(ctx context.Context, _ int) (webhook.Reply, error) {
					<-ctx.Done()
					return webhook.Reply{}, fmt.Errorf("post: %w", ctx.Err())
				}}
				start := time.Now()
				time.AfterFunc(7*time.Second, func() { end(ErrRemoteHangup) })
				out, err := only(t, "<Response>"+body+"</Response>").Execute(ctx, call)
				require.ErrorIs(t, err, ErrRemoteHangup)
				assert.Equal(t, 7*time.Second, time.Since(start))
				assert.Equal(t, Outcome{}, out)
			})
		})
	}
}

// TestVerbsNeedTheirAbility runs verbs on a call that can do nothing but what every call can.
func TestVerbsNeedTheirAbility(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`<Ring/>`, `<Ring answerCall="false"/>`, `<SpeakSentence>x</SpeakSentence>`, `<PlayAudio>x</PlayAudio>`, `<Gather/>`, `<SendDtmf>1</SendDtmf>`, `<StartGather dtmfUrl="/d"/>`, `<Record/>`, `<StartRecording/>`, `<StartTranscription/>`, `<StartStream destination="ws://s.example"/>`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			call := &fakeCall{}
			_, err := only(t, "<Response>"+body+"</Response>").Execute(t.Context(), struct{ Call }{call})
			var action *ActionError
			require.ErrorAs(t, err, &action)
			assert.Empty(t, call.done())
		})
	}
}

// TestVerbsAnswerAsTheTableSays runs every verb that this version runs on an unanswered call, and every other one.
func TestVerbsAnswerAsTheTableSays(t *testing.T) {
	t.Parallel()
	p, tags := NewParser(Config{}), spec(t)
	runs := []string{"Gather", "Hangup", "Pause", "PauseRecording", "PlayAudio", "Record", "Redirect", "Refer", "ResumeRecording", "Ring", "SendDtmf", "SpeakSentence", "StartGather", "StartRecording", "StartStream", "StartTranscription", "StopGather", "StopRecording", "StopStream", "StopTranscription", "Tag"}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if !tags[name].TopLevel {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			doc, err := p.Parse([]byte(sampleDocument(tags, name, "")), "")
			require.NoError(t, err)
			require.Equal(t, name, doc.Verbs[0].Name())
			require.Equal(t, Position{1, 11}, doc.Verbs[0].Pos())
			call := &fakeCall{}
			call.refer().end(rejected)
			defer call.endAll(ErrHungUp)
			_, err = doc.Verbs[0].Execute(t.Context(), call)
			if !slices.Contains(runs, name) {
				var action *ActionError
				require.ErrorAs(t, err, &action)
				assert.EqualError(t, err, name+": not supported by this version")
				assert.Empty(t, call.done())
				return
			}
			require.NoError(t, err)
			answers := tags[name].AnswersCall
			if answers == "ifAttribute:answerCall" {
				answers = true
			}
			assert.Equal(t, answers, slices.Contains(call.done(), "answer"), name)
		})
	}
}

// TestRedirectTarget reads where the redirect event goes.
func TestRedirectTarget(t *testing.T) {
	t.Parallel()
	r := only(t, `<Response><Redirect redirectUrl="/a" redirectMethod="get" username="u" password="p"
		redirectFallbackUrl="https://b.example/b" fallbackUsername="f" fallbackPassword="q" tag=""/></Response>`).(*Redirect)
	assert.Equal(t, webhook.Target{
		URL: "/a", Method: "GET", Auth: &webhook.BasicAuth{Username: "u", Password: "p"},
		Fallback: &webhook.Target{URL: "https://b.example/b", Method: "POST", Auth: &webhook.BasicAuth{Username: "f", Password: "q"}},
	}, r.Target)
	assert.Equal(t, ptr(""), r.Tag, "clears the tag")

	r = only(t, `<Response><Redirect redirectUrl="/a" fallbackUsername="f"/></Response>`).(*Redirect)
	assert.Equal(t, webhook.Target{URL: "/a", Method: "POST"}, r.Target)
	assert.Nil(t, r.Tag)
}
