package node_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestARecordingIsTranscribed(t *testing.T) {
	inTranscribingBubble(t, func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartRecording transcribe="true" detectLanguage="true" multiChannel="true" tag="mail" transcriptionAvailableUrl="/text"/>
			<Pause duration="1"/><SpeakSentence>Hello</SpeakSentence><Pause duration="5"/>`))
		time.Sleep(4 * time.Second)
		speaks(c)
		c.Expect("BYE")
		end := b.disconnect("hangup", "")
		e := b.app.Expect("transcriptionAvailable").Check(map[string]any{
			"tag": "mail", "recordingId": scenario.Present, "mediaUrl": scenario.Present, "duration": scenario.Present, "fileFormat": "wav",
			"channels": scenario.Absent, "status": scenario.Absent, "answerTime": scenario.Absent,
		})
		address := end.Text("callUrl") + "/recordings/" + e.Text("recordingId")
		about := e.Properties["transcription"].(map[string]any)
		assert.Equal(t, []any{"available", address + "/transcription"}, []any{about["status"], about["url"]})
		text := getJSON[map[string]any](b, address+"/transcription")
		assert.Equal(t, []any{
			map[string]any{"speaker": 0.0, "text": "one", "confidence": 0.8}, map[string]any{"speaker": 1.0, "text": "one", "confidence": 0.8},
		}, text["transcripts"], "a channel for each side")
		clips := text["clips"].([]any)
		require.Len(t, clips, 2)
		first := clips[0].(map[string]any)
		assert.Less(t, first["startTimeSeconds"], first["endTimeSeconds"])
		for i, o := range b.hearing.options() {
			assert.True(t, o.DetectLanguage, i)
		}
		known := getJSON[map[string]any](b, address)["transcription"].(map[string]any)
		assert.Equal(t, []any{about["id"], "available", about["url"], about["completedTime"]}, []any{known["id"], known["status"], known["url"], known["completedTime"]})

		for i, want := range []int{204, 404} {
			status, _ := b.send(http.MethodDelete, e, "/recordings/"+e.Text("recordingId")+"/transcription", "", "")
			assert.Equal(t, want, status, i)
		}
		assert.Nil(t, getJSON[map[string]any](b, address)["transcription"])

		status, _ := b.send(http.MethodPost, e, "/recordings/"+e.Text("recordingId")+"/transcription", "application/json",
			`{"callbackUrl": "http://app.example/again", "tag": "asked", "detectLanguage": false, "callbackTimeout": 2.5}`)
		assert.Equal(t, 204, status)
		again := b.app.Expect("transcriptionAvailable").Check(map[string]any{"tag": "asked"})
		assert.Equal(t, "/again", again.Path)
		assert.NotEqual(t, about["id"], again.Properties["transcription"].(map[string]any)["id"])
		assert.Equal(t, 2.0, b.metrics()[`callengine_transcriptions_total{kind="recording",result="available"}`])
	})
}

func TestARecordingThatCannotBeTranscribedIsToldOf(t *testing.T) {
	for want, tc := range map[string]struct {
		document string
		err      error
	}{
		"file-size-too-small": {`<StartRecording transcribe="true" transcriptionAvailableUrl="/text"/><Pause duration="0.3"/>`, nil},
		"error":               {`<StartRecording transcribe="true" transcriptionAvailableUrl="/text"/><Pause duration="2"/>`, errors.New("out of order")},
	} {
		t.Run(want, func(t *testing.T) {
			inTranscribingBubble(t, func(t *testing.T, b *bubble) {
				b.hearing.err = tc.err
				c := b.call(response(tc.document))
				c.Expect("BYE")
				b.disconnect("hangup", "")
				e := b.app.Expect("transcriptionAvailable")
				assert.Equal(t, want, e.Properties["transcription"].(map[string]any)["status"])
				status, body := b.send(http.MethodGet, e, "/recordings/"+e.Text("recordingId")+"/transcription", "", "")
				assert.Equal(t, 404, status)
				assert.Contains(t, body, "Transcription of recording [")
			})
		})
	}
}

func TestRequestsForATextAreChecked(t *testing.T) {
	inTranscribingBubble(t, func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartRecording recordingAvailableUrl="/r"/><Pause duration="1"/>`))
		c.Expect("BYE")
		b.disconnect("hangup", "")
		e := b.app.Expect("recordingAvailable")
		path := "/recordings/" + e.Text("recordingId") + "/transcription"
		for body, want := range map[string]string{
			`{"callbackUrl": "ftp://x"}`:  "Invalid callbackUrl: only http and https are allowed",
			`{"callbackTimeout": 26}`:     "callbackTimeout must be within the range [1, 25], but was 26",
			`{"callbackTimeout": "1"}`:    "Invalid callbackTimeout: must be a number",
			`{"detectLanguage": "yes"}`:   "Invalid detectLanguage: must be true or false",
			`{"callbackMethod": "PATCH"}`: "Invalid callbackUrl method. Supported methods: [POST, GET]",
			`[]`:                          "Invalid body: must be a JSON object",
		} {
			status, answer := b.send(http.MethodPost, e, path, "application/json", body)
			assert.Equal(t, 400, status, body)
			assert.Contains(t, answer, want)
		}
		status, _ := b.send(http.MethodPost, e, path, "text/plain", "{}")
		assert.Equal(t, 415, status)
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			status, answer := b.send(method, e, "/recordings/r-unknown/transcription", "application/json", "{}")
			assert.Equal(t, 404, status)
			assert.Contains(t, answer, "Recording [r-unknown] not found")
		}
	})
}
