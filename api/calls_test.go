package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func listed(t *testing.T, r *http.Response) (ids []string) {
	t.Helper()
	body := bodyOf(t, r)
	require.Equal(t, http.StatusOK, r.StatusCode, body)
	require.Equal(t, "application/json; charset=utf-8", r.Header.Get("Content-Type"))
	var calls []struct{ CallID string }
	require.NoError(t, json.Unmarshal([]byte(body), &calls))
	for _, c := range calls {
		ids = append(ids, c.CallID)
	}
	return ids
}

func TestACallHasAllItsFieldsWithNullForWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"))
	r := request(s, "GET", base+"/calls/c-1")
	require.Equal(t, http.StatusOK, r.StatusCode)
	assert.Equal(t, "application/json; charset=utf-8", r.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	assert.Equal(t, `{"applicationId":"app-1","accountId":"5500001","callId":"c-1","parentCallId":null,`+
		`"to":"sip:desk@h","from":"sip:alice:***@h","direction":"inbound","state":"initiated","stirShaken":null,"identity":null,`+
		`"enqueuedTime":null,"startTime":"2026-03-02T14:05:04.120Z","answerTime":null,"endTime":null,`+
		`"disconnectCause":null,"errorMessage":null,"errorId":null,"lastUpdate":"2026-03-02T14:05:04.120Z",`+
		`"tag":"sales","sipCallId":"7f2c@h","refers":[]}`+"\n", bodyOf(t, r))
}

func TestACallTellsWhatATelephoneNetworkSaysOfTheNumber(t *testing.T) {
	t.Parallel()
	m := state.NewMemory(state.MemoryConfig{})
	e := initiated("c-1", began)
	e.Call.StirShaken = map[string]string{"verstat": "TN-Validation-Passed", "attestationIndicator": "A"}
	_, err := m.Append(t.Context(), e)
	require.NoError(t, err)
	var got struct{ StirShaken map[string]string }
	require.NoError(t, json.Unmarshal([]byte(bodyOf(t, request(New(open, m), "GET", base+"/calls/c-1"))), &got))
	assert.Equal(t, e.Call.StirShaken, got.StirShaken)
}

func TestAnEndedCallTellsHowItEndedAndOfItsRefers(t *testing.T) {
	t.Parallel()
	m := withCalls(t, "c-1")
	later := began.Add(time.Second).In(time.FixedZone("", 3600))
	for _, e := range []state.Entry{
		{Call: &state.Call{Event: state.CallAnswered, At: later}},
		{Verb: &state.Verb{Event: state.VerbProgress, Name: "Refer", Refer: &state.Refer{
			ID: "100", Target: "sip:sales:geheim@h", SentTime: later, AcceptedTime: &later, EndTime: &later,
			ReferSIPResponseCode: 202, NotifySIPResponseCode: 486, Status: state.ReferFailure, Evidence: "final-notify",
		}}},
		{Verb: &state.Verb{Event: state.VerbProgress, Name: "Refer", Refer: &state.Refer{ID: "103", Target: "sip:x@h", SentTime: later, Status: state.ReferPending}}},
		{Call: &state.Call{Event: state.CallEnded, At: later, Cause: "error", ErrorMessage: "no ACK", ErrorID: "e-1"}},
	} {
		e.CallID, e.Time = "c-1", later
		_, err := m.Append(t.Context(), e)
		require.NoError(t, err)
	}
	var call map[string]any
	require.NoError(t, json.Unmarshal([]byte(bodyOf(t, request(New(open, m), "GET", base+"/calls/c-1"))), &call))
	const when = "2026-03-02T14:05:05.120Z"
	for name, want := range map[string]any{
		"state": "disconnected", "answerTime": when, "endTime": when, "lastUpdate": when,
		"disconnectCause": "error", "errorMessage": "no ACK", "errorId": "e-1",
		"refers": []any{
			map[string]any{
				"id": "100", "target": "sip:sales:***@h", "sentTime": when, "acceptedTime": when, "endTime": when,
				"referSipResponseCode": 202.0, "notifySipResponseCode": 486.0, "status": "failure", "billable": true, "evidence": "final-notify",
			},
			map[string]any{
				"id": "103", "target": "sip:x@h", "sentTime": when, "acceptedTime": nil, "endTime": nil,
				"referSipResponseCode": nil, "notifySipResponseCode": nil, "status": "pending", "billable": false, "evidence": nil,
			},
		},
	} {
		assert.Equal(t, want, call[name], name)
	}
}

