package state

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func appended(t *testing.T, m *Memory, e Entry) uint64 {
	t.Helper()
	seq, err := m.Append(t.Context(), e)
	require.NoError(t, err)
	return seq
}

func initiated(id string) Entry {
	return Entry{CallID: id, Type: TypeCall, Call: &Call{Event: CallInitiated, AccountID: "1", From: "sip:a@b", To: "sip:c@d"}}
}

func ended(id string) Entry {
	return Entry{CallID: id, Type: TypeCall, Call: &Call{Event: CallEnded, Cause: "hangup"}}
}

func message(id string, bytes int) Entry {
	return Entry{CallID: id, Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "INFO", Raw: strings.Repeat("x", bytes)}}
}

func envelope(id string) []byte {
	return []byte(`{"id":"` + id + `","type":"disconnect","callId":"c-1","target":{"url":"https://u:p@app.example.com/status","method":"GET","auth":{"username":"u","password":"p"}},"body":{"eventType":"disconnect"}}`)
}

// owing is an event that a call owes.
func owing(callID, id string) Owed {
	return Owed{CallID: callID, ID: id, Type: "disconnect", Method: "GET", URL: "https://u:p@app.example.com/status", Event: envelope(id)}
}

// kept reports which of the calls the store still has.
func kept(t *testing.T, m *Memory, ids ...string) (there []string) {
	t.Helper()
	for _, id := range ids {
		if _, err := m.Journal(t.Context(), id); err == nil {
			there = append(there, id)
		} else {
			require.ErrorIs(t, err, ErrNotFound)
		}
	}
	return there
}

func TestEntriesAreNumberedFromOneWithoutGapsWithinACall(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				_, err := m.Append(context.Background(), message(fmt.Sprintf("c-%d", i%2), 10))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	for _, id := range []string{"c-0", "c-1"} {
		entries, err := m.Journal(t.Context(), id)
		require.NoError(t, err)
		require.Len(t, entries, 400)
		for i, e := range entries {
			require.Equal(t, uint64(i+1), e.Seq)
			require.Equal(t, id, e.CallID)
		}
	}
}

func TestAnEntryWithoutATimeGetsTheStoresClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		own := time.Now().Add(-time.Second)
		appended(t, m, message("c-1", 1))
		appended(t, m, Entry{CallID: "c-1", Type: TypeTimer, Time: own, Timer: &Timer{Name: "ack"}})
		entries, err := m.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		assert.True(t, time.Now().Equal(entries[0].Time))
		assert.True(t, own.Equal(entries[1].Time))
	})
}

func TestAnEntryWithoutACallIsRefused(t *testing.T) {
	t.Parallel()
	_, err := NewMemory(MemoryConfig{}).Append(t.Context(), Entry{Type: TypeTimer})
	assert.Error(t, err)
}

func TestAJournalIsWrittenAlsoWhenTheCallsContextIsOver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := NewMemory(MemoryConfig{})
	_, err := m.Append(ctx, initiated("c-1"))
	require.NoError(t, err)
	_, err = m.Owe(ctx, owing("c-1", "e-1"))
	require.NoError(t, err)
}

func TestWhatIsReadIsNotChangedByWhatFollows(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	appended(t, m, initiated("c-1"))
	appended(t, m, Entry{CallID: "c-1", Type: TypeVerb, Verb: &Verb{Event: VerbProgress, Name: "Refer", Refer: &Refer{ID: "1", Status: ReferPending}}})
	before, err := m.Record(t.Context(), "c-1")
	require.NoError(t, err)
	journal, err := m.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	journal[0].CallID = "spoilt"
	appended(t, m, Entry{CallID: "c-1", Type: TypeVerb, Verb: &Verb{Event: VerbProgress, Name: "Refer", Refer: &Refer{ID: "1", Status: ReferFailure}}})
	appended(t, m, ended("c-1"))

	assert.Equal(t, ReferPending, before.Refers[0].Status)
	assert.Nil(t, before.EndTime)
	again, err := m.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Equal(t, "c-1", again[0].CallID)
	assert.Len(t, journal, 2)
}

