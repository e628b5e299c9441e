package webhook

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// page is an event's page: its properties in order, those that are optional with a question mark.
type page []string

var (
	head = page{
		"eventType", "eventTime", "accountId", "applicationId", "from", "to", "direction", "callId", "callUrl",
	}
	pages = map[string]page{
		"initiate":           append(slices.Clone(head), "startTime", "sipCallId?", "uui?", "sipHeaders?", "diversion?", "stirShaken?"),
		"redirect":           append(slices.Clone(head), "startTime", "answerTime?", "tag?"),
		"gather":             append(slices.Clone(head), "startTime", "answerTime", "tag?", "digits", "terminatingDigit", "speech?"),
		"partialgather":      append(slices.Clone(head), "startTime", "answerTime", "tag?", "speech"),
		"dtmf":               append(slices.Clone(head), "startTime", "answerTime", "tag?", "digit"),
		"mediaStreamStarted": append(slices.Clone(head), "startTime", "answerTime", "tag?", "mediaStream"),
		"mediaStreamRejected": append(slices.Clone(head), "startTime", "answerTime", "tag?",
			"cause", "errorMessage", "mediaStream", "originalMediaStream?"),
		"mediaStreamStopped": append(slices.Clone(head), "startTime", "answerTime", "tag?", "cause", "errorMessage?", "mediaStream"),
		"referComplete": append(slices.Clone(head), "startTime", "answerTime", "tag?",
			"referCallStatus", "referSipResponseCode?", "notifySipResponseCode?"),
		"disconnect": append(slices.Clone(head), "startTime", "answerTime?", "tag?",
			"endTime", "cause", "errorMessage?", "errorId?", "sipCallId?"),
		"recordComplete": append(slices.Clone(head), "startTime", "answerTime", "tag?",
			"recordingId", "mediaUrl", "endTime", "duration", "channels", "fileFormat"),
		"recordingAvailable": append(slices.Clone(head), "startTime", "tag?",
			"recordingId", "mediaUrl?", "endTime", "duration", "channels", "fileFormat", "status"),
		"transcriptionAvailable": append(slices.Clone(head), "startTime", "tag?",
			"recordingId", "mediaUrl", "endTime", "duration", "fileFormat", "transcription"),
		"realTimeTranscriptionStarted": append(slices.Clone(head), "startTime", "answerTime", "tag?", "realTimeTranscription"),
		"realTimeTranscriptionRejected": append(slices.Clone(head), "startTime", "answerTime", "tag?", "cause", "errorMessage",
			"realTimeTranscription", "originalTranscription?"),
		"realTimeTranscriptionStopped":   append(slices.Clone(head), "startTime", "answerTime", "tag?", "cause", "errorMessage?", "realTimeTranscription"),
		"realTimeTranscriptionAvailable": append(slices.Clone(head), "startTime", "answerTime", "tag?", "realTimeTranscription"),
	}
)

var (
	start    = time.Date(2026, 3, 2, 14, 5, 4, 113e6, time.UTC)
	answered = Call{
		AccountID: "5500001", ApplicationID: "0f6f3a52-7c1d-4b7e-9a58-2d1f6c0b9e44",
		From: "sip:alice@caller.example.com", To: "sip:front-desk@sip.example.com", Direction: Inbound,
		CallID:    "c-5a1f0b7e-20c41d93-7f3e-4c58-9a11-0d6be2f41c77",
		CallURL:   "https://node.example.com/api/v2/accounts/5500001/calls/c-5a1f0b7e-20c41d93-7f3e-4c58-9a11-0d6be2f41c77",
		StartTime: start, AnswerTime: start.Add(2757 * time.Millisecond),
		Tag: "order-1182", SIPCallID: "7f2c9d1e44b0@caller.example.com",
	}
	recorded = Recording{
		ID: "r-5a1f0b7e-0f4be2d7-8c15-4f0e-9d3b-61a7c8e5f204", MediaURL: answered.CallURL + "/recordings/r-5a1f0b7e-0f4be2d7-8c15-4f0e-9d3b-61a7c8e5f204/media",
		Start: start.Add(7 * time.Second), End: start.Add(27*time.Second + 56*time.Millisecond), Duration: 20056 * time.Millisecond, Channels: 1, Format: "wav",
	}
	monitor = MediaStream{
		Destination: "wss://stream.example.com/in", ID: "s-5a1f0b7e-2f6c0d14-9b3a-4c1e-8d22-0e7f6a5b4c39", Name: "monitor",
		StartTime: start.Add(3 * time.Second), Tracks: []string{"inbound", "outbound"},
	}
	notes = RealTimeTranscription{
		ID: "t-5a1f0b7e-77c1e0d2-4a3b-4d5c-9e6f-1b2a3c4d5e6f", Name: "notes", StartTime: start.Add(3 * time.Second),
		Tracks: []string{"inbound"}, Destination: "wss://text.example.com/in", Stabilized: true,
	}
	ringing = func() Call {
		c := answered
		c.AnswerTime, c.Tag, c.SIPCallID = time.Time{}, "", ""
		return c
	}()
)

