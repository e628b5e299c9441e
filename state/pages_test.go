package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// sealedOnce waits until there is nothing in memory of a call but its value.
func sealedOnce(t *testing.T, d *Durable, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		c := d.calls[id]
		return c.held == nil && c.sealed != nil
	}, patience, 10*time.Millisecond)
}

func TestOfACallThatIsOverTheRecordIsInMemoryAndTheJournalOnDisk(t *testing.T) {
	t.Parallel()
	for name, entries := range over() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := DurableConfig{Dir: t.TempDir()}
			d, _ := openDurable(t, cfg)
			add := func(e Entry) {
				t.Helper()
				e.CallID = "c-1"
				_, err := d.Append(t.Context(), e)
				require.NoError(t, err)
			}
			read := func() (r reading) {
				t.Helper()
				journal, err := d.Journal(t.Context(), "c-1")
				require.NoError(t, err)
				record, err := d.Record(t.Context(), "c-1")
				return reading{jsonOf(t, journal), jsonOf(t, record), err}
			}
			for _, e := range entries {
				add(e)
			}
			want := read()
			for round := range 2 {
				sealedOnce(t, d, "c-1")
				require.Equal(t, want, read(), "round %d", round)
				ids, err := d.Unfinished(t.Context())
				require.NoError(t, err)
				require.Empty(t, ids)
				records, _, err := d.Records(t.Context(), Query{})
				require.NoError(t, err)
				if want.missing == nil {
					require.Equal(t, want.record, jsonOf(t, records[0]))
				}
				// What comes late follows.
				before := want
				add(Entry{Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "ACK", CSeq: uint32(round), Raw: "late"}})
				want = read()
				require.Contains(t, want.journal, before.journal[:len(before.journal)-1])
				require.Equal(t, before.record, want.record)
			}
			require.NoError(t, d.Close())
			d, _ = openDurable(t, cfg)
			require.Equal(t, want, read())
		})
	}
}

func TestACallThatIsOverMayOweAnEventAgain(t *testing.T) {
	t.Parallel()
	d, _ := openDurable(t, DurableConfig{Dir: t.TempDir()})
	run(t, d, "c-1", 100)
	sealedOnce(t, d, "c-1")
	d.mu.Lock()
	assert.Equal(t, callOverhead+int64(len(d.calls["c-1"].sealed)), d.bytes, "what the calls that are over take is known")
	d.mu.Unlock()

	require.NoError(t, d.Delivered(t.Context(), "c-1", 4), "twice")
	require.ErrorIs(t, d.Delivered(t.Context(), "c-1", 2), ErrNotOwed)
	require.ErrorIs(t, d.Failed(t.Context(), "c-1", 6, "why"), ErrNotOwed)
	require.ErrorIs(t, d.Failed(t.Context(), "c-1", 0, "why"), ErrNotOwed)
	seq, err := d.Owe(t.Context(), owing("c-1", "e-2"))
	require.NoError(t, err)
	assert.EqualValues(t, 6, seq)
	debts, err := d.Debts(t.Context())
	require.NoError(t, err)
	require.Len(t, debts, 1)
	assert.Equal(t, seq, debts[0].Seq)
	require.ErrorIs(t, d.Delivered(t.Context(), "c-1", 5), ErrNotOwed)
	require.NoError(t, d.Failed(t.Context(), "c-1", seq, "why"))
	letters, err := d.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Len(t, letters, 1)
	journal, err := d.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Len(t, journal, 7)
}

// unacknowledged has a call in a store whose caller does not say that it has learned of its end: no ACK comes.
func unacknowledged(t *testing.T, d *Durable, id string) {
	t.Helper()
	for _, e := range []Entry{
		{Type: TypeSIP, SIP: &SIP{Direction: "in", Method: "INVITE", CSeq: 1}},
		{Type: TypeSIP, SIP: &SIP{Direction: "out", Method: "INVITE", CSeq: 1, Code: 488}},
	} {
		e.CallID = id
		_, err := d.Append(t.Context(), e)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.calm) == 1
	}, patience, 10*time.Millisecond)
}

// A call whose caller may not have learned of its end is looked for until nobody waits any longer.
func TestACallWhoseCallerDoesNotLearnOfItsEndIsOverInTheEnd(t *testing.T) {
	t.Parallel()
	d, _ := openDurable(t, DurableConfig{Dir: t.TempDir()})
	unacknowledged(t, d, "c-1")
	d.leaveOut(time.Now().Add(hangsFor / 2))
	ids, err := d.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"c-1"}, ids)
	assert.Zero(t, inMemory(d))
	d.leaveOut(time.Now().Add(2 * hangsFor))
	sealedOnce(t, d, "c-1")
	journal, err := d.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Len(t, journal, 2)
}

