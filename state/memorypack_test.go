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

// wordy appends to a call an entry of each kind, and returns them as the journal has to have them.
func wordy(t *testing.T, m *Memory, id string) (journal []Entry) {
	t.Helper()
	for _, e := range []Entry{
		initiated(id), message(id, 400),
		{CallID: id, Type: TypeDocument, Document: &Document{URL: "http://app.example.com/", Body: "<Response/>", Verbs: []string{"Refer"}}},
		{CallID: id, Type: TypeVerb, Verb: &Verb{Event: VerbStarted, Name: "Refer", Line: 1}},
		{CallID: id, Type: TypeDigit, Digit: &Digit{}},
		{CallID: id, Type: TypeMedia, Media: &Media{Detail: "x"}},
		{CallID: id, Type: TypeDialog, Dialog: &Dialog{Snapshot: json.RawMessage(`{"a":1}`)}},
		{CallID: id, Type: TypeWebhook, Webhook: &Webhook{Event: WebhookRequest, EventType: "initiate", Body: json.RawMessage(`{"b":2}`)}},
	} {
		e.Time = time.Now()
		e.Seq = appended(t, m, e)
		journal = append(journal, e)
	}
	return journal
}

// asJSON is what readers of a journal get.
func asJSON(t *testing.T, entries []Entry) string {
	t.Helper()
	b, err := json.MarshalIndent(entries, "", " ")
	require.NoError(t, err)
	return string(b)
}

// quietly lets calls be packed that are quiet.
func quietly(t *testing.T, m *Memory, quiet time.Duration) {
	t.Helper()
	time.Sleep(quiet)
	for range len(m.calls) + 1 {
		appended(t, m, message("other", 1))
	}
}

func TestTheJournalOfAQuietCallIsPackedAndReadsAsBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		want := wordy(t, m, "c-1")
		for round := range 3 {
			size := m.calls["c-1"].bytes
			quietly(t, m, packQuiet/2)
			require.NotEmpty(t, m.calls["c-1"].packed.sheets, "it was not quiet for long enough")
			quietly(t, m, packQuiet)
			require.Empty(t, m.calls["c-1"].packed.sheets)
			assert.Less(t, m.calls["c-1"].bytes, size)

			got, err := m.Journal(t.Context(), "c-1")
			require.NoError(t, err)
			require.Equal(t, asJSON(t, want), asJSON(t, got), "round %d", round)

			more := message("c-1", 100) // what comes later follows
			more.Time = time.Now()
			more.Seq = appended(t, m, more)
			require.Equal(t, uint64(len(want)+1), more.Seq)
			want = append(want, more)
			got, err = m.Journal(t.Context(), "c-1")
			require.NoError(t, err)
			require.Equal(t, asJSON(t, want), asJSON(t, got))
		}
	})
}

func TestTheJournalOfACallThatIsUpIsDeflated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		want := wordy(t, m, "c-1")
		_ = wordy(t, m, "c-over")
		appended(t, m, ended("c-over"))
		quietly(t, m, packQuiet)
		up, over := m.calls["c-1"], m.calls["c-over"]
		assert.Empty(t, up.packed.plain)
		assert.Empty(t, over.packed.deflated)
		assert.Less(t, len(up.packed.deflated), len(over.packed.plain)/2)

		// What comes when it is over follows.
		for _, e := range []Entry{ended("c-1"), message("c-1", 100), message("c-1", 200)} {
			e.Time = time.Now()
			e.Seq = appended(t, m, e)
			want = append(want, e)
			quietly(t, m, sealQuiet)
			require.Empty(t, up.packed.sheets)
		}
		assert.NotEmpty(t, up.packed.plain)
		got, err := m.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		assert.Equal(t, asJSON(t, want), asJSON(t, got))
	})
}

func TestBrokenStreamsAreNoJournal(t *testing.T) {
	t.Parallel()
	_, err := inflate([]byte("broken"))
	assert.ErrorIs(t, err, errPack)
}

func TestAnEventThatWasOwedBeforeItsCallWasPackedIsSettledOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		appended(t, m, initiated("c-1"))
		seq, err := m.Owe(t.Context(), owing("c-1", "e-1"))
		require.NoError(t, err)
		quietly(t, m, packQuiet)
		require.Empty(t, m.calls["c-1"].packed.sheets)

		debts, err := m.Debts(t.Context())
		require.NoError(t, err)
		require.Len(t, debts, 1)
		assert.JSONEq(t, string(envelope("e-1")), string(debts[0].Event))
		require.NoError(t, m.Delivered(t.Context(), "c-1", seq))
		require.NoError(t, m.Delivered(t.Context(), "c-1", seq))
		journal, err := m.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		require.Len(t, journal, 3)
		require.ErrorIs(t, m.Delivered(t.Context(), "c-1", 9), ErrNotOwed)
	})
}

func TestMoreCallsFitWhenTheyArePacked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls, each = 100, 2000
		m := NewMemory(MemoryConfig{MaxBytes: calls * each})
		for i := range calls {
			id := fmt.Sprintf("c-%d", i)
			wordy(t, m, id)
			appended(t, m, ended(id))
			time.Sleep(sealQuiet)
		}
		for range calls { // the newest are packed, too
			appended(t, m, message("other", 1))
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		assert.Equal(t, calls+1, len(m.calls))
		var bytes int64
		for _, c := range m.over {
			bytes += c.size()
		}
		assert.Equal(t, bytes, m.bytes, "what the calls that are over take is known")
		assert.LessOrEqual(t, m.bytes, int64(calls*each))
	})
}

func TestACallThatIsNeverQuietKeepsNoOtherFromBeingPacked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end   []Entry
		quiet time.Duration
	}{
		"up":   {nil, packQuiet},
		"over": {[]Entry{ended("")}, sealQuiet},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(MemoryConfig{})
				busy := func() {
					for i := range 10 {
						for _, e := range append(tc.end, message("", 10)) {
							e.CallID = fmt.Sprintf("busy-%d", i)
							appended(t, m, e)
						}
					}
				}
				busy()
				wordy(t, m, "c-1")
				for range 20 {
					time.Sleep(tc.quiet / 10)
					busy()
				}
				assert.Equal(t, tc.quiet == packQuiet, len(m.calls["c-1"].packed.sheets) == 0)
				assert.NotEmpty(t, m.calls["busy-3"].packed.sheets)
			})
		})
	}
}