func TestACallThatWasNeverInitiatedHasAJournalButNoRecord(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	appended(t, m, message("c-refused", 10)) // answered with 488, say
	_, err := m.Record(t.Context(), "c-refused")
	require.ErrorIs(t, err, ErrNotFound)
	records, next, err := m.Records(t.Context(), Query{})
	require.NoError(t, err)
	assert.Empty(t, records)
	assert.Empty(t, next)
	assert.Equal(t, []string{"c-refused"}, kept(t, m, "c-refused"))
}

func TestCallsAreDroppedWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{Retention: time.Hour})
		appended(t, m, initiated("c-live"))
		appended(t, m, initiated("c-ended"))
		appended(t, m, ended("c-ended"))
		appended(t, m, message("c-refused", 10))
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"c-live", "c-ended", "c-refused"}, kept(t, m, "c-live", "c-ended", "c-refused"))
		time.Sleep(time.Second)
		assert.Equal(t, []string{"c-live"}, kept(t, m, "c-live", "c-ended", "c-refused"))
		records, _, err := m.Records(t.Context(), Query{})
		require.NoError(t, err)
		assert.Len(t, records, 1)
		assert.Len(t, m.order, 1)
		assert.Zero(t, m.bytes)
	})
}

func TestTheCallsThatHaveBeenOverForLongestMakeRoomFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{MaxBytes: 30_000})
		ids := []string{"c-1", "c-2", "c-3", "c-4"}
		for _, id := range ids {
			appended(t, m, initiated(id))
			appended(t, m, message(id, 10_000))
		}
		assert.Equal(t, ids, kept(t, m, ids...), "live calls do not count")
		for _, id := range []string{"c-3", "c-1", "c-4", "c-2"} {
			time.Sleep(packQuiet / 10) // none is packed yet
			appended(t, m, ended(id))
		}
		assert.Equal(t, []string{"c-2", "c-4"}, kept(t, m, ids...))
		assert.LessOrEqual(t, m.bytes, int64(30_000))
	})
}

func TestWhatIsStillNeededIsNeverDropped(t *testing.T) {
	t.Parallel()
	pending := Entry{CallID: "c-1", Type: TypeVerb, Verb: &Verb{Event: VerbProgress, Name: "Refer", Refer: &Refer{ID: "100", Status: ReferPending}}}
	for name, tc := range map[string]struct {
		needs    func(t *testing.T, m *Memory) // leaves the call c-1 with something to come
		releases func(t *testing.T, m *Memory)
	}{
		"a live call": {
			func(t *testing.T, m *Memory) { appended(t, m, initiated("c-1")) },
			func(t *testing.T, m *Memory) { appended(t, m, ended("c-1")) },
		},
		"an owed event, delivered": {
			func(t *testing.T, m *Memory) {
				appended(t, m, initiated("c-1"))
				appended(t, m, ended("c-1"))
				_, err := m.Owe(t.Context(), owing("c-1", "e-1"))
				require.NoError(t, err)
			},
			func(t *testing.T, m *Memory) { require.NoError(t, m.Delivered(t.Context(), "c-1", 3)) },
		},
		"an owed event, given up": {
			func(t *testing.T, m *Memory) {
				appended(t, m, initiated("c-1"))
				appended(t, m, ended("c-1"))
				_, err := m.Owe(t.Context(), owing("c-1", "e-1"))
				require.NoError(t, err)
			},
			func(t *testing.T, m *Memory) { require.NoError(t, m.Failed(t.Context(), "c-1", 3, "too old")) },
		},
		"a Refer that outlives its call": {
			func(t *testing.T, m *Memory) {
				appended(t, m, initiated("c-1"))
				appended(t, m, pending)
				appended(t, m, ended("c-1"))
			},
			func(t *testing.T, m *Memory) {
				over := pending
				over.Verb = &Verb{Event: VerbProgress, Name: "Refer", Refer: &Refer{ID: "100", Status: ReferSuccess}}
				appended(t, m, over)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(MemoryConfig{Retention: time.Minute, MaxBytes: 1})
				tc.needs(t, m)
				time.Sleep(time.Hour)
				appended(t, m, message("c-other", 10))
				assert.Equal(t, []string{"c-1"}, kept(t, m, "c-1"))
				tc.releases(t, m)
				time.Sleep(time.Hour)
				appended(t, m, message("c-other", 10))
				assert.Empty(t, kept(t, m, "c-1"))
			})
		})
	}
}

