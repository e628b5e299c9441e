package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = "5500001"

const base = "/api/v2/accounts/" + account

var began = time.Date(2026, 3, 2, 14, 5, 4, 120_900_000, time.UTC)

// hide masks documents in these tests.
func hide(document string) string { return strings.ReplaceAll(document, "geheim", "***") }

// open is the configuration of an API that asks for no credentials.
var open = Config{AccountID: account, PublicURL: "https://calls.example.com/"}

// closed asks for them.
var closed = Config{AccountID: account, PublicURL: "https://calls.example.com", Username: "ada", Password: "lovelace"}

func initiated(id string, at time.Time) state.Entry {
	tag := "sales"
	return state.Entry{CallID: id, Type: state.TypeCall, Time: at, Call: &state.Call{
		Event: state.CallInitiated, AccountID: account, ApplicationID: "app-1", From: "sip:alice:geheim@h", To: "sip:desk@h",
		Direction: "inbound", SIPCallID: "7f2c@h", Tag: &tag,
	}}
}

// withCalls is a store with calls that lie a minute apart; every other one has ended.
func withCalls(t *testing.T, ids ...string) *state.Memory {
	t.Helper()
	m := state.NewMemory(state.MemoryConfig{})
	add := func(e state.Entry) {
		_, err := m.Append(t.Context(), e)
		require.NoError(t, err)
	}
	for i, id := range ids {
		at := began.Add(time.Duration(i) * time.Minute)
		add(initiated(id, at))
		if i%2 == 1 {
			add(state.Entry{CallID: id, Type: state.TypeCall, Time: at.Add(time.Second), Call: &state.Call{Event: state.CallEnded, Cause: "hangup"}})
		}
	}
	return m
}

// request is one to the handler of s.
func request(s *Server, method, target string, edit ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func as(username, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(username, password) }
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

// requireError holds the form of every error's answer (docs/journal.md).
func requireError(t *testing.T, r *http.Response, status int, kind string) (description string) {
	t.Helper()
	body := bodyOf(t, r)
	require.Equal(t, status, r.StatusCode, body)
	require.Equal(t, "application/json; charset=utf-8", r.Header.Get("Content-Type"))
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Len(t, got, 3)
	require.Contains(t, got, "id")
	require.Equal(t, kind, got["type"])
	require.NotEmpty(t, got["description"])
	return got["description"].(string)
}

// brokenStore fails, or does what its functions say.
type brokenStore struct {
	err     error
	records func() ([]state.Record, string, error)
	journal []state.Entry
}

var _ Store = (*brokenStore)(nil)

func (b *brokenStore) Journal(context.Context, string) ([]state.Entry, error) {
	return b.journal, b.err
}

func (b *brokenStore) Record(context.Context, string) (state.Record, error) {
	return state.Record{}, b.err
}

func (b *brokenStore) Records(context.Context, state.Query) ([]state.Record, string, error) {
	if b.records != nil {
		return b.records()
	}
	return nil, "", b.err
}
