package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// askingOf is a node that has no recordings, and asks a node that answers by h.
func askingOf(t *testing.T, h http.HandlerFunc, o ...Option) *Server {
	t.Helper()
	other := httptest.NewServer(h)
	t.Cleanup(other.Close)
	return New(open, withCalls(t, "c-1"), append(o, WithOthers(func() []string { return []string{other.URL} }))...)
}

func TestANodeIsAskedWhatTheClientAsked(t *testing.T) {
	t.Parallel()
	type question struct {
		method, uri, body string
		header            http.Header
	}
	var got question
	s := askingOf(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = question{r.Method, r.RequestURI, string(b), r.Header}
		w.WriteHeader(http.StatusNoContent)
	})
	sent := map[string]string{
		"Authorization": "Basic YTpi", "Content-Type": "application/json", "Accept": "audio/*", "Range": "bytes=1-", "If-Range": `"x"`,
		"If-Modified-Since": "Mon, 02 Mar 2026 14:05:04 GMT",
	}
	res := request(s, "POST", recordingPath+"/transcription?a=b%2Fc", func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(`{"tag":"x"}`))
		for name, value := range sent {
			r.Header.Set(name, value)
		}
		r.Header.Set("Cookie", "what=ever")
	})
	assert.Equal(t, http.StatusNoContent, res.StatusCode)
	assert.Equal(t, "POST", got.method)
	assert.Equal(t, recordingPath+"/transcription?a=b%2Fc", got.uri)
	assert.Equal(t, `{"tag":"x"}`, got.body)
	for name, value := range sent {
		assert.Equal(t, []string{value}, got.header[name], name)
	}
	assert.Empty(t, got.header["Cookie"])
	assert.NotEmpty(t, got.header.Get(headerAsked))
	assert.Equal(t, "no-store", res.Header.Get("Cache-Control"), "as in all answers")
}

// A client's credentials go to the nodes of the cluster, and to nobody that one of them names.
func TestWhereANodeRedirectsToIsNotAsked(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	t.Cleanup(elsewhere.Close)
	s := askingOf(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	assert.Equal(t, http.StatusFound, request(s, "GET", recordingPath).StatusCode)
	assert.Equal(t, http.StatusOK, request(s, "GET", base+"/calls/c-1/recordings").StatusCode)
}

func TestABodyThatIsTooLongIsRefusedByTheNodeThatGotIt(t *testing.T) {
	t.Parallel()
	s := askingOf(t, func(http.ResponseWriter, *http.Request) { t.Error("it was asked") })
	ask := func(s *Server) *http.Response {
		return request(s, "POST", recordingPath+"/transcription", with("application/json", `{"tag":"`+strings.Repeat("x", maxJSON)))
	}
	want, got := ask(New(open, withCalls(t, "c-1"))), ask(s)
	description := requireError(t, want, http.StatusBadRequest, "validation")
	assert.Contains(t, description, "must have at most")
	assert.Equal(t, description, requireError(t, got, http.StatusBadRequest, "validation"))
}

func TestHalfAnAnswerOfAnotherNodeIsCutOff(t *testing.T) {
	t.Parallel()
	s := askingOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("01234")) // and the server closes the connection
	})
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { request(s, "GET", recordingPath+"/media") })
}

// untimed is an answer that notes until when it may be written.
type untimed struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (u *untimed) SetWriteDeadline(at time.Time) error {
	u.until = at
	return nil
}

func TestALongRecordingOfAnotherNodeIsPassedOnForAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	const size = 100 * slowest
	s := askingOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
	begin := time.Now()
	w := &untimed{ResponseRecorder: httptest.NewRecorder()}
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", recordingPath+"/media", nil))
	assert.Equal(t, size, w.Body.Len())
	assert.Zero(t, w.until, "its length was not told")

	s = askingOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = w.Write(make([]byte, size))
	})
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", recordingPath+"/media", nil))
	assert.GreaterOrEqual(t, w.until.Sub(begin), writeTimeout+100*time.Second)
}

// What another node answers to a list may be anything: the list is what the others have, and why something is missing is logged.
func TestAListGoesWithoutANodeThatAnswersSomethingElse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"a failure":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "it answers 500 Internal Server Error"},
		"not JSON":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("sorry")) }, "invalid character 's'"},
		"not a list":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, "cannot unmarshal object"},
		"half of one": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[{"recordingId":"r-9"},`)) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.WarnLevel)
			s := askingOf(t, tc.answer, WithLogger(zap.New(core)), WithRecordings(kept(t, recordings.Complete)))
			res := request(s, "GET", base+"/recordings")
			assert.Equal(t, http.StatusOK, res.StatusCode)
			assert.Equal(t, 1, strings.Count(bodyOf(t, res), `"recordingId"`))
			require.Equal(t, 1, logs.Len())
			assert.Contains(t, logs.All()[0].ContextMap()["error"], tc.reason)
		})
	}
}

// sent is a network in which every request gets this body.
type sent struct{ body io.Reader }

func (s sent) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(s.body)}, nil
}

func TestAListThatDoesNotEndIsNotReadForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that it is not ended by how long it takes
		core, logs := observer.New(zap.WarnLevel)
		s := New(open, withCalls(t, "c-1"), WithOthers(func() []string { return []string{"http://10.0.0.2"} }), WithLogger(zap.New(core)))
		long := io.MultiReader(strings.NewReader(`["`), strings.NewReader(strings.Repeat("x", maxList)), strings.NewReader(`"]`))
		s.client.Transport = sent{long}
		assert.Equal(t, "[]\n", bodyOf(t, request(s, "GET", base+"/calls/c-1/recordings")))
		require.Equal(t, 1, logs.Len())
		assert.Contains(t, logs.All()[0].ContextMap()["error"], "EOF")
	})
}

func TestAListOfAllNodesIsNoLongerThanOneOfANode(t *testing.T) {
	t.Parallel()
	list := "[" + strings.Repeat(`{"recordingId":"r"},`, maxRecordings) + `{"recordingId":"r"}]`
	s := askingOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(list)) }, WithRecordings(kept(t, recordings.Complete)))
	assert.Equal(t, maxRecordings, strings.Count(bodyOf(t, request(s, "GET", base+"/recordings")), `"recordingId"`))
	assert.Equal(t, maxRecordings+2, strings.Count(bodyOf(t, request(s, "GET", base+"/calls/c-1/recordings")), `"recordingId"`), "of one call all")
}

// A node that takes the connection and says nothing, or begins a list and does not end it, keeps nobody waiting for long.
func TestANodeThatDoesNotAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path   string
		says   string
		status int
	}{
		"a recording":      {"/calls/c-1/recordings/r-1", "", http.StatusNotFound},
		"a list":           {"/calls/c-1/recordings", "", http.StatusOK},
		"a list half told": {"/calls/c-1/recordings", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.WarnLevel)
				s := New(open, withCalls(t, "c-1"), WithOthers(func() []string { return []string{"http://10.0.0.2"} }), WithLogger(zap.New(core)))
				s.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					go func() {
						_, _ = far.Read(make([]byte, 4096))
						_, _ = io.WriteString(far, tc.says)
						_, _ = io.Copy(io.Discard, far)
					}()
					return near, nil
				}
				begin := time.Now()
				assert.Equal(t, tc.status, request(s, "GET", base+tc.path).StatusCode)
				assert.LessOrEqual(t, time.Since(begin), othersTime)
				require.Equal(t, 1, logs.Len())
			})
		})
	}
}
