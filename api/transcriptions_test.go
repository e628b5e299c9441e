package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/callengine/callengine/state/transcripts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// brokenTexts are those of a disk that fails.
type brokenTexts struct{ noTranscriptions }

func (brokenTexts) Get(string, string) (t transcripts.Transcription, err error) {
	return t, errors.New("disk")
}
func (brokenTexts) Delete(string, string) error { return errors.New("disk") }

func TestTextsOfCalls(t *testing.T) {
	a := transcripts.New(t.TempDir(), time.Hour, zap.NewNop())
	require.NoError(t, a.Put(transcripts.Transcription{
		ID: "t-1", CallID: "c-gone", AccountID: "5555555", Name: "notes", Completed: time.Now(),
		Tracks: []transcripts.Track{{Name: "inbound", Language: "en-US", Text: "yes <please>", Confidence: 0.5}},
	}))
	s := New(Config{AccountID: "5555555", PublicURL: "http://x/"}, withCalls(t, "c-1"), WithTranscriptions(a))
	const texts = "/api/v2/accounts/5555555/calls/c-gone/transcriptions"
	for _, tc := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodGet, texts, 200, `[{"transcriptionId":"t-1","transcriptionName":"notes","transcriptionUrl":"http://x` + texts + `/t-1"}]`},
		{http.MethodGet, texts + "/t-1", 200, `{"accountId":"5555555","callId":"c-gone","transcriptionId":"t-1","tracks":[
			{"detectedLanguage":"en-US","track":"inbound","transcript":"yes <please>","confidence":0.5}]}`},
		{http.MethodGet, texts + "/t-2", 404, `{"type":"validation","description":"Transcription [t-2] not found","id":null}`},
		{http.MethodGet, "/api/v2/accounts/5555555/calls/c-other/transcriptions/t-1", 404, `{"type":"validation","description":"Transcription [t-1] not found","id":null}`},
		{http.MethodDelete, "/api/v2/accounts/5555555/calls/c-other/transcriptions/t-1", 404, `{"type":"validation","description":"Transcription [t-1] not found","id":null}`},
		{http.MethodDelete, texts + "/t-1", 200, ""},
		{http.MethodGet, texts + "/t-1", 404, `{"type":"validation","description":"Transcription [t-1] not found","id":null}`},
		{http.MethodGet, texts, 404, `{"type":"validation","description":"Call [c-gone] not found","id":null}`},
		{http.MethodPost, texts, 405, `{"type":"validation","description":"Method POST is not allowed here","id":null}`},
	} {
		res := answered(t, s, tc.method, tc.path)
		assert.Equal(t, tc.status, res.Code, tc.path)
		if tc.body == "" {
			assert.Empty(t, res.Body.String())
			continue
		}
		assert.JSONEq(t, tc.body, res.Body.String())
	}
	s = New(Config{AccountID: "5555555"}, withCalls(t), WithTranscriptions(brokenTexts{}))
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		res := answered(t, s, method, texts+"/t-1")
		assert.Equal(t, 500, res.Code)
		assert.Contains(t, res.Body.String(), `"type":"internal-error"`)
		assert.NotContains(t, res.Body.String(), "disk")
	}
}

// answered asks a server without a network.
func answered(t *testing.T, s *Server, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}
