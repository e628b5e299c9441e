package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/recordings"
	"github.com/callengine/callengine/state/transcripts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// cluster is nodes that share their calls. Who is asked has no recordings, and asks a node that is gone, one that has none
// either, and then the other, which has those of c-1.
type cluster struct {
	asked, other *Server
	requests     atomic.Int64 // that the other got from this one
}

func newCluster(t *testing.T, store *state.Memory, kept *recordings.Archive, texts Transcriptions) *cluster {
	t.Helper()
	c := &cluster{other: New(closed, store, WithRecordings(kept), WithTranscriptions(texts))}
	listens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		c.other.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(listens.Close)
	nobody := func() []string {
		t.Error("who is asked by a node asks no other")
		return nil
	}
	c.other.others = nobody
	empty := httptest.NewServer(New(closed, store, WithOthers(nobody)).Handler())
	t.Cleanup(empty.Close)
	c.asked = New(closed, store, WithOthers(func() []string { return []string{"http://" + gone(t), empty.URL, listens.URL} }))
	return c
}

// gone is an address at which nobody listens, nor can: a socket that does not listen has it.
func gone(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return fmt.Sprint("127.0.0.1:", bound.(*syscall.SockaddrInet4).Port)
}

var ada = as("ada", "lovelace")

// someTexts is an archive with one text, t-1 of c-1.
type someTexts struct{ noTranscriptions }

func (someTexts) List(callID string) []transcripts.Reference {
	if callID != "c-1" {
		return nil
	}
	return []transcripts.Reference{{ID: "t-1", Name: "all"}}
}

func (s someTexts) Get(callID, id string) (transcripts.Transcription, error) {
	if callID != "c-1" || id != "t-1" {
		return s.noTranscriptions.Get(callID, id)
	}
	return transcripts.Transcription{AccountID: account, CallID: callID, ID: id}, nil
}

func TestAnyNodeAnswersForWhatAnotherHasRecorded(t *testing.T) {
	t.Parallel()
	c := newCluster(t, withCalls(t, "c-1", "c-2"), kept(t, recordings.Complete, recordings.Complete), someTexts{})
	for _, path := range []string{
		"/recordings", "/calls/c-1/recordings", "/calls/c-2/recordings", "/calls/c-1/recordings/r-1", "/calls/c-1/recordings/r-2/media",
		"/calls/c-1/transcriptions", "/calls/c-2/transcriptions", "/calls/c-1/transcriptions/t-1",
	} {
		want, got := request(c.other, "GET", base+path, ada, asked), request(c.asked, "GET", base+path, ada)
		require.Equal(t, http.StatusOK, want.StatusCode, path)
		assert.Equal(t, http.StatusOK, got.StatusCode, path)
		assert.Equal(t, bodyOf(t, want), bodyOf(t, got), path)
		assert.Equal(t, want.Header.Get("Content-Type"), got.Header.Get("Content-Type"), path)
	}
	part := request(c.asked, "GET", recordingPath+"/media", ada, func(r *http.Request) { r.Header.Set("Range", "bytes=2-4") })
	assert.Equal(t, http.StatusPartialContent, part.StatusCode)
	assert.Equal(t, "234", bodyOf(t, part))
	assert.Equal(t, "bytes 2-4/10", part.Header.Get("Content-Range"))

	assert.Equal(t, http.StatusNoContent, request(c.asked, "DELETE", recordingPath, ada).StatusCode)
	requireError(t, request(c.other, "GET", recordingPath, ada, asked), http.StatusNotFound, "validation")
}

func asked(r *http.Request) { r.Header.Set(headerAsked, "1") }

func TestListsOfAllNodesAreOne(t *testing.T) {
	t.Parallel()
	store := withCalls(t, "c-1")
	c := newCluster(t, store, kept(t, recordings.Complete, recordings.Complete), noTranscriptions{})
	c.asked = New(closed, store, WithOthers(c.asked.others), WithRecordings(kept(t, recordings.Complete, recordings.Complete)))
	body := bodyOf(t, request(c.asked, "GET", base+"/recordings", ada))
	assert.Equal(t, 4, strings.Count(body, `"recordingId"`))
	assert.Regexp(t, `(?s)r-1".*r-1".*r-2".*r-2"`, body, "by the time that they began at")
	c.asked.others = func() []string { return nil }
	assert.Equal(t, 2, strings.Count(bodyOf(t, request(c.asked, "GET", base+"/recordings", ada)), `"recordingId"`))
}

