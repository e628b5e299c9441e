package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnfinishedIsACallOfWhichSomethingIsLeftToDo(t *testing.T) {
	t.Parallel()
	call := func(c Call) Entry { return Entry{Type: TypeCall, Call: &c} }
	refer := func(status string) Entry {
		return Entry{Type: TypeVerb, Verb: &Verb{Event: VerbProgress, Name: "Refer", Refer: &Refer{ID: "2", Status: status}}}
	}
	owed := func(event string) Entry {
		return Entry{Type: TypeWebhook, Webhook: &Webhook{Event: WebhookOwed, EventID: "e", EventType: event}}
	}
	invite := Entry{Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "INVITE"}}
	trying := Entry{Type: TypeSIP, SIP: &SIP{Direction: "out", Method: "INVITE", Code: 100}}
	refused := Entry{Type: TypeSIP, SIP: &SIP{Direction: "out", Method: "INVITE", Code: 488}}
	answer := Entry{Type: TypeSIP, SIP: &SIP{Direction: "out", Method: "INVITE", Code: 200}}
	ack := Entry{Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "ACK"}}
	bye := func(direction string, code int) Entry {
		return Entry{Type: TypeSIP, SIP: &SIP{Direction: direction, Method: "BYE", CSeq: 2, Code: code}}
	}
	notify := func(direction string, code int) Entry {
		return Entry{Type: TypeSIP, SIP: &SIP{Direction: direction, Method: "NOTIFY", CSeq: 3, Code: code}}
	}
	again := func(e Entry) Entry { // in a later transaction
		sip := *e.SIP
		sip.CSeq = 7
		e.SIP = &sip
		return e
	}
	longAgo := func(e Entry) Entry {
		e.Time = time.Now().Add(-time.Minute)
		return e
	}
	begun, over := call(Call{Event: CallInitiated}), call(Call{Event: CallEnded})
	for name, tc := range map[string]struct {
		journal []Entry
		want    bool
	}{
		"let in, and not begun":                {[]Entry{invite, trying}, true},
		"refused before it began":              {[]Entry{invite, refused}, true},
		"refused, and acknowledged":            {[]Entry{invite, refused, ack}, false},
		"refused long ago":                     {[]Entry{invite, longAgo(refused)}, false},
		"over, and the BYE not answered":       {[]Entry{invite, begun, answer, ack, bye("out", 0), over, owed("disconnect")}, true},
		"over long ago":                        {[]Entry{invite, begun, answer, ack, bye("out", 0), longAgo(over), owed("disconnect")}, false},
		"over, and the BYE challenged":         {[]Entry{invite, begun, answer, ack, bye("out", 0), bye("in", 401), over, owed("disconnect")}, true},
		"over, and the BYE answered":           {[]Entry{invite, begun, answer, ack, bye("out", 0), bye("in", 481), over, owed("disconnect")}, false},
		"over, and the BYE answered late":      {[]Entry{invite, begun, answer, ack, bye("out", 0), over, owed("disconnect"), bye("in", 200)}, false},
		"the caller hung up":                   {[]Entry{invite, begun, answer, ack, bye("in", 0), over, owed("disconnect")}, true},
		"the caller hung up, and has its 200":  {[]Entry{invite, begun, answer, ack, bye("in", 0), bye("out", 200), over, owed("disconnect")}, false},
		"the caller hung up long ago":          {[]Entry{invite, begun, answer, ack, longAgo(bye("in", 0)), longAgo(over), owed("disconnect")}, false},
		"a NOTIFY after it is not answered":    {[]Entry{invite, begun, answer, ack, bye("in", 0), bye("out", 200), over, owed("disconnect"), notify("in", 0)}, true},
		"a NOTIFY before it is not answered":   {[]Entry{invite, begun, answer, ack, notify("in", 0), bye("in", 0), bye("out", 200), over, owed("disconnect")}, true},
		"a NOTIFY after it is answered":        {[]Entry{invite, begun, answer, ack, bye("in", 0), bye("out", 200), over, owed("disconnect"), notify("in", 0), notify("out", 481)}, false},
		"over, and another INVITE refused":     {[]Entry{invite, begun, answer, ack, again(refused), again(ack), over, owed("disconnect")}, true},
		"not begun, and too late":              {[]Entry{invite, trying, call(Call{Event: CallSettled})}, false},
		"begun":                                {[]Entry{begun}, true},
		"answered":                             {[]Entry{begun, call(Call{Event: CallAnswered})}, true},
		"ended, and the disconnect not owed":   {[]Entry{begun, over}, true},
		"another event is owed":                {[]Entry{begun, over, owed("dtmf")}, true},
		"the disconnect is owed":               {[]Entry{begun, over, owed("disconnect")}, false},
		"ended, and no disconnect is due":      {[]Entry{begun, call(Call{Event: CallEnded, Untold: true})}, false},
		"a Refer is pending":                   {[]Entry{begun, refer(ReferPending), over, owed("disconnect")}, true},
		"a Refer is over":                      {[]Entry{begun, refer(ReferPending), over, owed("disconnect"), refer(ReferFailure)}, false},
		"a Refer is over, and not told of":     {[]Entry{begun, call(Call{Event: CallEnded, Outlived: true}), owed("disconnect"), refer(ReferFailure)}, true},
		"a Refer is over, and was told of":     {[]Entry{begun, call(Call{Event: CallEnded, Outlived: true}), owed("disconnect"), refer(ReferFailure), call(Call{Event: CallSettled})}, false},
		"a Refer was told of, the call wasn't": {[]Entry{begun, call(Call{Event: CallEnded, Outlived: true}), refer(ReferFailure), call(Call{Event: CallSettled})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := NewMemory(MemoryConfig{})
			for _, e := range tc.journal {
				e.CallID = "c-1"
				appended(t, m, e)
			}
			ids, err := m.Unfinished(t.Context())
			require.NoError(t, err)
			assert.Equal(t, tc.want, len(ids) == 1, ids)
		})
	}
}

func TestUnfinishedCallsComeOldestFirst(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	for _, id := range []string{"c-9", "c-1", "c-5"} {
		appended(t, m, initiated(id))
	}
	ids, err := m.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"c-9", "c-1", "c-5"}, ids)
}

func TestDebtsAreWhatIsStillOwedInOrder(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	appended(t, m, initiated("c-2"))
	var seqs []uint64
	for _, event := range []string{"e-1", "e-2", "e-3", "e-4"} {
		seq, err := m.Owe(t.Context(), owing("c-2", event))
		require.NoError(t, err)
		seqs = append(seqs, seq)
	}
	require.NoError(t, m.Delivered(t.Context(), "c-2", seqs[1]))
	require.NoError(t, m.Failed(t.Context(), "c-2", seqs[2], "gone"))
	other, err := m.Owe(t.Context(), owing("c-1", "e-5"))
	require.NoError(t, err)

	debts, err := m.Debts(t.Context())
	require.NoError(t, err)
	require.Len(t, debts, 3)
	for i, want := range []struct {
		call  string
		seq   uint64
		event string
	}{{"c-2", seqs[0], "e-1"}, {"c-2", seqs[3], "e-4"}, {"c-1", other, "e-5"}} {
		assert.Equal(t, want.call, debts[i].CallID)
		assert.Equal(t, want.seq, debts[i].Seq)
		assert.JSONEq(t, string(envelope(want.event)), string(debts[i].Event))
		assert.False(t, debts[i].Since.IsZero())
	}
}
