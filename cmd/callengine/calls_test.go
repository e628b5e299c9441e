package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeAPI answers like a node that had two calls, on two pages.
func fakeAPI(t *testing.T) *httptest.Server {
	const calls = "/api/v2/accounts/5555555/calls"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+calls, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("pageToken") == "" {
			w.Header().Set("Link", "<http://public.example"+calls+`?pageToken=two>; rel="next"`)
			fmt.Fprint(w, `[{"callId":"c-1","from":"sip:a@x","to":"sip:b@y","state":"disconnected","startTime":"2026-03-02T14:05:04.113Z",
				"answerTime":"2026-03-02T14:05:05.000Z","endTime":"2026-03-02T14:05:12.340Z","disconnectCause":"hangup","parentCallId":null,
				"refers":[{"id":"2","target":"sip:c@z","status":"failure","evidence":"rejected","referSipResponseCode":405,"notifySipResponseCode":null}]}]`)
			return
		}
		fmt.Fprint(w, `[{"callId":"c-2","from":"sip:\u001b[31m@x","to":"sip:b@y","state":"initiated","startTime":"2026-03-02T14:06:00.000Z",
			"answerTime":null,"endTime":null,"disconnectCause":null,"refers":[{"id":"2","status":"pending"}]}]`)
	})
	mux.HandleFunc("GET "+calls+"/{id}/journal", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "c-1" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"type":"validation","description":"Call [%s] not found","id":null}`, r.PathValue("id"))
			return
		}
		fmt.Fprintln(w, `{"seq":1,"time":"2026-03-02T14:05:04.113Z","callId":"c-1","type":"sip","sip":{"direction":"in","transport":"udp","local":"127.0.0.1:5060","remote":"127.0.0.1:5062","method":"INVITE","cseq":1,"raw":"INVITE sip:b@y SIP/2.0\r\n\r\n"}}`)
		fmt.Fprintln(w, `{"seq":2,"time":"2026-03-02T14:05:04.114Z","callId":"c-1","type":"call","call":{"event":"initiated","from":"sip:a@x","to":"sip:b@y","direction":"inbound"}}`)
		fmt.Fprintln(w, `{"seq":3,"time":"2026-03-02T14:05:05.113Z","callId":"c-1","type":"call","call":{"event":"ended","cause":"hangup"}}`)
	})
	const outbox = "/api/v2/accounts/5555555/outbox"
	mux.HandleFunc("GET "+outbox, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"eventId":"e-1","eventType":"disconnect","callId":"c-1","method":"POST","url":"https://app.example.com/","state":"dead",
			"owedTime":"2026-03-02T14:05:04.113Z","deadTime":"2026-03-02T14:05:05Z","attempts":1,"lastError":"status 404"},
			{"eventId":"e-2","eventType":"disconnect","callId":"c-2","method":"POST","url":"https://app.example.com/","state":"owed",
			"owedTime":"2026-03-02T14:05:04.113Z","nextTime":"2026-03-02T14:05:05Z","attempts":3,"lastError":"status 503"}]`)
	})
	mux.HandleFunc("POST "+outbox+"/resend", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"events":7}`)
	})
	mux.HandleFunc("POST "+outbox+"/e-1/resend", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"events":1}`)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ops" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// credentials is the environment of somebody who may ask the fake.
var credentials = []string{"CALLENGINE_API_USERNAME=ops", "CALLENGINE_API_PASSWORD=secret"}

func TestCallsListsEveryPage(t *testing.T) {
	api := fakeAPI(t)
	got := run(t, "", credentials, "calls", "--api", api.URL)
	require.Equal(t, exitFine, got.code, got.err)
	lines := linesOf(got.out)
	require.Len(t, lines, 3)
	assert.Equal(t, []string{"START", "CALL", "FROM", "TO", "STATE", "DURATION", "REFER"}, strings.Fields(lines[0]))
	assert.Contains(t, lines[1], "c-1   sip:a@x      sip:b@y  disconnected (hangup)  7.3s      failure (rejected)")
	assert.Contains(t, lines[2], "c-2   sip:\uFFFD[31m@x  sip:b@y  initiated              -         pending", "what a caller is called does not steer the terminal")
}

func TestCallShowsALadder(t *testing.T) {
	api := fakeAPI(t)
	got := run(t, "", append(credentials, "CALLENGINE_API_PUBLIC_URL="+api.URL), "call", "c-1")
	require.Equal(t, exitFine, got.code, got.err)
	assert.Contains(t, got.out, "INVITE")
	assert.NotContains(t, got.out, "\x1b", "no colours where there is no terminal")
}

func TestAnAPIThatRefusesIsQuoted(t *testing.T) {
	api := fakeAPI(t)
	got := run(t, "", credentials, "call", "--api", api.URL, "c-9")
	assert.Equal(t, exitFailed, got.code)
	assert.Equal(t, "callengine: the node answered 404 Not Found: Call [c-9] not found\n", got.err)

	got = run(t, "", nil, "calls", "--api", api.URL)
	assert.Equal(t, exitFailed, got.code)
	assert.Contains(t, got.err, "401 Unauthorized: it wants api.username and api.password")

	got = run(t, "", nil, "calls", "--api", "http://x:HIDDEN@127.0.0.1:1/")
	assert.Equal(t, exitFailed, got.code)
	assert.Contains(t, got.err, "callengine: no answer from the node at http://127.0.0.1:1: ")
	assert.NotContains(t, got.err, "HIDDEN")
}

func TestAnIDIsOnePartOfThePath(t *testing.T) {
	var path string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { path = r.RequestURI }))
	t.Cleanup(server.Close)
	run(t, "", nil, "call", "--api", server.URL+"/base/", "../../x?y")
	assert.Equal(t, "/base/api/v2/accounts/5555555/calls/..%2F..%2Fx%3Fy/journal", path)
}

func TestColoursAreForTerminals(t *testing.T) {
	terminal, err := os.Open(os.DevNull) // a character device, as terminals are
	require.NoError(t, err)
	defer func() { require.NoError(t, terminal.Close()) }()
	assert.True(t, (&program{}).colored(terminal))
	assert.True(t, (&program{env: []string{"NO_COLOR="}}).colored(terminal), "no-color.org: when set and not empty")
	assert.False(t, (&program{env: []string{"NO_COLOR=1"}}).colored(terminal))
	assert.False(t, (&program{env: []string{"TERM=dumb"}}).colored(terminal))
	assert.False(t, (&program{}).colored(&console{}))
}
