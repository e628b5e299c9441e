package state

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// run appends the journal of a call that is over; its event is delivered.
func run(t *testing.T, s Store, id string, bytes int) {
	t.Helper()
	for _, e := range []Entry{initiated(id), message(id, bytes), ended(id)} {
		_, err := s.Append(t.Context(), e)
		require.NoError(t, err)
	}
	seq, err := s.Owe(t.Context(), owing(id, "e-"+id))
	require.NoError(t, err)
	require.NoError(t, s.Delivered(t.Context(), id, seq))
}

// inMemory is of how many calls a store has the journal in memory, or the end of it.
func inMemory(d *Durable) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.held != nil && (len(c.pages.read) > 0 || c.pages.size > 0) {
			n++
		}
	}
	return n
}

// messages is how many messages the streams of a store have.
func messages(t require.TestingT, d *Durable) (journals, records uint64) {
	for name, n := range map[string]*uint64{d.names.journals: &journals, d.names.records: &records} {
		s, err := d.link.js.Stream(context.Background(), name)
		require.NoError(t, err)
		*n = s.CachedInfo().State.Msgs
	}
	return journals, records
}

func TestCallsThatAreOverAreReadBackFromTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, _ := openDurable(t, DurableConfig{Dir: dir, Memory: 20_000})
	for i := range 50 {
		run(t, d, fmt.Sprintf("c-%02d", i), 1000)
	}
	_, err := d.Append(t.Context(), initiated("c-up"))
	require.NoError(t, err)
	seq, err := d.Owe(t.Context(), owing("c-49", "e-more"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return inMemory(d) < 20 }, patience, 10*time.Millisecond)

	check := func(d *Durable) {
		t.Helper()
		for i := range 50 {
			journal, err := d.Journal(t.Context(), fmt.Sprintf("c-%02d", i))
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(journal), 5)
			require.Equal(t, "INFO", journal[1].SIP.Method)
			record, err := d.Record(t.Context(), fmt.Sprintf("c-%02d", i))
			require.NoError(t, err)
			require.Equal(t, StateDisconnected, record.State)
		}
		var ids []string
		for q := (Query{Limit: 7}); ; {
			records, next, err := d.Records(t.Context(), q)
			require.NoError(t, err)
			for _, r := range records {
				ids = append(ids, r.CallID)
			}
			if q.After = next; next == "" {
				break
			}
		}
		require.Len(t, ids, 51)
		require.IsIncreasing(t, ids)
	}
	check(d)
	require.NoError(t, d.Close())
	d, _ = openDurable(t, DurableConfig{Dir: dir, Memory: 20_000})
	assert.Equal(t, 1, inMemory(d), "the one that is up")
	check(d)

	// What is on disk alone is appended to as if it were not.
	require.NoError(t, d.Delivered(t.Context(), "c-49", seq))
	_, err = d.Append(t.Context(), message("c-01", 10))
	require.NoError(t, err)
	for id, want := range map[string]int{"c-49": 7, "c-01": 6} {
		journal, err := d.Journal(t.Context(), id)
		require.NoError(t, err)
		assert.Len(t, journal, want)
	}
	debts, err := d.Debts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, debts)
	assert.ErrorIs(t, d.Delivered(t.Context(), "c-none", 1), ErrNotOwed)
	_, err = d.Journal(t.Context(), "c-none")
	assert.ErrorIs(t, err, ErrNotFound)
}

// A call that is up and on which nothing happens is on disk alone, but for what is looked for all the time; it is gone on with
// as if it were not.
func TestOfACallThatIsQuietTheJournalIsNotInMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, _ := openDurable(t, DurableConfig{Dir: dir})
	d.mu.Lock()
	d.calmTime = 0
	d.mu.Unlock()
	add := func(e Entry) {
		t.Helper()
		_, err := d.Append(t.Context(), e)
		require.NoError(t, err)
	}
	for _, e := range journalOf("c-up") {
		add(e)
	}
	seq, err := d.Owe(t.Context(), owing("c-up", "e-1"))
	require.NoError(t, err)
	want, err := d.Journal(t.Context(), "c-up")
	require.NoError(t, err)
	for range 3 {
		require.Eventually(t, func() bool { return inMemory(d) == 0 }, patience, 10*time.Millisecond)
		after, err := d.Journal(t.Context(), "c-up")
		require.NoError(t, err)
		require.Equal(t, jsonOf(t, want), jsonOf(t, after))
		ids, err := d.Unfinished(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"c-up"}, ids)
		add(message("c-up", 100))
		if want, err = d.Journal(t.Context(), "c-up"); err != nil || len(want) != len(after)+1 {
			require.Len(t, want, len(after)+1, err)
		}
	}
	require.NoError(t, d.Delivered(t.Context(), "c-up", seq))
	require.NoError(t, d.Delivered(t.Context(), "c-up", seq), "twice")
	debts, err := d.Debts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, debts)
	require.NoError(t, d.Close())
	d, _ = openDurable(t, DurableConfig{Dir: dir})
	after, err := d.Journal(t.Context(), "c-up")
	require.NoError(t, err)
	assert.Len(t, after, len(want)+1)
}