func TestWhatNoNodeHasIsNotFound(t *testing.T) {
	t.Parallel()
	c := newCluster(t, withCalls(t, "c-1"), kept(t, recordings.Complete), noTranscriptions{})
	for _, path := range []string{"/calls/c-9/recordings", "/calls/c-1/recordings/r-9", "/calls/c-1/recordings/r-9/media", "/calls/c-9/transcriptions"} {
		requireError(t, request(c.asked, "GET", base+path, ada), http.StatusNotFound, "validation")
	}
	requireError(t, request(c.asked, "POST", recordingPath+"9/transcription", ada, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Body = io.NopCloser(strings.NewReader(`{}`))
	}), http.StatusNotFound, "validation")
	assert.Positive(t, c.requests.Load())
}

// What this node would have said is not mixed into what another says.
func TestAnAnswerThatIsPassedOnIsTheOtherNodesAlone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, withCalls(t, "c-1"), kept(t, recordings.Complete, recordings.Complete), noTranscriptions{})
	front := httptest.NewServer(c.asked.Handler())
	t.Cleanup(front.Close)
	client, conns := front.Client(), map[string]bool{}
	ask := func(method, path string) *http.Response {
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) { conns[i.Conn.LocalAddr().String()] = true },
		}), method, front.URL+path, nil)
		require.NoError(t, err)
		ada(req)
		res, err := client.Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res
	}
	gone := ask("DELETE", recordingPath)
	assert.Equal(t, http.StatusNoContent, gone.StatusCode)
	for name, values := range gone.Header {
		assert.Contains(t, []string{"Cache-Control", "Date", "X-Content-Type-Options"}, name, "%v", values)
		assert.Len(t, values, 1, name)
	}
	sound := ask("GET", base+"/calls/c-1/recordings/r-2/media")
	assert.Equal(t, []string{"audio/vnd.wave"}, sound.Header["Content-Type"])
	missing := ask("GET", recordingPath)
	assert.Equal(t, http.StatusNotFound, missing.StatusCode)
	assert.Equal(t, []string{"application/json; charset=utf-8"}, missing.Header["Content-Type"])
	// RFC 9110 section 7.6.1: what is said of the connection between two nodes is not said of the client's.
	assert.Len(t, conns, 1, "the client's connection stays")
}

func TestANodeThatCannotBeAskedIsLogged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	address := "http://" + gone(t)
	s := New(open, withCalls(t, "c-1"), WithOthers(func() []string { return []string{address} }), WithLogger(zap.New(core)))
	for path, callID := range map[string]any{
		"/calls/c-1/recordings/r-1": "c-1", "/calls/c-1/recordings": "c-1", "/calls/c-1/transcriptions/t-1": "c-1", "/recordings": nil,
	} {
		request(s, "GET", base+path)
		lines := logs.TakeAll()
		require.Len(t, lines, 1, path)
		assert.Equal(t, "another node could not be asked, and what it has is missing in an answer", lines[0].Message)
		assert.Equal(t, address, lines[0].ContextMap()["node"])
		assert.Equal(t, callID, lines[0].ContextMap()["call_id"], path)
		assert.Contains(t, lines[0].ContextMap()["error"], "refused")
	}
}

// full is a listener whose queue is full: it lets nobody in, and refuses nobody.
func full(t *testing.T) net.Listener {
	t.Helper()
	l := silent(t)
	raw, err := l.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	var shrunk error
	require.NoError(t, raw.Control(func(fd uintptr) { shrunk = syscall.Listen(int(fd), 0) })) // one may wait
	require.NoError(t, shrunk)
	waits, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = waits.Close() })
	return l
}

// silent is a listener that never answers.
func silent(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestANodeThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, listens := range map[string]func(*testing.T) net.Listener{"it lets nobody in": full, "it says nothing": silent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.WarnLevel)
			address := "http://" + listens(t).Addr().String()
			s := New(open, withCalls(t, "c-1"), WithOthers(func() []string { return []string{address} }), WithLogger(zap.New(core)))
			s.client = newOthersClient(50 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // longer than a busy machine keeps anybody from running
			defer cancel()
			requireError(t, request(s, "GET", base+"/calls/c-1/recordings/r-1", func(r *http.Request) { *r = *r.WithContext(ctx) }), http.StatusNotFound, "validation")
			require.Equal(t, 1, logs.Len())
			assert.Contains(t, logs.All()[0].ContextMap()["error"], "timeout")
		})
	}
}

func TestWhoMayNotAskHasNobodyAsked(t *testing.T) {
	t.Parallel()
	c := newCluster(t, withCalls(t, "c-1"), kept(t, recordings.Complete), noTranscriptions{})
	requireError(t, request(c.asked, "GET", base+"/recordings", as("ada", "wrong")), http.StatusUnauthorized, "authentication-error")
	requireError(t, request(c.asked, "GET", base+"/recordings?minStartTime=x", ada), http.StatusBadRequest, "validation")
	requireError(t, request(c.asked, "GET", "/api/v2/accounts/9/recordings", ada), http.StatusForbidden, "authorization-error")
	assert.Zero(t, c.requests.Load())
}
