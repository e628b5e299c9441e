package state

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// over are calls of which nothing is left to do: all that a record can tell is told of one of them.
func over() map[string][]Entry {
	tag, at := "été", time.Date(2026, 3, 2, 15, 5, 4, 123456789, time.FixedZone("", 3600))
	refer := func(r Refer) Entry {
		return Entry{Type: TypeVerb, Verb: &Verb{Event: VerbProgress, Name: "Refer", Refer: &r}}
	}
	return map[string][]Entry{
		"referred": settledCall(),
		"everything": {
			{Type: TypeCall, Call: &Call{
				Event: CallInitiated, AccountID: "1", ApplicationID: "2", Direction: "inbound", From: "sip:caf\xe9@b", To: "sip:c@d;x=\x00", SIPCallID: "7@h",
				StirShaken: map[string]string{"verstat": "TN-Validation-Passed", "attestationIndicator": "A"}, At: at,
			}},
			{Type: TypeCall, Call: &Call{Event: CallTagged, Tag: &tag}},
			{Type: TypeCall, Call: &Call{Event: CallAnswered}},
			refer(Refer{ID: "100", Target: "sip:e@f", SentTime: at, Status: ReferPending}),
			refer(Refer{ID: "100", Target: "sip:e@f", SentTime: at, EndTime: &at, ReferSIPResponseCode: 603, Status: ReferFailure, Evidence: "rejected"}),
			refer(Refer{ID: "102", Target: "sip:g@h", SentTime: at, Status: ReferPending}),
			{Type: TypeCall, Call: &Call{Event: CallEnded, Cause: "error", ErrorMessage: "it broke", ErrorID: "e-7", Untold: true, Outlived: true}},
			refer(Refer{ID: "102", Target: "sip:g@h", SentTime: at, AcceptedTime: &at, EndTime: &at, ReferSIPResponseCode: 202, NotifySIPResponseCode: 200, Status: ReferSuccess, Evidence: "final-notify", Billable: true}),
			{Type: TypeCall, Call: &Call{Event: CallSettled}},
		},
		"little": {
			{Type: TypeCall, Call: &Call{Event: CallInitiated}},
			{Type: TypeCall, Call: &Call{Event: CallEnded, Untold: true}},
		},
		"refused": {
			{Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "INVITE", CSeq: 1}},
			{Type: TypeSIP, SIP: &SIP{Direction: "out", Method: "INVITE", CSeq: 1, Code: 488}},
			{Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "ACK", CSeq: 1}},
		},
	}
}

// reading is all that can be read of a call.
type reading struct {
	journal, record string
	missing         error
}

func readingOf(t *testing.T, m *Memory, id string) (r reading) {
	t.Helper()
	journal, err := m.Journal(t.Context(), id)
	require.NoError(t, err)
	r.journal = asJSON(t, journal)
	record, err := m.Record(t.Context(), id)
	b, _ := json.MarshalIndent(record, "", " ")
	r.record, r.missing = string(b), err
	return r
}

func requireSealed(t *testing.T, m *Memory, id string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	require.NotNil(t, m.calls[id].sealed)
	require.Nil(t, m.calls[id].held)
}