// Bodies are held against the events' pages and against golden files.
func TestEventBodies(t *testing.T) {
	for name, build := range map[string]func() Event{
		"initiate": func() Event {
			return NewInitiate(answered, Invite{
				UUI:        "VGVzdA==;encoding=base64",
				SIPHeaders: map[string]string{"x-session-id": "sess-12345", "x-empty": ""},
				Diversion:  map[string]string{"origTo": "+15551230009", "reason": "no-answer", "privacy": "off"},
				StirShaken: map[string]string{"verstat": "TN-Validation-Passed", "attestationIndicator": "A"},
			})
		},
		"initiate-plain": func() Event { return NewInitiate(ringing, Invite{}) },
		"redirect":       func() Event { return NewRedirect(answered) },
		"redirect-unanswered": func() Event {
			return NewRedirect(ringing)
		},
		"gather": func() Event { return NewGather(answered, Gathered{Digits: "4711", TerminatingDigit: "#"}) },
		"gather-speech": func() Event {
			return NewGather(answered, Gathered{Speech: &Speech{Transcript: "the sales department", Confidence: 0.87}})
		},
		"gather-speech-failed": func() Event {
			return NewGather(answered, Gathered{Speech: &Speech{ErrorMessage: "websocket: the engine took too long"}})
		},
		"partialgather":      func() Event { return NewPartialGather(answered, "I would like to") },
		"dtmf":               func() Event { return NewDTMF(answered, '5') },
		"mediaStreamStarted": func() Event { return NewMediaStreamStarted(answered, monitor) },
		"mediaStreamRejected-duplicate": func() Event {
			return NewMediaStreamRejected(answered, monitor, "duplicate", "The call has a stream of this name", &monitor)
		},
		"mediaStreamRejected-limit": func() Event {
			return NewMediaStreamRejected(answered, monitor, "track-limit", "At most 4 tracks may be streamed on one call", nil)
		},
		"mediaStreamStopped": func() Event { return NewMediaStreamStopped(answered, monitor, 72500*time.Millisecond, "closed", "") },
		"mediaStreamStopped-lost": func() Event {
			return NewMediaStreamStopped(answered, monitor, 0, "connection-error", "the connection was lost")
		},
		"referComplete-connected":   func() Event { return NewReferComplete(answered, Refer{Success: true, ReferCode: 202, NotifyCode: 200}) },
		"referComplete-unreachable": func() Event { return NewReferComplete(answered, Refer{ReferCode: 202, NotifyCode: 486}) },
		"referComplete-rejected":    func() Event { return NewReferComplete(answered, Refer{ReferCode: 405}) },
		"referComplete-unknown":     func() Event { return NewReferComplete(answered, Refer{}) },
		"disconnect-hangup": func() Event {
			return NewDisconnect(answered, End{Time: start.Add(27077 * time.Millisecond), Cause: "hangup"})
		},
		"recordComplete":     func() Event { return NewRecordComplete(answered, recorded) },
		"recordingAvailable": func() Event { return NewRecordingAvailable(answered, recorded, "complete") },
		"recordingAvailable-failed": func() Event {
			return NewRecordingAvailable(ringing, Recording{ID: recorded.ID, Start: start, End: start, Channels: 2, Format: "mp3"}, "error")
		},
		"transcriptionAvailable": func() Event {
			return NewTranscriptionAvailable(answered, recorded, Transcription{
				ID: notes.ID, URL: answered.CallURL + "/recordings/" + recorded.ID + "/transcription", Status: "available", Completed: start.Add(time.Minute),
			})
		},
		"realTimeTranscriptionStarted": func() Event { return NewRealTimeTranscriptionStarted(answered, notes) },
		"realTimeTranscriptionRejected": func() Event {
			return NewRealTimeTranscriptionRejected(answered, notes, "duplicate", "A real-time transcription named notes already exists", &notes)
		},
		"realTimeTranscriptionStopped": func() Event {
			stopped := notes
			stopped.Duration = 24100 * time.Millisecond
			return NewRealTimeTranscriptionStopped(answered, stopped, "closed", "")
		},
		"realTimeTranscriptionAvailable": func() Event {
			plain := notes
			plain.Destination, plain.Stabilized = "", false
			return NewRealTimeTranscriptionAvailable(answered, plain, answered.CallURL+"/transcriptions/"+notes.ID, start.Add(time.Minute), true)
		},
		"disconnect-error": func() Event {
			return NewDisconnect(ringing, End{
				Time: start.Add(time.Second), Cause: "invalid-bxml",
				ErrorMessage: `line 3, column 7: unknown verb <Reffer> & more`, ErrorID: "2b9d5c0e-6f1a-4d0c-9e6b-8f1f0a7c3d21",
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // whose clock stands still
				ev := build()
				assert.Equal(t, answered.CallID, ev.CallID)
				assert.NotEmpty(t, ev.ID)
				assertPage(t, pages[ev.Type], ev)

				var body bytes.Buffer
				require.NoError(t, json.Indent(&body, ev.Body, "", "  "))
				golden(t, name, append(body.Bytes(), '\n'))
			})
		})
	}
}