// What is over goes when its time is up. What is up, or owes something, stays, however old it is: it is written once more
// behind what goes.
func TestTheDiskIsTrimmedByAge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, _ := openDurable(t, DurableConfig{Dir: dir, Retention: time.Second})
	for _, e := range journalOf("c-up") {
		_, err := d.Append(t.Context(), e)
		require.NoError(t, err)
	}
	_, err := d.Append(t.Context(), initiated("c-owes"))
	require.NoError(t, err)
	_, err = d.Append(t.Context(), ended("c-owes"))
	require.NoError(t, err)
	_, err = d.Owe(t.Context(), owing("c-owes", "e-1"))
	require.NoError(t, err)
	for i := range 20 {
		run(t, d, fmt.Sprintf("c-%d", i), 1000)
	}
	before, err := d.Journal(t.Context(), "c-up")
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		journals, records := messages(c, d)
		assert.LessOrEqual(c, journals, uint64(3))
		assert.LessOrEqual(c, records, uint64(3), "two values and the checkpoint")
	}, patience, 50*time.Millisecond)
	for range 2 {
		_, err = d.Journal(t.Context(), "c-7")
		assert.ErrorIs(t, err, ErrNotFound)
		after, err := d.Journal(t.Context(), "c-up")
		require.NoError(t, err)
		assert.Equal(t, jsonOf(t, before), jsonOf(t, after))
		debts, err := d.Debts(t.Context())
		require.NoError(t, err)
		require.Len(t, debts, 1)
		assert.Equal(t, "c-owes", debts[0].CallID)
		require.NoError(t, d.Close())
		d, _ = openDurable(t, DurableConfig{Dir: dir, Retention: time.Hour})
	}
}

func TestTheDiskIsTrimmedBySize(t *testing.T) {
	t.Parallel()
	d, _ := openDurable(t, DurableConfig{Dir: t.TempDir(), MaxBytes: 200_000})
	_, err := d.Append(t.Context(), initiated("c-up"))
	require.NoError(t, err)
	for i := range 300 {
		run(t, d, fmt.Sprintf("c-%03d", i), 1000)
	}
	safe(t, d)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.NoError(c, d.trim(context.Background(), time.Now()))
		assert.LessOrEqual(c, d.Figures().Stored, uint64(200_000))
	}, patience, 50*time.Millisecond)
	records, _, err := d.Records(t.Context(), Query{})
	require.NoError(t, err)
	assert.Equal(t, "c-up", records[0].CallID, "it is up, and stays")
	assert.Less(t, len(records), 200)
	assert.Greater(t, len(records), 50)
	assert.Equal(t, "c-299", records[len(records)-1].CallID, "the oldest go first")
	for _, r := range records {
		journal, err := d.Journal(t.Context(), r.CallID)
		require.NoError(t, err)
		assert.NotEmpty(t, journal)
	}
}

// The same code uses a server elsewhere, and goes on in memory while that is away.
func TestAServerElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	port := -1
	serve := func() *server.Server {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
		require.NoError(t, err)
		s.Start()
		require.True(t, s.ReadyForConnections(patience))
		return s
	}
	s := serve()
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	cfg := DurableConfig{NATSURL: s.ClientURL()}
	d, _ := openDurable(t, cfg)
	run(t, d, "c-1", 100)
	safe(t, d)

	port = s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	for i := 2; d.Failing() == nil; i++ {
		run(t, d, fmt.Sprintf("c-%d", i), 100)
	}
	run(t, d, "c-last", 100)
	s = serve()
	becomes(t, d, false)
	safe(t, d)
	require.NoError(t, d.Close())

	d, _ = openDurable(t, cfg)
	for _, id := range []string{"c-1", "c-2", "c-last"} {
		journal, err := d.Journal(t.Context(), id)
		require.NoError(t, err)
		assert.Len(t, journal, 5)
	}
}