func TestACallThatIsOverIsSealedAndReadsAsBefore(t *testing.T) {
	t.Parallel()
	for name, entries := range over() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(MemoryConfig{})
				var want []Entry
				for i, e := range entries {
					if i == len(entries)/2 { // what there is is deflated, or sealed
						quietly(t, m, packQuiet)
					}
					if e.CallID = "c-1"; i%2 == 0 { // the store's clock; otherwise another one
						e.Time = time.Time{}
					} else if e.Time.IsZero() {
						e.Time = time.Date(2026, 3, 2, 15, 5, 4, 1, time.FixedZone("", 3600))
					}
					e.Seq = appended(t, m, e)
					if want = append(want, e); i%2 == 0 {
						want[i].Time = time.Now()
					}
				}
				before := readingOf(t, m, "c-1")
				require.Equal(t, before.journal, asJSON(t, want))
				rest := m.calls["c-1"].rest.filed()

				for round := range 3 {
					quietly(t, m, sealQuiet)
					requireSealed(t, m, "c-1")
					require.Equal(t, before, readingOf(t, m, "c-1"), "round %d", round)
					ids, err := m.Unfinished(t.Context())
					require.NoError(t, err)
					require.Empty(t, ids)

					// What comes late follows.
					late := Entry{CallID: "c-1", Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "ACK", Code: 0, CSeq: uint32(round), Raw: "late"}}
					require.Equal(t, uint64(len(want)+1), appended(t, m, late))
					want = append(want, late)
					want[len(want)-1].Time, want[len(want)-1].Seq = time.Now(), uint64(len(want))
					require.Equal(t, rest, m.calls["c-1"].rest.filed())
					before = readingOf(t, m, "c-1")
					require.Equal(t, before.journal, asJSON(t, want))
				}
			})
		})
	}
}

func TestACallThatWaitsForSomethingIsNotSealed(t *testing.T) {
	t.Parallel()
	invite := Entry{Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "INVITE", CSeq: 1}}
	begun := Entry{Type: TypeCall, Call: &Call{Event: CallInitiated}}
	end := func(c Call) Entry { c.Event = CallEnded; return Entry{Type: TypeCall, Call: &c} }
	owe := Entry{Type: TypeWebhook, Webhook: &Webhook{Event: WebhookOwed, EventID: "e-1", EventType: "disconnect"}}
	for name, entries := range map[string][]Entry{
		"its application has not been asked":    {invite},
		"it is up":                              {invite, begun},
		"the event of its end is not owed yet":  {begun, end(Call{})},
		"an event is owed":                      {begun, end(Call{}), owe},
		"an event was given up":                 {begun, end(Call{}), owe, {Type: TypeWebhook, Webhook: &Webhook{Event: WebhookFailed, OwedSeq: 3}}},
		"a verb goes on":                        {begun, end(Call{Untold: true, Outlived: true})},
		"its caller has not learned of its end": {invite, begun, end(Call{Untold: true})},
		"a referral is pending":                 {begun, {Type: TypeVerb, Verb: &Verb{Refer: &Refer{ID: "1", Status: ReferPending}}}, end(Call{Untold: true})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(MemoryConfig{})
				for _, e := range entries {
					e.CallID = "c-1"
					appended(t, m, e)
				}
				before := readingOf(t, m, "c-1")
				quietly(t, m, packQuiet)
				require.NotNil(t, m.calls["c-1"].held)
				assert.Empty(t, m.calls["c-1"].packed.sheets)
				assert.Equal(t, before, readingOf(t, m, "c-1"))
				assert.Equal(t, len(entries), m.calls["c-1"].entries.len())
			})
		})
	}
}

func TestACallWhoseCallerDoesNotLearnOfItsEndIsSealedWhenNobodyWaitsAnyLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		add := func(method, direction string, code int) {
			appended(t, m, Entry{CallID: "c-1", Type: TypeSIP, SIP: &SIP{Direction: direction, Method: method, CSeq: 1, Code: code}})
		}
		add("INVITE", "in", 0)
		add("INVITE", "out", 488)
		quietly(t, m, hangsFor/2)
		require.NotNil(t, m.calls["c-1"].held)
		add("INVITE", "out", 488) // once more, and no ACK comes
		quietly(t, m, hangsFor-time.Second)
		before := readingOf(t, m, "c-1")
		ids, err := m.Unfinished(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"c-1"}, ids)
		require.NotNil(t, m.calls["c-1"].held)

		quietly(t, m, 2*time.Second)
		requireSealed(t, m, "c-1")
		require.Equal(t, before, readingOf(t, m, "c-1"))
		add("ACK", "in", 0)
		quietly(t, m, sealQuiet)
		requireSealed(t, m, "c-1")
		var bytes int64
		for _, c := range m.over {
			bytes += c.size()
		}
		assert.Equal(t, bytes, m.bytes, "what the calls that are over take is known")
	})
}

