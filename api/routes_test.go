package api

import (
	"net/http"
	"strings"
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
		base + "/calls/c-1/journal/1", base + "/calls/c-1/bxml/1", base + "/conference", base + "/recordings/r-1", "/api/v1/oauth2/token",
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
	for path, allowed := range map[string]string{
		"/healthz": "GET, HEAD", "/readyz": "GET, HEAD", "/metrics": "GET, HEAD", base + "/calls/c-1/journal": "GET, HEAD",
		base + "/calls": "GET, HEAD, POST", base + "/calls/c-1": "GET, HEAD, POST", base + "/calls/c-1/bxml": "PUT",
		base + "/statistics": "GET, HEAD", base + "/conferences/conf-1": "GET, HEAD, POST",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			if strings.Contains(allowed, method) {
				continue
			}
			r := request(s, method, path)
			assert.Equal(t, allowed, r.Header.Get("Allow"), "%s %s", method, path)
			requireError(t, r, http.StatusMethodNotAllowed, "validation")
		}
	}
}

func TestWhatIsNotHereYetSaysSo(t *testing.T) { // docs/api.md
	t.Parallel()
	s := New(open, withCalls(t, "c-1"))
	for _, operation := range []string{
		"POST /calls",
		"GET /conferences", "GET /conferences/conf-1", "POST /conferences/conf-1", "PUT /conferences/conf-1/bxml",
		"GET /conferences/conf-1/members/c-1", "PUT /conferences/conf-1/members/c-1",
		"GET /conferences/conf-1/recordings", "GET /conferences/conf-1/recordings/r-1", "GET /conferences/conf-1/recordings/r-1/media",
		"GET /endpoints", "POST /endpoints", "GET /endpoints/e-1", "DELETE /endpoints/e-1", "PUT /endpoints/e-1/bxml",
		"GET /statistics",
	} {
		method, path, _ := strings.Cut(operation, " ")
		requireError(t, request(s, method, base+path), http.StatusNotImplemented, "error")
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
