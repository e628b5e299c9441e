package interpreter

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAJournalTellsWhereACallWas reads what comes after the beginning of a journal.
func TestAJournalTellsWhereACallWas(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 14, 5, 4, 0, time.UTC)
	call := func(c state.Call) state.Entry { return state.Entry{Type: state.TypeCall, Call: &c} }
	verb := func(v state.Verb) state.Entry { return state.Entry{Type: state.TypeVerb, Verb: &v} }
	hook := func(w state.Webhook) state.Entry { return state.Entry{Type: state.TypeWebhook, Webhook: &w} }
	document := state.Entry{Type: state.TypeDocument, Document: &state.Document{URL: "http://app/1", Body: "<Response/>"}}
	answered := call(state.Call{Event: state.CallAnswered, At: at.Add(time.Second)})
	started := verb(state.Verb{Event: state.VerbStarted, Name: "Refer", Line: 1, Column: 11})
	next := verb(state.Verb{Event: state.VerbEnded, Name: "Refer", Next: nextVerb})
	asked := hook(state.Webhook{Event: state.WebhookRequest, EventID: "e-1", EventType: "gather", Body: json.RawMessage(`{"a":1}`)})
	change := call(state.Call{Event: state.CallModified, Change: state.ChangeDocument, Follow: json.RawMessage(`{"url":"http://app/2","document":"PFJlc3BvbnNlLz4="}`)})

	for name, tc := range map[string]struct {
		then  []state.Entry
		check func(t *testing.T, r Resumption)
	}{
		"nothing was asked yet": {nil, func(t *testing.T, r Resumption) {
			assert.Nil(t, r.document)
			assert.Empty(t, r.asked)
			assert.Equal(t, "tag", r.Call.Tag)
			assert.Equal(t, at, r.Call.StartTime)
		}},
		"the first document is there": {[]state.Entry{document}, func(t *testing.T, r Resumption) {
			assert.Equal(t, "http://app/1", r.document.URL)
			assert.False(t, r.begun)
		}},
		"a verb has begun, and the call was answered in it": {[]state.Entry{document, started, answered}, func(t *testing.T, r Resumption) {
			assert.True(t, r.begun)
			assert.Equal(t, verbs.Position{Line: 1, Column: 11}, r.at)
			assert.Equal(t, at.Add(time.Second), r.since)
			assert.True(t, r.Call.Answered())
		}},
		"a verb has begun, and has not come to the answer": {[]state.Entry{document, started}, func(t *testing.T, r Resumption) {
			assert.Zero(t, r.since)
		}},
		"the next verb is due": {[]state.Entry{document, started, answered, next}, func(t *testing.T, r Resumption) {
			assert.False(t, r.begun)
			assert.Equal(t, 1, r.next)
		}},
		"a REFER was sent in the verb": {[]state.Entry{document, started, verb(state.Verb{Event: state.VerbProgress, Refer: &state.Refer{ID: "1"}})}, func(t *testing.T, r Resumption) {
			assert.True(t, r.Referred)
		}},
		"a REFER was sent in the verb before": {[]state.Entry{document, started, verb(state.Verb{Event: state.VerbProgress, Refer: &state.Refer{ID: "1"}}), next, started}, func(t *testing.T, r Resumption) {
			assert.False(t, r.Referred)
		}},
		"the reply to an event is out": {[]state.Entry{document, started, asked}, func(t *testing.T, r Resumption) {
			assert.Equal(t, "e-1", r.asked["gather"].ID)
			assert.JSONEq(t, `{"a":1}`, string(r.asked["gather"].Body))
		}},
		"the event was that of the verb before": {[]state.Entry{document, started, asked, next, started}, func(t *testing.T, r Resumption) {
			assert.Empty(t, r.asked)
		}},
		"a new document is not there yet": {[]state.Entry{document, started, asked, verb(state.Verb{Event: state.VerbEnded, Name: "Refer", Next: nextDocument})}, func(t *testing.T, r Resumption) {
			assert.True(t, r.begun, "the verb is done once more")
			assert.Contains(t, r.asked, "gather")
		}},
		"a change through the API is to be followed": {[]state.Entry{document, started, asked, change}, func(t *testing.T, r Resumption) {
			changes, err := r.changes()
			require.NoError(t, err)
			require.Len(t, changes, 1)
			assert.Equal(t, "<Response/>", string(changes[0].document.Body))
			assert.Empty(t, r.asked)
		}},
		"a change through the API was followed": {[]state.Entry{document, started, change, document}, func(t *testing.T, r Resumption) {
			assert.Empty(t, r.follow)
		}},
		"the call is about to end in order": {[]state.Entry{document, started, verb(state.Verb{Event: state.VerbEnded, Next: nextEnd, Cause: "hangup", Error: "the caller hung up"})}, func(t *testing.T, r Resumption) {
			assert.Equal(t, verbs.CauseHangup, r.ending.cause)
			assert.Empty(t, r.message)
		}},
		"the call is about to end with an error": {[]state.Entry{document, started, verb(state.Verb{Event: state.VerbEnded, Next: nextEnd, Cause: "callback-error", Error: "no reply"})}, func(t *testing.T, r Resumption) {
			assert.Equal(t, verbs.CauseCallbackError, r.ending.cause)
			assert.Equal(t, "no reply", r.message)
		}},
		"a document was refused": {[]state.Entry{{Type: state.TypeDocument, Document: &state.Document{Error: "1:1: no verb"}}}, func(t *testing.T, r Resumption) {
			assert.Equal(t, verbs.CauseInvalidBXML, r.ending.cause)
			assert.Equal(t, "1:1: no verb", r.message)
		}},
		"the call has ended, and nobody was told": {[]state.Entry{call(state.Call{Event: state.CallEnded, Cause: "hangup", At: at.Add(time.Minute)})}, func(t *testing.T, r Resumption) {
			assert.Equal(t, at.Add(time.Minute), r.end.Time)
			assert.False(t, r.told)
		}},
		"the call has ended, and its end is owed": {[]state.Entry{
			call(state.Call{Event: state.CallEnded, Outlived: true}), hook(state.Webhook{Event: state.WebhookOwed, EventType: "disconnect"}),
		}, func(t *testing.T, r Resumption) {
			assert.True(t, r.told)
			assert.True(t, r.outlives)
			assert.False(t, r.settled)
		}},
		"what goes on behind the verbs": {[]state.Entry{
			document, verb(state.Verb{Event: state.VerbStarted, Name: "StartGather"}), verb(state.Verb{Event: state.VerbEnded, Name: "StartGather", Next: nextVerb}),
		}, func(t *testing.T, r Resumption) {
			require.Len(t, r.behind, 1)
			assert.Equal(t, "StartGather", r.behind[0].name)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tag := "tag"
			journal := append([]state.Entry{call(state.Call{Event: state.CallInitiated, ApplicationID: "app", From: "sip:a@b", Tag: &tag, At: at})}, tc.then...)
			for i := range journal {
				journal[i].CallID, journal[i].Time = "c-1", at.Add(time.Duration(i)*time.Millisecond)
			}
			r, err := ReadResumption(journal)
			require.NoError(t, err)
			assert.Equal(t, "app", r.Call.ApplicationID)
			tc.check(t, r)
		})
	}
}

func TestACallThatHasNotBegunIsSaidToHaveNot(t *testing.T) {
	t.Parallel()
	_, err := ReadResumption([]state.Entry{{CallID: "c-1", Type: state.TypeSIP, SIP: &state.SIP{Method: "INVITE"}}})
	require.ErrorIs(t, err, ErrNotBegun)
}
