package api

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serving runs s on a free port until the test or stop ends it; result is what Serve returned.
func serving(t *testing.T, s *Server) (address string, stop func(), result <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(cancel)
	return l.Addr().String(), cancel, done
}

// get uses a connection of its own.
func get(t *testing.T, method, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	r.Close = true
	res, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestServeAnswersUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	address, stop, result := serving(t, New(open, withCalls(t, "c-1")))
	assert.Equal(t, []string{"c-1"}, listed(t, get(t, "GET", "http://"+address+base+"/calls")))
	stop()
	require.NoError(t, <-result)
	_, err := net.Dial("tcp", address)
	assert.Error(t, err)
}

func TestWithoutAPublicURLLinksLeadToWhereItListens(t *testing.T) {
	t.Parallel()
	address, stop, result := serving(t, New(Config{AccountID: account}, withCalls(t, "c-1", "c-2")))
	link := get(t, "GET", "http://"+address+base+"/calls?pageSize=1").Header.Get("Link")
	assert.Contains(t, link, "<http://"+address+base+"/calls?")
	stop()
	require.NoError(t, <-result)
}

func TestHEADHasTheHeadersAndNoBody(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"), WithMetrics(metricsHandler()))
	address, stop, result := serving(t, s)
	for path, contentType := range map[string]string{
		"/healthz": "text/plain; charset=utf-8", "/readyz": "text/plain; charset=utf-8", "/metrics": "text/plain; charset=utf-8",
		base + "/calls": "application/json; charset=utf-8", base + "/calls/c-1": "application/json; charset=utf-8",
		base + "/calls/c-1/journal": "application/x-ndjson",
	} {
		r := get(t, "HEAD", "http://"+address+path)
		assert.Equal(t, http.StatusOK, r.StatusCode, path)
		assert.Equal(t, contentType, r.Header.Get("Content-Type"), path)
		assert.Empty(t, bodyOf(t, r), path)
	}
	stop()
	require.NoError(t, <-result)
}

func TestARequestOnItsWayIsAnsweredAtTheEnd(t *testing.T) {
	t.Parallel()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	s := New(open, withCalls(t), WithMetrics(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		writeText(w, http.StatusOK, "late")
	})))
	address, stop, result := serving(t, s)
	answer := make(chan string, 1)
	go func() {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		answer <- line
	}()
	<-arrived
	stop()
	close(goOn)
	assert.Equal(t, "HTTP/1.1 200 OK\r\n", <-answer)
	require.NoError(t, <-result)
}

func TestAHeaderThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	address, stop, result := serving(t, New(open, withCalls(t)))
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, _ = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 2*maxHeaderBytes))
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, " 431 ")
	stop()
	require.NoError(t, <-result)
}

func TestAListenerThatEndsByItselfIsAnError(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	assert.ErrorIs(t, New(open, withCalls(t)).Serve(t.Context(), l), net.ErrClosed)
}
