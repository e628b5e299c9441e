package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatRecordSaysOfItsRecording(t *testing.T) {
	t.Parallel()
	r := only(t, `<Response><Record recordCompleteUrl="https://a.example/done" recordCompleteMethod="get"
		recordCompleteFallbackUrl="https://b.example/done" recordingAvailableUrl="https://a.example/available" recordingAvailableMethod="GET"
		transcribe="true" detectLanguage="TRUE" transcriptionAvailableUrl="https://a.example/text" username="u" password="p"
		fallbackUsername="f" fallbackPassword="q" tag="x" terminatingDigits="*a" maxDuration="90" silenceTimeout="2.5" fileFormat="mp3"/></Response>`).(*Record)
	mine, other := &webhook.BasicAuth{Username: "u", Password: "p"}, &webhook.BasicAuth{Username: "f", Password: "q"}
	assert.Equal(t, &webhook.Target{
		URL: "https://a.example/done", Method: "GET", Auth: mine,
		Fallback: &webhook.Target{URL: "https://b.example/done", Method: "POST", Auth: other},
	}, r.Target)
	assert.Equal(t, "*A", r.Terminating)
	assert.Equal(t, Recording{
		Format: "mp3", Longest: 90 * time.Second, Silence: 2500 * time.Millisecond, Tag: ptr("x"),
		Available:  &webhook.Target{URL: "https://a.example/available", Method: "GET", Auth: mine},
		Transcribe: true, DetectLanguage: true,
		Transcribed: &webhook.Target{URL: "https://a.example/text", Method: "POST", Auth: mine},
	}, r.Recording)

	r = only(t, `<Response><Record detectLanguage="true" transcriptionAvailableUrl="/text"/></Response>`).(*Record)
	assert.Nil(t, r.Target)
	assert.Equal(t, "#", r.Terminating)
	assert.Equal(t, Recording{Format: "wav", Longest: time.Minute}, r.Recording, "without transcribe the rest of it is ignored")

	s := only(t, `<Response><StartRecording multiChannel="true" fileFormat="mp3" recordingAvailableUrl="/available"/></Response>`).(*StartRecording)
	assert.Equal(t, Recording{Format: "mp3", MultiChannel: true, Available: &webhook.Target{URL: "/available", Method: "POST"}}, s.Recording)
}

func TestRecord(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		attributes string
		keys       string // pressed every 300 ms
		ends       time.Duration
		took       time.Duration
		did        []string
	}{
		"a digit ends it":             {``, "12#", time.Minute, 900 * time.Millisecond, []string{"answer", "record", "stop true"}},
		"another digit":               {`terminatingDigits="b"`, "#B", time.Minute, 600 * time.Millisecond, []string{"answer", "record", "stop true"}},
		"no digit does":               {`terminatingDigits=""`, "#", time.Minute, time.Minute, []string{"answer", "record", "stop false"}},
		"it ends by itself":           {``, "", 2 * time.Second, 2 * time.Second, []string{"answer", "record", "stop false"}},
		"the tag comes first":         {`tag="x"`, "", time.Second, time.Second, []string{`tag "x"`, "answer", "record", "stop false"}},
		"with a URL it asks for more": {`recordCompleteUrl="/done"`, "#", time.Minute, 300 * time.Millisecond, []string{"answer", "record", "stop true", "ask recordComplete POST /done"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := &fakeCall{keys: make(chan byte, 10), takeEnds: tc.ends}
				fingers := typing(call, 300*time.Millisecond, tc.keys)
				began := time.Now()
				out, err := only(t, `<Response><Record `+tc.attributes+`/></Response>`).Execute(t.Context(), call)
				require.NoError(t, err)
				assert.Equal(t, tc.took, time.Since(began))
				assert.Equal(t, tc.did, call.done())
				assert.Equal(t, len(call.asked) > 0, out.Replace != nil)
				fingers.Wait()
				time.Sleep(time.Hour)
			})
		})
	}
}

func TestRecordCompleteTellsOfTheRecording(t *testing.T) {
	t.Parallel()
	call := &fakeCall{keys: make(chan byte)}
	_, err := only(t, `<Response><Record recordCompleteUrl="/done"/></Response>`).Execute(t.Context(), call)
	require.NoError(t, err)
	var body map[string]any
	require.NoError(t, json.Unmarshal(call.asked[0].Body, &body))
	assert.Equal(t, "PT1.5S", body["duration"])
	assert.Equal(t, "https://node.example/r-1/media", body["mediaUrl"])
}

func TestRecordOfACallThatEndsAsksForNothing(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{ErrRemoteHangup, ErrReplaced} {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancelCause(t.Context())
			call := &fakeCall{keys: make(chan byte), takeEnds: time.Minute}
			time.AfterFunc(time.Second, func() { end(cause) })
			_, err := only(t, `<Response><Record recordCompleteUrl="/done"/></Response>`).Execute(ctx, call)
			assert.ErrorIs(t, err, cause)
			assert.Equal(t, []string{"answer", "record", "stop false"}, call.done(), "what there is is kept")
			time.Sleep(time.Hour)
		})
	}
}

func TestRecordingNeedsURLsThatLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"Record", "StartRecording"} {
		call := &fakeCall{keys: make(chan byte), recordErr: errors.New("nowhere")}
		_, err := only(t, `<Response><`+verb+` recordingAvailableUrl="/x"/></Response>`).Execute(t.Context(), call)
		assert.EqualError(t, err, verb+": nowhere")
	}
}

func TestTheOtherVerbsOfRecordingDoNotAnswer(t *testing.T) {
	t.Parallel()
	for verb, did := range map[string]string{"StopRecording": "stop recording", "PauseRecording": "pause recording", "ResumeRecording": "resume recording"} {
		call := &fakeCall{}
		_, err := only(t, `<Response><`+verb+`/></Response>`).Execute(t.Context(), call)
		require.NoError(t, err)
		assert.Equal(t, []string{did}, call.done())
		_, err = only(t, `<Response><`+verb+`/></Response>`).Execute(t.Context(), struct{ Call }{call})
		require.NoError(t, err, "nothing is being recorded on such a call either")
	}
}