// assertPage holds an event against its page: nothing missing, nothing more, nothing without a value.
func assertPage(t *testing.T, p page, ev Event) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(ev.Body))
	var body map[string]any
	require.NoError(t, d.Decode(&body))
	var known []string
	for _, property := range p {
		name := property
		required := true
		if property[len(property)-1] == '?' {
			name, required = property[:len(property)-1], false
		}
		known = append(known, name)
		value, there := body[name]
		assert.True(t, there || !required, "%s is missing", name)
		if there {
			assert.NotNil(t, value, name)
			if name != "digits" && name != "terminatingDigit" { // where none was pressed
				assert.NotEqual(t, "", value, name)
			}
		}
	}
	for name := range body {
		assert.Contains(t, known, name)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("..", "testdata", "webhook", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func TestTimesAreUTCWithMilliseconds(t *testing.T) {
	for want, at := range map[string]time.Time{
		`"2026-03-02T14:05:04.000Z"`: time.Date(2026, 3, 2, 14, 5, 4, 0, time.UTC),
		`"2026-03-02T12:05:04.999Z"`: time.Date(2026, 3, 2, 14, 5, 4, 999999999, time.FixedZone("", 7200)),
	} {
		got, err := json.Marshal(Time(at))
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
}

func TestEachEventHasItsOwnID(t *testing.T) {
	assert.NotEqual(t, NewRedirect(answered).ID, NewRedirect(answered).ID)
}

func TestDurationsAreISO8601(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"PT0S": 0, "PT13.67S": 13670 * time.Millisecond, "PT0.001S": time.Millisecond, "PT20.056S": 20056 * time.Millisecond, "PT1M12.5S": 72500 * time.Millisecond,
		"PT1M": time.Minute, "PT2H": 2 * time.Hour, "PT1H0.3S": time.Hour + 300*time.Millisecond, "PT25H1M1S": 25*time.Hour + 61*time.Second,
	} {
		assert.Equal(t, want, Duration(d).String())
	}
	assert.Equal(t, "PT0S", Duration(-time.Second).String(), "a clock that was set back")
}