func TestCallsAreListedOldestFirst(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1", "c-2", "c-3", "c-4"))
	for query, want := range map[string][]string{
		"": {"c-1", "c-2", "c-3", "c-4"},
		"?from=" + url.QueryEscape("sip:alice:***@h"): {"c-1", "c-2", "c-3", "c-4"},
		"?from=sip:bob@h":                        nil,
		"?to=sip:desk@h":                         {"c-1", "c-2", "c-3", "c-4"},
		"?to=sip:nobody@h":                       nil,
		"?disconnectCause=hangup":                {"c-2", "c-4"},
		"?minStartTime=2026-03-02T14:06:04.120Z": {"c-2", "c-3", "c-4"},
		"?maxStartTime=2026-03-02T14:06:04.120Z": {"c-1", "c-2"},
		"?minStartTime=2026-03-02T15:06:04%2B01:00&maxStartTime=2026-03-02T14:07:05": {"c-2", "c-3"},
		"?minStartTime=2026-03-03":             nil,
		"?maxStartTime=2026-03-03&unknown=yes": {"c-1", "c-2", "c-3", "c-4"},
		"?from=&pageToken=&pageSize=":          {"c-1", "c-2", "c-3", "c-4"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			r := request(s, "GET", base+"/calls"+query)
			assert.Equal(t, want, listed(t, r))
			assert.Empty(t, r.Header.Get("Link"))
		})
	}
}

func TestAnEmptyListIsAList(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "[]\n", bodyOf(t, request(New(open, withCalls(t)), "GET", base+"/calls")))
}

func TestTheNextPageIsLinked(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1", "c-2", "c-3", "c-4", "c-5"))
	target := base + "/calls?pageSize=2&to=sip:desk@h"
	var pages [][]string
	for target != "" {
		r := request(s, "GET", target)
		pages = append(pages, listed(t, r))
		link := r.Header.Get("Link")
		if link == "" {
			break
		}
		next, found := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		require.True(t, found, link)
		u, err := url.Parse(next)
		require.NoError(t, err)
		assert.Equal(t, "https://calls.example.com"+base+"/calls", u.Scheme+"://"+u.Host+u.Path)
		assert.Equal(t, "2", u.Query().Get("pageSize"))
		assert.Equal(t, "sip:desk@h", u.Query().Get("to"))
		target = u.RequestURI()
	}
	assert.Equal(t, [][]string{{"c-1", "c-2"}, {"c-3", "c-4"}, {"c-5"}}, pages)
}

func TestWhatCannotBeReadInAQueryIsAValidationError(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"))
	for query, want := range map[string]string{
		"pageSize=0":              "pageSize must be within the range [1, 10000], but was 0",
		"pageSize=10001":          "pageSize must be within the range [1, 10000], but was 10001",
		"pageSize=many":           "Invalid pageSize: must be an integer",
		"pageSize=1e3":            "Invalid pageSize: must be an integer",
		"minStartTime=yesterday":  "Invalid minStartTime: must be an ISO 8601 time",
		"maxStartTime=2026-13-01": "Invalid maxStartTime: must be an ISO 8601 time",
		"pageToken=mine":          "Invalid pageToken",
		"to=%zz":                  `Invalid query: invalid URL escape "%zz"`,
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			r := request(s, "GET", base+"/calls?"+query)
			assert.Equal(t, want, requireError(t, r, http.StatusBadRequest, "validation"))
		})
	}
}

func TestTheLargestPageIsAllowed(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"))
	assert.Equal(t, []string{"c-1"}, listed(t, request(s, "GET", base+"/calls?pageSize=10000")))
}

func TestAnUnknownCallIsNotFound(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t))
	for _, path := range []string{"/calls/c-9", "/calls/c-9/journal"} {
		assert.Equal(t, "Call [c-9] not found", requireError(t, request(s, "GET", base+path), http.StatusNotFound, "validation"))
	}
}