func TestTheEndOfACallLeavesTimeToOweItsDisconnect(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{MaxBytes: 1})
	appended(t, m, initiated("c-1"))
	appended(t, m, ended("c-1"))
	seq, err := m.Owe(t.Context(), owing("c-1", "e-1"))
	require.NoError(t, err)
	assert.Equal(t, uint64(3), seq)
}

func TestWhatFollowsADroppedCallIsDroppedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{Retention: time.Minute})
		appended(t, m, initiated("c-1"))
		appended(t, m, ended("c-1"))
		time.Sleep(time.Hour)
		appended(t, m, message("c-1", 10)) // a late retransmission
		time.Sleep(time.Hour)
		assert.Empty(t, kept(t, m, "c-1"))
		assert.Empty(t, m.calls)
		assert.Empty(t, m.order)
	})
}

func TestWhatIsOwedIsAnEntryAndSoIsItsDelivery(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	appended(t, m, initiated("c-1"))
	seq, err := m.Owe(t.Context(), owing("c-1", "e-1"))
	require.NoError(t, err)
	require.NoError(t, m.Delivered(t.Context(), "c-1", seq))
	require.NoError(t, m.Delivered(t.Context(), "c-1", seq), "twice changes nothing")

	entries, err := m.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	require.Len(t, entries, 3)
	assert.Equal(t, &Webhook{
		Event: WebhookOwed, EventID: "e-1", EventType: "disconnect", Method: "GET",
		URL: "https://***@app.example.com/status", Owed: envelope("e-1"),
	}, entries[1].Webhook)
	assert.Equal(t, &Webhook{
		Event: WebhookDelivered, EventID: "e-1", EventType: "disconnect", Method: "GET",
		URL: "https://***@app.example.com/status", OwedSeq: seq,
	}, entries[2].Webhook)
}

func TestAGivenUpEventSaysWhy(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	seq, err := m.Owe(t.Context(), owing("c-1", "e-1"))
	require.NoError(t, err)
	require.NoError(t, m.Failed(t.Context(), "c-1", seq, "404 Not Found"))
	entries, err := m.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Equal(t, WebhookFailed, entries[1].Webhook.Event)
	assert.Equal(t, "404 Not Found", entries[1].Webhook.Error)
	assert.Equal(t, seq, entries[1].Webhook.OwedSeq)
}

func TestOnlyWhatWasOwedCanBeDelivered(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	appended(t, m, initiated("c-1"))
	for _, seq := range []uint64{0, 1, 2} {
		assert.ErrorIs(t, m.Delivered(t.Context(), "c-1", seq), ErrNotOwed)
	}
	assert.ErrorIs(t, m.Delivered(t.Context(), "c-2", 1), ErrNotOwed)
}

func TestAnEventWithoutAnIdOrACallIsNotTakenOver(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	for name, o := range map[string]Owed{"no id": owing("c-1", ""), "no call": owing("", "e-1")} {
		_, err := m.Owe(t.Context(), o)
		assert.Error(t, err, name)
	}
	assert.Empty(t, m.calls)
}

func TestWhatWasKeptCanBeReadAfterClose(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryConfig{})
	appended(t, m, initiated("c-1"))
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	assert.Equal(t, []string{"c-1"}, kept(t, m, "c-1"))
}

func BenchmarkAppend(b *testing.B) {
	m := NewMemory(MemoryConfig{})
	raw := strings.Repeat("x", 600)
	b.ReportAllocs()
	const entries = 40 // of a call
	ids := make([]string, b.N/entries+1)
	for i := range ids {
		ids[i] = fmt.Sprintf("c-%08d", i)
	}
	b.ResetTimer()
	for i := range b.N {
		id := ids[i/entries]
		e := Entry{CallID: id, Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "INFO", Raw: raw}}
		switch i % entries {
		case 0:
			e = initiated(id)
		case entries - 1:
			e = ended(id)
		}
		if _, err := m.Append(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
}
