package api

import (
	"net/http"
	"testing"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestUnknownPathsAreNotFound(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"))
	for _, path := range []string{
		"/", "/nowhere", "/metrics", "/healthz/more", "/api/v2", "/api/v2/accounts", base, base + "/", base + "/calls/", base + "/calls/c-1/",
		base + "/calls/c-1/journal/1", base + "/calls/c-1/bxml", base + "/calls/c-1/recordings", base + "/conferences", base + "/recordings", base + "/statistics",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			requireError(t, request(s, "GET", path), http.StatusNotFound, "validation")
		})
	}
}

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"), WithMetrics(metricsHandler()))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", base + "/calls", base + "/calls/c-1", base + "/calls/c-1/journal"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			r := request(s, method, path)
			assert.Equal(t, "GET, HEAD", r.Header.Get("Allow"), "%s %s", method, path)
			requireError(t, r, http.StatusMethodNotAllowed, "validation")
		}
	}
}

func TestHealthSaysThatTheProcessLives(t *testing.T) {
	t.Parallel()
	r := request(New(open, withCalls(t), WithReady(func() (bool, string) { return false, "draining" })), "GET", "/healthz")
	assert.Equal(t, http.StatusOK, r.StatusCode)
}

func TestReadinessSaysWhyNot(t *testing.T) {
	t.Parallel()
	ready, reason := false, "draining"
	s := New(open, withCalls(t), WithReady(func() (bool, string) { return ready, reason }))
	r := request(s, "GET", "/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
	assert.Equal(t, "text/plain; charset=utf-8", r.Header.Get("Content-Type"))
	assert.Equal(t, "draining\n", bodyOf(t, r))
	ready = true
	assert.Equal(t, http.StatusOK, request(s, "GET", "/readyz").StatusCode)
}

func TestAPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.ErrorLevel)
	s := New(open, &brokenStore{records: func() ([]state.Record, string, error) { panic("geheim") }}, WithLogger(zap.New(core)))
	r := request(s, "GET", base+"/calls")
	assert.NotContains(t, requireError(t, r, http.StatusInternalServerError, "internal-error"), "geheim")
	require.Equal(t, 1, logs.Len())
	assert.Contains(t, logs.All()[0].ContextMap(), "stack")
}

func TestAPanicWithinAnAnswerCutsItOff(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t), WithMetrics(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half an ans"))
		panic("no more")
	})))
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { request(s, "GET", "/metrics") })
}
