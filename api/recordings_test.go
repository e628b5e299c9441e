package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/state/recordings"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const recordingPath = base + "/calls/c-1/recordings/r-1"

// kept is an archive with recordings of the calls c-1, one a minute; the sound of one that can be had is "0123456789".
func kept(t *testing.T, statuses ...recordings.Status) *recordings.Archive {
	t.Helper()
	a := recordings.New(recordings.Config{Dir: t.TempDir(), Retention: 1 << 62})
	require.NoError(t, a.Open())
	t.Cleanup(a.Close)
	for i, status := range statuses {
		id := "r-" + string(rune('1'+i))
		at := began.Add(time.Duration(i) * time.Minute)
		file, err := a.Begin(recordings.Recording{
			ID: id, CallID: "c-1", AccountID: account, ApplicationID: "app-1", From: "sip:alice:geheim@h", To: "sip:desk@h", Direction: "inbound",
			Format: "wav", Channels: 1, StartTime: at, Wishes: json.RawMessage(`{"password":"geheim"}`),
		})
		require.NoError(t, err)
		_, err = file.WriteString("0123456789")
		require.NoError(t, err)
		require.NoError(t, file.Close())
		if status == recordings.Processing {
			continue
		}
		require.NoError(t, a.Finish(id, func(r *recordings.Recording) {
			r.Outcome, r.Duration, r.EndTime, r.Bytes = status, 13670*time.Millisecond, at.Add(14*time.Second), 10
		}))
	}
	require.Zero(t, a.Idle(t.Context()))
	return a
}

func TestARecordingAsTheAPITells(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"), WithRecordings(kept(t, recordings.Complete, recordings.Processing)))
	var got, want map[string]any
	r := request(s, "GET", recordingPath)
	assert.Equal(t, http.StatusOK, r.StatusCode)
	require.NoError(t, json.Unmarshal([]byte(bodyOf(t, r)), &got))
	require.NoError(t, json.Unmarshal([]byte(`{"applicationId":"app-1","accountId":"5500001","callId":"c-1","parentCallId":null,"recordingId":"r-1",
		"to":"sip:desk@h","from":"sip:alice:***@h","transferCallerId":null,"transferTo":null,"duration":"PT13.67S","direction":"inbound","channels":1,
		"startTime":"2026-03-02T14:05:04.120Z","endTime":"2026-03-02T14:05:18.120Z","fileFormat":"wav","status":"complete",
		"mediaUrl":"https://calls.example.com/api/v2/accounts/5500001/calls/c-1/recordings/r-1/media","transcription":null}`), &want))
	assert.Equal(t, want, got)
	body := bodyOf(t, request(s, "GET", base+"/calls/c-1/recordings/r-2"))
	assert.Contains(t, body, `"endTime":null`)
	assert.Contains(t, body, `"status":"processing","mediaUrl":null`)
	assert.NotContains(t, body, "geheim")
}

func TestATranscriptionAsTheAPITells(t *testing.T) {
	t.Parallel()
	a := kept(t, recordings.Complete)
	require.NoError(t, a.Update("c-1", "r-1", func(r *recordings.Recording) {
		r.Transcription = &recordings.Transcription{ID: "t-1", Status: "available", CompletedTime: began, Wish: json.RawMessage(`"geheim"`)}
	}))
	assert.Contains(t, bodyOf(t, request(New(open, withCalls(t), WithRecordings(a)), "GET", recordingPath)),
		`"transcription":{"id":"t-1","status":"available","completedTime":"2026-03-02T14:05:04.120Z","url":"https://calls.example.com/api/v2/accounts/5500001/calls/c-1/recordings/r-1/transcription"}}`)
}

func TestListsOfRecordings(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1", "c-2"), WithRecordings(kept(t, recordings.Complete, recordings.Failed, recordings.Complete)))
	for path, want := range map[string]string{
		"/calls/c-1/recordings": "r-1 r-2 r-3",
		"/calls/c-2/recordings": "", // it has none
		"/recordings":           "r-1 r-2 r-3",
		"/recordings?from=sip:alice:***@h&to=sip:desk@h":                                            "r-1 r-2 r-3",
		"/recordings?from=sip:bob@h":                                                                "",
		"/recordings?to=sip:bob@h":                                                                  "",
		"/recordings?minStartTime=2026-03-02T14:06:00Z":                                             "r-2 r-3",
		"/recordings?maxStartTime=2026-03-02T14:06:00Z":                                             "r-1",
		"/recordings?minStartTime=2026-03-02T14:06:04.1209Z&maxStartTime=2026-03-02T14:07:04.1209Z": "r-2", // the first counts, the last does not
	} {
		r := request(s, "GET", base+path)
		require.Equal(t, http.StatusOK, r.StatusCode, path)
		body := bodyOf(t, r)
		var list []struct{ RecordingID string }
		require.NoError(t, json.Unmarshal([]byte(body), &list), path)
		require.True(t, strings.HasPrefix(body, "["), "a list, if an empty one")
		var ids []string
		for _, one := range list {
			ids = append(ids, one.RecordingID)
		}
		assert.Equal(t, want, strings.Join(ids, " "), path)
	}
	assert.Equal(t, "Call [c-9] not found", requireError(t, request(s, "GET", base+"/calls/c-9/recordings"), 404, "validation"))
	assert.Equal(t, "Invalid minStartTime: must be an ISO 8601 time", requireError(t, request(s, "GET", base+"/recordings?minStartTime=now"), 400, "validation"))
	requireError(t, request(s, "GET", base+"/recordings?maxStartTime=now"), 400, "validation")
	requireError(t, request(s, "GET", base+"/recordings?from=%zz"), 400, "validation")
	none := New(open, withCalls(t, "c-1"))
	assert.Equal(t, "[]\n", bodyOf(t, request(none, "GET", base+"/recordings")))
}

