package node

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
)

func TestAJournalIsGivenToTheSIPStackAsItWasTold(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := at.Add(time.Second)
	refer := func(r state.Refer) state.Entry {
		return state.Entry{Type: state.TypeVerb, Verb: &state.Verb{Event: state.VerbProgress, Name: "Refer", Refer: &r}}
	}
	entries := []state.Entry{
		{Time: at, Type: state.TypeSIP, SIP: &state.SIP{
			Direction: "in", Transport: "udp", Local: "10.0.0.1:5060", Remote: "10.0.0.2:5060", Method: "INVITE", CSeq: 7, Raw: "INVITE …",
		}},
		{Time: later, Type: state.TypeSIP, SIP: &state.SIP{Direction: "out", Method: "INVITE", Code: 200, Reason: "OK", CSeq: 7}},
		{Type: state.TypeDialog, Dialog: &state.Dialog{Snapshot: json.RawMessage(`{"v":1}`)}},
		{Type: state.TypeDialog, Dialog: &state.Dialog{Snapshot: json.RawMessage(`{"v":2}`)}},
		refer(state.Refer{ID: "r-1", Target: "sip:bob@example.com", SentTime: at, Status: state.ReferPending}),
		refer(state.Refer{
			ID: "r-1", Target: "sip:bob@example.com", SentTime: at, AcceptedTime: &at, EndTime: &later, ReferSIPResponseCode: 202, NotifySIPResponseCode: 486,
			Status: "failed", Evidence: "notify",
		}),
		refer(state.Refer{ID: "r-2", SentTime: later, ReferSIPResponseCode: 481, Status: "failed", Evidence: sipstack.EvidenceRejected}),
	}
	saved := savedOf("c-1", entries)
	assert.Equal(t, sipstack.Saved{
		CallID: "c-1",
		Messages: []sipstack.Message{
			{Time: at, In: true, Transport: "udp", Local: "10.0.0.1:5060", Remote: "10.0.0.2:5060", Method: "INVITE", CSeq: 7, Raw: "INVITE …"},
			{Time: later, Method: "INVITE", Code: 200, Reason: "OK", CSeq: 7},
		},
		Snapshot: json.RawMessage(`{"v":2}`),
		Refers: []sipstack.ReferState{
			{ID: "r-1", Target: "sip:bob@example.com", Sent: at, Accepted: at, Ended: later, ReferCode: 202, NotifyCode: 486, Status: "failed", Evidence: "notify"},
			{ID: "r-2", Sent: later, ReferCode: 481, Status: "failed", Evidence: sipstack.EvidenceRejected, DialogLost: true},
		},
	}, saved)

	over := savedOf("c-1", append(entries, state.Entry{Type: state.TypeCall, Call: &state.Call{Event: state.CallEnded}}))
	assert.True(t, over.Over)
}

func TestOnlyACodeThatLosesTheDialogIsReadBackAsThat(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code     int
		evidence string
		lost     bool
	}{
		"481":                            {481, sipstack.EvidenceRejected, true},
		"408":                            {408, sipstack.EvidenceRejected, true},
		"603":                            {603, sipstack.EvidenceRejected, false},
		"481 that ended nothing":         {481, "", false},
		"202, and the NOTIFY told of it": {202, sipstack.EvidenceRejected, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.lost, referOf(state.Refer{ReferSIPResponseCode: tc.code, Evidence: tc.evidence}).DialogLost)
		})
	}
}

func TestAnEventAboutATextIsOwedOnce(t *testing.T) {
	t.Parallel()
	owed := func(event, eventType, owed string) state.Entry {
		return state.Entry{Type: state.TypeWebhook, Webhook: &state.Webhook{Event: event, EventType: eventType, Owed: json.RawMessage(owed)}}
	}
	journal := []state.Entry{
		{Type: state.TypeCall, Call: &state.Call{Event: state.CallInitiated}},
		owed(state.WebhookOwed, "realTimeTranscriptionStopped", `{"id":"t-1"}`),
		owed(state.WebhookReply, "realTimeTranscriptionAvailable", `{"id":"t-1"}`),
	}
	assert.True(t, owedOf(journal, "realTimeTranscriptionStopped", "t-1"))
	assert.False(t, owedOf(journal, "realTimeTranscriptionStopped", "t-2"), "another text")
	assert.False(t, owedOf(journal, "realTimeTranscriptionAvailable", "t-1"), "asked for, not owed")
	assert.False(t, owedOf(nil, "realTimeTranscriptionStopped", "t-1"))
}