func TestRecordsAreFoundWhetherTheyAreSealedOrNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		began := time.Now()
		for i := range 2*someLen + 10 { // several looks at the calls
			time.Sleep(time.Millisecond)
			id := fmt.Sprintf("c-%04d", i)
			e := initiated(id)
			e.Call.From = fmt.Sprintf("sip:%d@b", i%10)
			appended(t, m, e)
			if i%3 > 0 {
				e := ended(id)
				e.Call.Cause, e.Call.Untold = []string{"hangup", "busy"}[i%2], true
				appended(t, m, e)
			}
		}
		quietly(t, m, packQuiet)
		requireSealed(t, m, "c-0001")
		for name, q := range map[string]Query{
			"all":                {},
			"from":               {From: "sip:7@b"},
			"from nobody":        {From: "sip:7"},
			"to":                 {To: "sip:c@d"},
			"cause":              {Cause: "busy"},
			"cause and from":     {Cause: "hangup", From: "sip:4@b"},
			"began after":        {MinStart: began.Add(time.Second)},
			"began in between":   {MinStart: began.Add(time.Second), MaxStart: began.Add(1100 * time.Millisecond)},
			"in pages of a few":  {Limit: 7, Cause: "busy"},
			"in pages of a look": {Limit: someLen},
		} {
			var want, got []string
			for i := range 2*someLen + 10 {
				r, err := m.Record(t.Context(), fmt.Sprintf("c-%04d", i))
				require.NoError(t, err)
				if r.matches(q) {
					want = append(want, r.CallID)
				}
			}
			for next := ""; ; {
				q.After = next
				records, token, err := m.Records(t.Context(), q)
				require.NoError(t, err)
				for _, r := range records {
					got = append(got, r.CallID)
				}
				if next = token; next == "" {
					break
				}
			}
			require.Equal(t, want, got, name)
		}
	})
}

func TestAnEventThatWasDeliveredBeforeItsCallWasSealedIsKnownToHaveBeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		appended(t, m, initiated("c-1"))
		appended(t, m, ended("c-1"))
		seq, err := m.Owe(t.Context(), owing("c-1", "e-1"))
		require.NoError(t, err)
		require.NoError(t, m.Delivered(t.Context(), "c-1", seq))
		quietly(t, m, sealQuiet)
		requireSealed(t, m, "c-1")
		require.NoError(t, m.Delivered(t.Context(), "c-1", seq))
		require.NoError(t, m.Failed(t.Context(), "c-1", seq, "too old"))
		for _, other := range []uint64{0, 1, 4, 5, 99} {
			require.ErrorIs(t, m.Delivered(t.Context(), "c-1", other), ErrNotOwed, other)
		}
		requireSealed(t, m, "c-1")
		letters, err := m.DeadLetters(t.Context())
		require.NoError(t, err)
		assert.Empty(t, letters)
	})
}

func TestWhatCannotBePackedStaysAsItIsAndSoDoesWhatFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		var want []Entry
		for i, e := range over()["everything"] {
			e.CallID = "c-1"
			if e.Time = time.Now(); i == 3 {
				e.Time = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)).AddDate(1, 0, 0) // RFC 3339 has no such year
			}
			e.Seq = appended(t, m, e)
			want = append(want, e)
		}
		quietly(t, m, packQuiet)
		require.Equal(t, len(want)-3, len(m.calls["c-1"].entries.all()))
		journal, err := m.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		require.Len(t, journal, len(want))
		for i := range want {
			require.True(t, want[i].Time.Equal(journal[i].Time))
			require.Equal(t, want[i].Verb, journal[i].Verb)
		}
	})
}