func TestAnAccountsListHasAThousandRecordings(t *testing.T) {
	t.Parallel()
	k := &fakeRecordings{}
	request(New(open, withCalls(t), WithRecordings(k)), "GET", base+"/recordings")
	assert.Equal(t, 1000, k.asked.Limit)
}

func TestSoundIsReadWholeAndInParts(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t), WithRecordings(kept(t, recordings.Partial)))
	r := request(s, "GET", recordingPath+"/media")
	assert.Equal(t, http.StatusOK, r.StatusCode)
	assert.Equal(t, "audio/vnd.wave", r.Header.Get("Content-Type"))
	assert.Equal(t, "10", r.Header.Get("Content-Length"))
	assert.Equal(t, "0123456789", bodyOf(t, r))
	ranged := func(s string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Range", s) } }
	r = request(s, "GET", recordingPath+"/media", ranged("bytes=2-4"))
	assert.Equal(t, http.StatusPartialContent, r.StatusCode)
	assert.Equal(t, "bytes 2-4/10", r.Header.Get("Content-Range"))
	assert.Equal(t, "234", bodyOf(t, r))
	assert.Equal(t, "89", bodyOf(t, request(s, "GET", recordingPath+"/media", ranged("bytes=-2"))))
	r = request(s, "GET", recordingPath+"/media", ranged("bytes=10-"))
	assert.Equal(t, "bytes */10", r.Header.Get("Content-Range"))
	assert.Equal(t, "Invalid Range: the recording has no such bytes", requireError(t, r, http.StatusRequestedRangeNotSatisfiable, "validation"))
	r = request(s, "HEAD", recordingPath+"/media")
	assert.Equal(t, http.StatusOK, r.StatusCode)
	assert.Empty(t, bodyOf(t, r))
}

func TestSoundThatCannotBeHad(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"), WithRecordings(kept(t, recordings.Processing, recordings.Failed)))
	for _, method := range []string{"GET", "DELETE"} {
		for _, id := range []string{"r-1", "r-2"} {
			assert.Equal(t, "Media of recording ["+id+"] not found", requireError(t, request(s, method, base+"/calls/c-1/recordings/"+id+"/media"), 404, "validation"))
		}
		for _, path := range []string{"/calls/c-1/recordings/r-9", "/calls/c-1/recordings/r-9/media", "/calls/c-2/recordings/r-9"} {
			assert.Equal(t, "Recording [r-9] not found", requireError(t, request(s, method, base+path), 404, "validation"))
		}
		requireError(t, request(s, method, base+"/calls/c-2/recordings/r-1"), 404, "validation")
	}
}

func TestRecordingsAreDeleted(t *testing.T) {
	t.Parallel()
	a := kept(t, recordings.Complete, recordings.Complete)
	s := New(open, withCalls(t), WithRecordings(a))
	r := request(s, "DELETE", recordingPath+"/media")
	assert.Equal(t, http.StatusNoContent, r.StatusCode)
	assert.Empty(t, bodyOf(t, r))
	assert.Contains(t, bodyOf(t, request(s, "GET", recordingPath)), `"status":"deleted","mediaUrl":null`)
	requireError(t, request(s, "GET", recordingPath+"/media"), 404, "validation")
	for _, id := range []string{"r-1", "r-2"} {
		assert.Equal(t, http.StatusNoContent, request(s, "DELETE", base+"/calls/c-1/recordings/"+id).StatusCode)
		requireError(t, request(s, "GET", base+"/calls/c-1/recordings/"+id), 404, "validation")
		requireError(t, request(s, "DELETE", base+"/calls/c-1/recordings/"+id), 404, "validation")
	}
	assert.Equal(t, "[]\n", bodyOf(t, request(s, "GET", base+"/recordings")))
}