func TestAJournalIsJSONLinesWithoutSecrets(t *testing.T) {
	t.Parallel()
	m := withCalls(t, "c-1")
	for _, e := range []state.Entry{
		{Type: state.TypeSIP, SIP: &state.SIP{Direction: "in", Method: "REFER", Raw: "REFER sip:a:geheim@h SIP/2.0\r\nAuthorization: Digest geheim\r\n\r\n"}},
		{Type: state.TypeDocument, Document: &state.Document{URL: "https://u:geheim@h/", Body: `<PlayAudio password="geheim"/>`}},
	} {
		e.CallID = "c-1"
		_, err := m.Append(t.Context(), e)
		require.NoError(t, err)
	}
	_, err := m.Owe(t.Context(), state.Owed{
		CallID: "c-1", ID: "e-1", Type: "disconnect", URL: "https://u:geheim@h/",
		Event: []byte(`{"id":"e-1","type":"disconnect","target":{"url":"https://u:geheim@h/","auth":{"password":"geheim"}},"body":{}}`),
	})
	require.NoError(t, err)

	r := request(New(open, m, WithMask(hide)), "GET", base+"/calls/c-1/journal")
	body := bodyOf(t, r)
	require.Equal(t, http.StatusOK, r.StatusCode)
	assert.Equal(t, "application/x-ndjson", r.Header.Get("Content-Type"))
	assert.NotContains(t, body, "geheim")
	assert.Contains(t, body, `<PlayAudio password=\"***\"/>`)
	entries, err := state.ReadJournal(strings.NewReader(body))
	require.NoError(t, err)
	require.Len(t, entries, 4)
	for i, line := range strings.SplitAfter(strings.TrimSuffix(body, "\n"), "\n") {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		assert.InDelta(t, i+1, entry["seq"], 0)
		assert.Equal(t, "c-1", entry["callId"])
		assert.NotEmpty(t, entry["time"])
		assert.NotEmpty(t, entry["type"])
	}
}

func TestDocumentsAreLeftOutWhereNobodyKnowsTheirSecrets(t *testing.T) {
	t.Parallel()
	s := New(open, &brokenStore{journal: []state.Entry{{Seq: 1, Type: state.TypeDocument, Document: &state.Document{Body: "geheim"}}}})
	assert.NotContains(t, bodyOf(t, request(s, "GET", base+"/calls/c-1/journal")), "geheim")
}

func TestAJournalThatCannotBeSentWholeIsCutOff(t *testing.T) {
	t.Parallel()
	s := New(open, &brokenStore{journal: []state.Entry{
		{Seq: 1, Type: state.TypeTimer, Timer: &state.Timer{Name: "ack"}},
		{Seq: 2, Type: state.TypeWebhook, Webhook: &state.Webhook{Body: json.RawMessage("{")}},
	}})
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { request(s, "GET", base+"/calls/c-1/journal") })
}

func TestAFailureOfTheStoreIsAnInternalErrorWhoseReasonIsInTheLogAlone(t *testing.T) {
	t.Parallel()
	for path, callID := range map[string]any{"/calls": nil, "/calls/c-1": "c-1", "/calls/c-1/journal": "c-1"} {
		core, logs := observer.New(zap.ErrorLevel)
		s := New(open, &brokenStore{err: errors.New("disk on fire")}, WithLogger(zap.New(core)))
		r := request(s, "GET", base+path)
		body := bodyOf(t, r)
		assert.Equal(t, http.StatusInternalServerError, r.StatusCode)
		var f struct{ Type, Description, ID string }
		require.NoError(t, json.Unmarshal([]byte(body), &f))
		assert.Equal(t, "internal-error", f.Type)
		assert.NotContains(t, body, "fire")
		require.Equal(t, 1, logs.Len())
		assert.Equal(t, f.ID, logs.All()[0].ContextMap()["error_id"])
		assert.Equal(t, "disk on fire", logs.All()[0].ContextMap()["error"])
		assert.Equal(t, callID, logs.All()[0].ContextMap()["call_id"])
	}
}

// FuzzListQuery holds that whatever is asked for is answered, by a list or by a validation error in the right form.
func FuzzListQuery(f *testing.F) {
	for _, q := range []string{"pageToken=AQE", "pageSize=2&pageToken=AQGA", "minStartTime=2026-03-02T14:05:04.120Z&to=%zz", "maxStartTime=0000-00-00", "pageToken=%00"} {
		f.Add(q)
	}
	m := state.NewMemory(state.MemoryConfig{})
	for _, id := range []string{"c-1", "c-2", "c-3"} {
		if _, err := m.Append(f.Context(), initiated(id, began)); err != nil {
			f.Fatal(err)
		}
	}
	s := New(open, m)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", base+"/calls", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code)
		require.True(t, json.Valid(bytes.TrimSpace(w.Body.Bytes())))
	})
}
