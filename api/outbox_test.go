package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testOutbox holds events, and notes what is resent.
type testOutbox struct {
	events []OutboxEvent
	resent []string
	err    error
}

func (o *testOutbox) Events(context.Context) ([]OutboxEvent, error) { return o.events, o.err }

func (o *testOutbox) Resend(_ context.Context, id string) error {
	if o.err != nil {
		return o.err
	}
	for _, e := range o.events {
		if e.EventID == id {
			o.resent = append(o.resent, id)
			return nil
		}
	}
	return ErrNoEvent
}

func (o *testOutbox) ResendAll(context.Context) (int, error) { return len(o.events), o.err }

const outboxPath = "/api/v2/accounts/" + account + "/outbox"

func TestOutboxIsListed(t *testing.T) {
	at := time.Date(2026, 3, 2, 14, 5, 4, 0, time.UTC)
	o := &testOutbox{events: []OutboxEvent{
		{EventID: "e-1", EventType: "disconnect", CallID: "c-1", Method: "POST", URL: "https://a.example/", State: EventDead, OwedTime: at, Attempts: 1, DeadTime: &at, LastError: "status 404"},
		{EventID: "e-2", EventType: "disconnect", CallID: "c-2", Method: "POST", URL: "https://a.example/", State: EventOwed, OwedTime: at},
	}}
	s := New(open, withCalls(t), WithOutbox(o))
	const first = `{"eventId":"e-1","eventType":"disconnect","callId":"c-1","method":"POST","url":"https://a.example/","state":"dead",
		"owedTime":"2026-03-02T14:05:04Z","attempts":1,"deadTime":"2026-03-02T14:05:04Z","lastError":"status 404"}`
	const second = `{"eventId":"e-2","eventType":"disconnect","callId":"c-2","method":"POST","url":"https://a.example/","state":"owed",
		"owedTime":"2026-03-02T14:05:04Z","attempts":0}`
	for query, want := range map[string]string{
		"": "[" + first + "," + second + "]", "?state=dead": "[" + first + "]", "?state=owed": "[" + second + "]",
	} {
		r := request(s, "GET", outboxPath+query)
		require.Equal(t, 200, r.StatusCode)
		assert.JSONEq(t, want, bodyOf(t, r), query)
	}
	assert.Contains(t, requireError(t, request(s, "GET", outboxPath+"?state=lost"), 400, "validation"), "Invalid state")
	assert.JSONEq(t, `[]`, bodyOf(t, request(New(open, withCalls(t)), "GET", outboxPath)), "of a server without one")
}

func TestOutboxIsResent(t *testing.T) {
	o := &testOutbox{events: []OutboxEvent{{EventID: "e-1"}, {EventID: "e-2"}}}
	s := New(open, withCalls(t), WithOutbox(o))
	r := request(s, "POST", outboxPath+"/e-1/resend")
	require.Equal(t, 202, r.StatusCode)
	assert.JSONEq(t, `{"events":1}`, bodyOf(t, r))
	assert.Equal(t, []string{"e-1"}, o.resent)
	r = request(s, "POST", outboxPath+"/resend")
	require.Equal(t, 202, r.StatusCode)
	assert.JSONEq(t, `{"events":2}`, bodyOf(t, r))
	requireError(t, request(s, "POST", outboxPath+"/e-9/resend"), 404, "validation")
	requireError(t, request(New(open, withCalls(t)), "POST", outboxPath+"/e-1/resend"), 404, "validation")

	o.err = errors.New("the disk is gone")
	requireError(t, request(s, "GET", outboxPath), 500, "internal-error")
	requireError(t, request(s, "POST", outboxPath+"/e-1/resend"), 500, "internal-error")
	requireError(t, request(s, "POST", outboxPath+"/resend"), 500, "internal-error")
}
