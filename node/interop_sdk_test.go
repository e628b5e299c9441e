package node_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// publishedSDK is the public API's own SDK for Node.js, which make deps installs, pointed at a node.
type publishedSDK struct {
	t          *testing.T
	in         io.WriteCloser
	out        *bufio.Reader
	operations []string        // that it has, "CallsApi.listCalls"
	done       map[string]bool // that were asked for
}

// sdkAnswer is what the SDK tells of an operation.
type sdkAnswer struct {
	Status int
	Data   json.RawMessage
	Bytes  []byte // of a body that is not JSON
	Type   string
	Link   string
}

// sdk starts the SDK for the rest of the test.
func (l *live) sdk() *publishedSDK {
	l.t.Helper()
	cmd := exec.Command("node", testdata(l.t, "sdk/sdk.js"), "http://"+l.node.APIAddr().String()+"/api/v2", "ada", "lovelace")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(l.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(l.t, err)
	require.NoError(l.t, cmd.Start(), "Node.js is missing: make deps installs it")
	l.t.Cleanup(func() {
		_ = in.Close()
		assert.NoError(l.t, cmd.Wait())
	})
	s := &publishedSDK{t: l.t, in: in, out: bufio.NewReader(out), done: map[string]bool{}}
	s.read(&s.operations)
	return s
}

func (s *publishedSDK) read(v any) {
	s.t.Helper()
	line, err := s.out.ReadBytes('\n')
	require.NoError(s.t, err, "make deps installs the SDK")
	require.NoError(s.t, json.Unmarshal(line, v), string(line))
}

// do has it do an operation, whose first argument is the account.
func (s *publishedSDK) do(operation string, args ...any) (a sdkAnswer) {
	s.t.Helper()
	s.done[operation] = true
	class, name, _ := strings.Cut(operation, ".")
	line, err := json.Marshal([]any{class, name, append([]any{node.DefaultConfig().AccountID}, args...)})
	require.NoError(s.t, err)
	_, err = s.in.Write(append(line, '\n'))
	require.NoError(s.t, err)
	s.read(&a)
	return a
}

// wants does an operation whose status has to be this one, and reads its answer into v, unless that is nil.
func (s *publishedSDK) wants(status int, v any, operation string, args ...any) sdkAnswer {
	s.t.Helper()
	a := s.do(operation, args...)
	require.Equal(s.t, status, a.Status, "%s %s", operation, a.Data)
	if v != nil {
		assert.Equal(s.t, "application/json; charset=utf-8", a.Type)
		require.NoError(s.t, json.Unmarshal(a.Data, v), string(a.Data))
	}
	return a
}

// fails does an operation whose status has to be this one, and returns the description of the error.
func (s *publishedSDK) fails(status int, operation string, args ...any) string {
	s.t.Helper()
	var body struct {
		Type, Description string
		ID                *string
	}
	s.wants(status, &body, operation, args...)
	want := "validation"
	if status == 501 {
		want = "error"
	}
	assert.Equal(s.t, want, body.Type)
	assert.NotEmpty(s.t, body.Description)
	return body.Description
}

func TestThePublishedSDKDoesEveryOperation(t *testing.T) {
	l := onLoopback(t, func(cfg *node.Config) {
		cfg.API.Username, cfg.API.Password = "ada", "lovelace"
		cfg.Recordings.Dir, cfg.Transcriptions.Dir = t.TempDir(), t.TempDir()
	}, node.WithTranscriber(&fakeHearing{texts: []string{"good morning"}}))
	s := l.sdk()
	s.calls(l)
	s.recordings(l)
	s.transcriptions(l)
	for _, operation := range s.operations {
		if s.done[operation] {
			continue
		}
		args := []any{"x-1", "x-2", "x-3", map[string]any{}}
		if strings.HasSuffix(operation, "Bxml") {
			args[1] = response("") // conferenceId or endpointId, and the document
		}
		s.fails(501, operation, args...)
	}
}

// answered places a call for which the application has this document, and returns it with its initiate event.
func (l *live) answered(document string) (*scenario.ScriptedCall, *scenario.ScriptedEvent) {
	l.t.Helper()
	l.app.On("initiate", scenario.BXML(document))
	c := l.phones["udp"].Invite(scenario.Invite{To: "sip:desk@" + l.address("udp")})
	c.Answered()
	return c, l.app.Expect("initiate")
}

// calls does the operations of calls.
func (s *publishedSDK) calls(l *live) {
	t := s.t
	l.app.On("redirect", scenario.BXML(response(hour)))
	first, e := l.answered(response(hour))
	second, f := l.answered(response(hour))
	ids := []string{e.Text("callId"), f.Text("callId")}
	list := func(want []string, args ...any) sdkAnswer {
		t.Helper()
		var calls []struct{ CallID string }
		a := s.wants(200, &calls, "CallsApi.listCalls", args...)
		var got []string
		for _, c := range calls {
			got = append(got, c.CallID)
		}
		assert.Equal(t, want, got)
		return a
	}
	assert.Empty(t, list(ids).Link)
	// to, from, minStartTime, maxStartTime, disconnectCause, pageSize, pageToken
	page := list(ids[:1], nil, nil, "2020-01-01T00:00:00Z", time.Now().Add(time.Hour).Format(time.RFC3339), nil, 1)
	address, rel, _ := strings.Cut(strings.TrimPrefix(page.Link, "<"), ">")
	assert.Equal(t, `; rel="next"`, rel)
	next, err := url.Parse(address)
	require.NoError(t, err)
	list(ids[1:], nil, nil, nil, nil, nil, 1, next.Query().Get("pageToken"))
	list(nil, nil, nil, nil, nil, "hangup")
	assert.Equal(t, "pageSize must be within the range [1, 10000], but was 0", s.fails(400, "CallsApi.listCalls", nil, nil, nil, nil, nil, 0))

	var state struct{ CallID, State, Direction, To string }
	s.wants(200, &state, "CallsApi.getCallState", ids[0])
	assert.Equal(t, ids[0], state.CallID)
	assert.Equal(t, "answered inbound", state.State+" "+state.Direction)
	assert.Equal(t, "Call [c-0] not found", s.fails(404, "CallsApi.getCallState", "c-0"))

	s.wants(200, nil, "CallsApi.updateCall", ids[0], map[string]any{
		"state": "active", "redirectUrl": l.app.URL("/sdk"), "redirectMethod": "GET", "tag": "by the SDK", "username": nil,
	})
	redirected := l.app.Expect("redirect").Check(map[string]any{"callId": ids[0], "tag": "by the SDK"})
	assert.Equal(t, "GET /sdk", redirected.Method+" "+redirected.Path)
	assert.Equal(t, "Invalid redirectUrl: only http and https are allowed", s.fails(400, "CallsApi.updateCall", ids[0], map[string]any{"redirectUrl": "/goodbye"}))
	s.wants(200, nil, "CallsApi.updateCall", ids[0], map[string]any{"state": "completed"})
	first.Expect("BYE")
	assert.Equal(t, "Call ["+ids[0]+"] cannot be modified in its current state", s.fails(409, "CallsApi.updateCall", ids[0], map[string]any{"state": "completed"}))

	assert.Contains(t, s.fails(400, "CallsApi.updateCallBxml", ids[1], response(`<Reffer/>`)), "Reffer")
	s.wants(204, nil, "CallsApi.updateCallBxml", ids[1], `<?xml version="1.0" encoding="UTF-8"?><Bxml><Hangup/></Bxml>`)
	second.Expect("BYE")
	for range 2 {
		l.disconnect("hangup")
	}
	s.fails(501, "CallsApi.createCall", map[string]any{
		"to": "+15551230001", "from": "+15551230002", "applicationId": "app", "answerUrl": l.app.URL("/answer"),
	})
}

// recordingState is a recording as the SDK tells of it.
type recordingState struct{ RecordingID, Status, FileFormat, MediaURL, Duration string }

// recordings does the operations of recordings.
func (s *publishedSDK) recordings(l *live) {
	t := s.t
	c, e := l.answered(response(`<StartRecording recordingAvailableUrl="/available" fileFormat="wav"/>` + hour))
	id := e.Text("callId")
	c.SendTone(440, time.Second)
	assert.Contains(t, s.fails(400, "RecordingsApi.updateCallRecordingState", id, map[string]any{"state": "stopped"}), "state")
	s.wants(200, nil, "RecordingsApi.updateCallRecordingState", id, map[string]any{"state": "paused"})
	s.wants(200, nil, "RecordingsApi.updateCallRecordingState", id, map[string]any{"state": "recording"})
	c.SendTone(440, time.Second)
	s.wants(200, nil, "CallsApi.updateCall", id, map[string]any{"state": "completed"})
	c.Expect("BYE")
	recording := l.app.Expect("recordingAvailable").Text("recordingId")
	l.disconnect("hangup")
	s.fails(404, "RecordingsApi.updateCallRecordingState", id, map[string]any{"state": "paused"})

	var list []recordingState
	s.wants(200, &list, "RecordingsApi.listCallRecordings", id)
	require.Len(t, list, 1)
	assert.Equal(t, recording, list[0].RecordingID)
	s.wants(200, &list, "RecordingsApi.listAccountCallRecordings", nil, nil, "2020-01-01T00:00:00Z")
	require.Len(t, list, 1)
	s.wants(200, &list, "RecordingsApi.listAccountCallRecordings", nil, nil, nil, "2020-01-01T00:00:00Z")
	assert.Empty(t, list)
	var got recordingState
	s.wants(200, &got, "RecordingsApi.getCallRecording", id, recording)
	assert.Equal(t, "complete wav", got.Status+" "+got.FileFormat)
	assert.Equal(t, e.Text("callUrl")+"/recordings/"+recording+"/media", got.MediaURL)
	assert.Contains(t, s.fails(404, "RecordingsApi.getCallRecording", id, "r-0"), "r-0")

	file := s.wants(200, nil, "RecordingsApi.downloadCallRecording", id, recording)
	assert.Equal(t, "audio/vnd.wave", file.Type)
	assert.Equal(t, "RIFF", string(file.Bytes[:4]))
	assert.Greater(t, len(file.Bytes), media.SampleRate) // a second at least, whatever its encoding

	s.fails(404, "RecordingsApi.getRecordingTranscription", id, recording)
	assert.Equal(t, "callbackTimeout must be within the range [1, 25], but was 26",
		s.fails(400, "RecordingsApi.transcribeCallRecording", id, recording, map[string]any{"callbackUrl": l.app.URL("/text"), "callbackTimeout": 26}))
	s.wants(204, nil, "RecordingsApi.transcribeCallRecording", id, recording, map[string]any{"callbackUrl": l.app.URL("/text"), "tag": "by the SDK"})
	l.app.Expect("transcriptionAvailable").Check(map[string]any{"recordingId": recording, "tag": "by the SDK"})
	var text struct{ Transcripts []struct{ Text string } }
	s.wants(200, &text, "RecordingsApi.getRecordingTranscription", id, recording)
	require.Len(t, text.Transcripts, 1)
	assert.Contains(t, text.Transcripts[0].Text, "good morning")
	s.wants(204, nil, "RecordingsApi.deleteRecordingTranscription", id, recording)
	s.fails(404, "RecordingsApi.getRecordingTranscription", id, recording)

	s.wants(204, nil, "RecordingsApi.deleteRecordingMedia", id, recording)
	s.fails(404, "RecordingsApi.downloadCallRecording", id, recording)
	s.wants(200, &got, "RecordingsApi.getCallRecording", id, recording)
	assert.Equal(t, "deleted", got.Status)
	s.wants(204, nil, "RecordingsApi.deleteRecording", id, recording)
	s.fails(404, "RecordingsApi.getCallRecording", id, recording)
}

// transcriptions does the operations of live transcriptions.
func (s *publishedSDK) transcriptions(l *live) {
	t := s.t
	c, e := l.answered(response(`<StartTranscription name="notes" transcriptionEventUrl="/text"/>` + hour))
	id := e.Text("callId")
	c.SendTone(440, time.Second)
	s.wants(200, nil, "CallsApi.updateCall", id, map[string]any{"state": "completed"})
	c.Expect("BYE")
	l.disconnect("hangup")
	available := l.app.Expect("realTimeTranscriptionAvailable").Properties["realTimeTranscription"].(map[string]any)
	var list []struct{ TranscriptionID, TranscriptionName, TranscriptionURL string }
	s.wants(200, &list, "TranscriptionsApi.listRealTimeTranscriptions", id)
	require.Len(t, list, 1)
	assert.Equal(t, "notes", list[0].TranscriptionName)
	assert.Equal(t, available["id"], list[0].TranscriptionID)
	assert.Equal(t, e.Text("callUrl")+"/transcriptions/"+list[0].TranscriptionID, list[0].TranscriptionURL)
	s.fails(404, "TranscriptionsApi.listRealTimeTranscriptions", "c-0")
	var got struct {
		TranscriptionID string
		Tracks          []struct{ Track, Transcript string }
	}
	s.wants(200, &got, "TranscriptionsApi.getRealTimeTranscription", id, list[0].TranscriptionID)
	require.Len(t, got.Tracks, 1)
	assert.Equal(t, "inbound good morning", got.Tracks[0].Track+" "+got.Tracks[0].Transcript)
	s.wants(200, nil, "TranscriptionsApi.deleteRealTimeTranscription", id, list[0].TranscriptionID)
	s.fails(404, "TranscriptionsApi.getRealTimeTranscription", id, list[0].TranscriptionID)
	s.fails(404, "TranscriptionsApi.deleteRealTimeTranscription", id, list[0].TranscriptionID)
}

// TestTheSDKsLockFileNamesNoHost: it holds for every registry.
func TestTheSDKsLockFileNamesNoHost(t *testing.T) {
	lock, err := os.ReadFile(testdata(t, "sdk/package-lock.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(lock), "://")
	assert.NotContains(t, string(lock), `"resolved"`)
}