func TestARecordingInProgressIsPaused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"state":"paused"}`:                "pause c-1 true",
		`{"state":"recording","unknown":1}`: "pause c-1 false",
		`{}`:                                "Missing at least one required field. Required fields are [state]",
		`{"state":null}`:                    "Missing at least one required field. Required fields are [state]",
		`{"state":"stopped"}`:               "Invalid state. Supported states: [paused, recording]",
		`{"state":true}`:                    "Invalid state. Supported states: [paused, recording]",
		`[]`:                                "Invalid body: must be a JSON object",
		`{`:                                 "Invalid body: it is not JSON",
	} {
		m := &fakeModifier{}
		r := request(New(open, withCalls(t, "c-1"), WithModifier(m)), "PUT", base+"/calls/c-1/recording", with("application/json", body))
		if len(m.did) > 0 {
			assert.Equal(t, []string{want}, m.did)
			assert.Equal(t, http.StatusOK, r.StatusCode)
			assert.Empty(t, bodyOf(t, r))
			continue
		}
		assert.Equal(t, want, requireError(t, r, 400, "validation"), body)
	}
	put := func(s *Server, id string) *http.Response {
		return request(s, "PUT", base+"/calls/"+id+"/recording", with("application/json", `{"state":"paused"}`))
	}
	none := New(open, withCalls(t, "c-1"))
	assert.Equal(t, "Call [c-1] has no recording in progress", requireError(t, put(none, "c-1"), 404, "validation"))
	assert.Equal(t, "Call [c-9] not found", requireError(t, put(none, "c-9"), 404, "validation"))
	requireError(t, put(New(open, withCalls(t, "c-1"), WithModifier(&fakeModifier{err: errors.New("broken")})), "c-1"), 500, "internal-error")
	requireError(t, request(none, "PUT", base+"/calls/c-1/recording", with("text/plain", `{"state":"paused"}`)), 415, "validation")
}

// fakeRecordings are recordings that cannot be read.
type fakeRecordings struct {
	asked recordings.Query
	sound io.ReadSeekCloser
	open  func(ctx context.Context) io.ReadSeekCloser // nil: sound
	err   error
}

func (f *fakeRecordings) List(q recordings.Query) []recordings.Recording { f.asked = q; return nil }
func (f *fakeRecordings) Get(string, string) (recordings.Recording, error) {
	return recordings.Recording{}, f.err
}
func (f *fakeRecordings) Media(ctx context.Context, _, _ string) (io.ReadSeekCloser, recordings.Recording, error) {
	if f.open != nil {
		return f.open(ctx), recordings.Recording{}, f.err
	}
	return f.sound, recordings.Recording{}, f.err
}
func (f *fakeRecordings) Delete(string, string) error      { return f.err }
func (f *fakeRecordings) DeleteMedia(string, string) error { return f.err }

// broken is sound that cannot be read.
type broken struct{}

func (broken) Read([]byte) (int, error)       { return 0, errors.New("geheim") }
func (broken) Seek(int64, int) (int64, error) { return 0, errors.New("geheim") }
func (broken) Close() error                   { return nil }

func TestRecordingsThatCannotBeReadAreAnInternalError(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t), WithRecordings(&fakeRecordings{err: errors.New("geheim")}))
	for _, operation := range []string{"GET /media", "DELETE /media", "GET ", "DELETE "} {
		method, path, _ := strings.Cut(operation, " ")
		assert.NotContains(t, requireError(t, request(s, method, recordingPath+path), 500, "internal-error"), "geheim")
	}
	requireError(t, request(New(open, withCalls(t), WithRecordings(&fakeRecordings{sound: broken{}})), "GET", recordingPath+"/media"), 500, "internal-error")
}

// stalled is the sound of a store that stops answering: at once, or when its size has been told.
type stalled struct {
	ctx  context.Context
	size int64 // 0: at once
}

func (s stalled) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s stalled) Seek(int64, int) (int64, error) {
	if s.size == 0 {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	return s.size, nil
}
func (s stalled) Close() error { return nil }

func TestAStoreThatStopsAnsweringHoldsNoRequest(t *testing.T) {
	for name, c := range map[string]struct {
		size  int64
		leave time.Duration // when the client goes; 0: it waits
		after time.Duration
		want  int
		lines int // in the log
	}{
		"from the start":            {after: soundPatience, want: http.StatusInternalServerError, lines: 1},
		"in the middle":             {size: 10, after: writeTimeout, want: http.StatusOK}, // the client sees that it is cut short
		"and the client goes first": {leave: time.Second, after: time.Second, want: http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.InfoLevel)
				kept := &fakeRecordings{open: func(ctx context.Context) io.ReadSeekCloser { return stalled{ctx, c.size} }}
				s := New(open, withCalls(t), WithRecordings(kept), WithLogger(zap.New(core)))
				began := time.Now()
				r := request(s, "GET", recordingPath+"/media", func(r *http.Request) {
					if c.leave != 0 {
						ctx, cancel := context.WithCancel(r.Context())
						time.AfterFunc(c.leave, cancel)
						*r = *r.WithContext(ctx)
					}
				})
				assert.Equal(t, c.after, time.Since(began))
				assert.Equal(t, c.want, r.StatusCode)
				assert.Equal(t, c.lines, logs.FilterLevelExact(zap.ErrorLevel).Len())
			})
		})
	}
}