// A value that cannot be packed costs no more than that its call stays as it is, and that is said.
func TestACallWhoseValueCannotBePackedStaysInMemory(t *testing.T) {
	t.Parallel()
	d, logs := openDurable(t, DurableConfig{Dir: t.TempDir()})
	unacknowledged(t, d, "c-1")
	d.mu.Lock()
	never := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) // RFC 3339 has no such year
	d.calls["c-1"].record.StartTime = &never
	d.mu.Unlock()
	d.leaveOut(time.Now().Add(2 * hangsFor))
	d.leaveOut(time.Now().Add(4 * hangsFor))
	d.mu.Lock()
	assert.Nil(t, d.calls["c-1"].sealed)
	d.mu.Unlock()
	journal, err := d.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Len(t, journal, 2)
	said := logs.FilterMessageSnippet("could not be packed").FilterLevelExact(zap.ErrorLevel).All()
	require.Len(t, said, 1, "once")
	assert.Equal(t, "c-1", said[0].ContextMap()["call_id"])
}

// What one call has appended while nothing could be written may be more than one message takes.
func TestAJournalThatIsLongerThanAMessageIsWrittenInSeveral(t *testing.T) {
	t.Parallel()
	disk := toldDisk(t)
	cfg := DurableConfig{Dir: disk.dir, Reserve: 4 << 20}
	d, _ := openDurable(t, cfg, disk.known)
	_, err := d.Append(t.Context(), initiated("c-1"))
	require.NoError(t, err)
	safe(t, d)
	free := disk.fill(t, 2)
	becomes(t, d, true)
	for i := range 40 {
		_, err := d.Append(t.Context(), message(fmt.Sprintf("c-%d", 1+i%2), 20_000))
		require.NoError(t, err)
	}
	before, err := d.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	require.Len(t, before, 21)
	free()
	safe(t, d)
	d.mu.Lock()
	where := d.calls["c-1"].disk.trail.seqs()
	d.mu.Unlock()
	assert.Greater(t, len(where), 3)
	require.NoError(t, d.Close())
	d, _ = openDurable(t, cfg, disk.known)
	after, err := d.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Equal(t, jsonOf(t, before), jsonOf(t, after))
}

// An entry that cannot be packed costs what it tells, and nothing else.
func TestAnEntryThatCannotBePackedLeavesNoGap(t *testing.T) {
	t.Parallel()
	d, logs := openDurable(t, DurableConfig{Dir: t.TempDir()})
	bad := message("c-1", 10)
	bad.Time = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) // RFC 3339 has no such year
	for _, e := range []Entry{initiated("c-1"), bad, message("c-1", 20)} {
		_, err := d.Append(t.Context(), e)
		require.NoError(t, err)
	}
	journal, err := d.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	require.Len(t, journal, 3)
	assert.Equal(t, TypeSIP, journal[1].Type)
	assert.Nil(t, journal[1].SIP)
	assert.Len(t, journal[2].SIP.Raw, 20)
	assert.Len(t, logs.FilterMessageSnippet("could not be packed").FilterLevelExact(zap.ErrorLevel).All(), 1)
}

// What was read when the store was opened is moved on the disk as what was appended since.
func TestWhatWasReadAtTheStartIsWrittenOnceMore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, _ := openDurable(t, DurableConfig{Dir: dir})
	for _, e := range journalOf("c-up") {
		_, err := d.Append(t.Context(), e)
		require.NoError(t, err)
	}
	before, err := d.Journal(t.Context(), "c-up")
	require.NoError(t, err)
	require.NoError(t, d.Close())

	d, _ = openDurable(t, DurableConfig{Dir: dir})
	_, err = d.Append(t.Context(), message("c-up", 100))
	require.NoError(t, err)
	safe(t, d)
	d.mu.Lock()
	c := d.calls["c-up"]
	require.Len(t, c.pages.read, len(before))
	first := c.disk.first
	d.mu.Unlock()
	require.NoError(t, d.move(t.Context(), c))
	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return c.disk.first > first && c.disk.written == uint64(len(before)+1)
	}, patience, 10*time.Millisecond)
	require.NoError(t, d.Close())
	d, _ = openDurable(t, DurableConfig{Dir: dir})
	after, err := d.Journal(t.Context(), "c-up")
	require.NoError(t, err)
	require.Len(t, after, len(before)+1)
	assert.Equal(t, jsonOf(t, before), jsonOf(t, after[:len(before)]))
}
