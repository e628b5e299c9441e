package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func recordOf(entries []Entry) Record {
	var r Record
	for _, e := range entries {
		r.Apply(e)
	}
	return r
}

func TestARecordIsItsJournalApplied(t *testing.T) {
	t.Parallel()
	hangup := "hangup"
	assert.Equal(t, Record{
		ApplicationID: "0f6f3a52-7c1d-4b7e-9a58-2d1f6c0b9e44", AccountID: "5500001", CallID: testCall,
		To: "sip:front-desk@sip.example.com", From: "sip:alice@caller.example.com", Direction: "inbound",
		State: StateDisconnected, Tag: "sales", SIPCallID: "7f2c9d1e44b0@caller.example.com",
		StartTime: &began, AnswerTime: after(24), EndTime: after(5121), DisconnectCause: &hangup,
		LastUpdate: *after(5128),
		Refers: []Refer{{
			ID: "100", Target: "sip:sales@192.0.2.99", SentTime: *after(25), AcceptedTime: after(31), EndTime: after(2212),
			ReferSIPResponseCode: 202, NotifySIPResponseCode: 486, Status: ReferFailure, Billable: true, Evidence: "final-notify",
		}},
	}, recordOf(failingAndRecovering()))
}

func TestStatesOfACall(t *testing.T) {
	t.Parallel()
	event := func(name string) Entry {
		return Entry{CallID: "c-1", Type: TypeCall, Time: began, Call: &Call{Event: name}}
	}
	for name, tc := range map[string]struct {
		events []string
		want   string
	}{
		"nothing yet":              {nil, ""},
		"initiated":                {[]string{CallInitiated}, StateInitiated},
		"ringing is no state":      {[]string{CallInitiated, CallRinging}, StateInitiated},
		"answered":                 {[]string{CallInitiated, CallAnswered}, StateAnswered},
		"ended unanswered":         {[]string{CallInitiated, CallEnded}, StateDisconnected},
		"ended":                    {[]string{CallInitiated, CallAnswered, CallEnded}, StateDisconnected},
		"an answer after the end":  {[]string{CallInitiated, CallEnded, CallAnswered}, StateDisconnected},
		"an event that is unknown": {[]string{CallInitiated, "teleported"}, StateInitiated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r Record
			for _, e := range tc.events {
				r.Apply(event(e))
			}
			assert.Equal(t, tc.want, r.State)
		})
	}
}

func TestACallEndsOnce(t *testing.T) {
	t.Parallel()
	var r Record
	r.Apply(Entry{Time: began, Call: &Call{Event: CallInitiated}})
	r.Apply(Entry{Time: began, Call: &Call{Event: CallEnded, Cause: "error", ErrorMessage: "no ACK", ErrorID: "e-1"}})
	r.Apply(Entry{Time: began.Add(time.Second), Call: &Call{Event: CallEnded, Cause: "hangup"}})
	assert.Equal(t, "error", *r.DisconnectCause)
	assert.Equal(t, "no ACK", *r.ErrorMessage)
	assert.Equal(t, "e-1", *r.ErrorID)
	assert.Equal(t, began, *r.EndTime)
}

func TestATagCanBeClearedInTheRecord(t *testing.T) {
	t.Parallel()
	var r Record
	for _, tag := range []string{"first", "second", ""} {
		r.Apply(Entry{Time: began, Call: &Call{Event: CallTagged, Tag: &tag}})
		assert.Equal(t, tag, r.Tag)
	}
}

func TestWhatDoesNotConcernTheRecordLeavesItAlone(t *testing.T) {
	t.Parallel()
	r := recordOf(failingAndRecovering())
	before := r
	later := began.Add(time.Hour)
	r.Apply(Entry{Time: later, SIP: &SIP{}})
	r.Apply(Entry{Time: later, Verb: &Verb{Event: VerbStarted}})
	r.Apply(Entry{Time: later, Type: "of a later version"})
	assert.Equal(t, before, r)
}

func TestRefersOfARecord(t *testing.T) {
	t.Parallel()
	pending := Refer{ID: "100", Target: "sip:x@y", SentTime: began, Status: ReferPending}
	accepted := pending
	accepted.AcceptedTime, accepted.ReferSIPResponseCode = after(10), 202
	failed := accepted
	failed.EndTime, failed.NotifySIPResponseCode, failed.Status, failed.Evidence = after(20), 486, ReferFailure, "final-notify"
	rejected := pending
	rejected.EndTime, rejected.ReferSIPResponseCode, rejected.Status, rejected.Evidence = after(5), 405, ReferFailure, "rejected"
	unanswered := pending // no answer to the REFER, but the NOTIFY that was held decides
	unanswered.EndTime, unanswered.NotifySIPResponseCode, unanswered.Status, unanswered.Evidence = after(32000), 200, ReferSuccess, "final-notify"
	timedOut := pending
	timedOut.EndTime, timedOut.Status, timedOut.Evidence = after(32000), ReferFailure, "no-response"
	second := Refer{ID: "103", Target: "sip:z@y", SentTime: *after(50), Status: ReferPending}

	billable := func(r Refer) Refer { r.Billable = true; return r }
	for name, tc := range map[string]struct {
		steps []Refer
		want  []Refer
	}{
		"sent":                               {[]Refer{pending}, []Refer{pending}},
		"accepted: billable from here":       {[]Refer{pending, accepted}, []Refer{billable(accepted)}},
		"failed after its acceptance":        {[]Refer{pending, accepted, failed}, []Refer{billable(failed)}},
		"rejected: not billable":             {[]Refer{pending, rejected}, []Refer{rejected}},
		"a held NOTIFY decides: billable":    {[]Refer{pending, unanswered}, []Refer{billable(unanswered)}},
		"no answer: not billable":            {[]Refer{pending, timedOut}, []Refer{timedOut}},
		"what is over stays as it ended":     {[]Refer{rejected, accepted}, []Refer{rejected}},
		"each has its own":                   {[]Refer{pending, rejected, second}, []Refer{rejected, second}},
		"a password in the target is masked": {[]Refer{{ID: "1", Target: "sip:u:secret@h", Status: ReferPending}}, []Refer{{ID: "1", Target: "sip:u:***@h", Status: ReferPending}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r Record
			for _, step := range tc.steps {
				r.Apply(Entry{Time: began, Type: TypeVerb, Verb: &Verb{Event: VerbProgress, Name: "Refer", Refer: &step}})
			}
			assert.Equal(t, tc.want, r.Refers)
		})
	}
}

func TestARecordTellsNoPassword(t *testing.T) {
	t.Parallel()
	var r Record
	r.Apply(Entry{Time: began, Call: &Call{Event: CallInitiated, From: "sip:alice:geheim@host", To: "sips:bob:geheim@host:5061"}})
	r.Apply(Entry{Time: began, Call: &Call{Event: CallEnded, Cause: "callback-error", ErrorMessage: "POST https://u:geheim@app/x: refused"}})
	assert.Equal(t, "sip:alice:***@host", r.From)
	assert.Equal(t, "sips:bob:***@host:5061", r.To)
	require.NotNil(t, r.ErrorMessage)
	assert.Equal(t, "POST https://***@app/x: refused", *r.ErrorMessage)
}
