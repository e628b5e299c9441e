package state

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// patience is how long anything may take on a busy machine.
const patience = 40 * time.Second

// becomes waits until a store fails, or does so no longer.
func becomes(t *testing.T, d *Durable, failing bool) {
	t.Helper()
	require.Eventually(t, func() bool { return (d.Failing() != nil) == failing }, patience, 5*time.Millisecond)
}

// safe waits until everything is on disk.
func safe(t *testing.T, d *Durable) {
	t.Helper()
	require.Eventually(t, func() bool { return d.Failing() == nil && d.Figures().Unwritten == 0 }, patience, 5*time.Millisecond)
}

// A full disk stops no call: they go on in memory, and when there is room again nothing is missing. With a reserve the
// store stops before the server in the process notices.
func TestAFullDiskStopsNothingAndCostsNothing(t *testing.T) {
	t.Parallel()
	const reserve = 4 << 20
	t.Run("that tells", func(t *testing.T) {
		t.Parallel()
		stopsNothing(t, toldDisk(t), reserve)
	})
	for name, reserve := range map[string]int64{"noticed in time": reserve, "noticed by the server": 1} {
		if disk, there := ownDisk(t, 24); there {
			t.Run("of its own, "+name, func(t *testing.T) {
				t.Parallel()
				stopsNothing(t, disk, reserve)
			})
		}
	}
}

// What the server in the process may not write it does not answer: it is given up, and is started again when the disk takes
// something.
func TestAServerThatCannotWriteStopsNothing(t *testing.T) {
	t.Parallel()
	if alone(t) {
		stopsNothing(t, limitedDisk(t), 1)
	}
}

func stopsNothing(t *testing.T, disk smallDisk, reserve int64) {
	t.Helper()
	cfg := DurableConfig{Dir: filepath.Join(disk.dir, "state"), Reserve: reserve}
	d, logs := openDurable(t, cfg, disk.known)
	defer func() {
		if t.Failed() {
			for _, l := range logs.All() {
				t.Log(l.Level, l.Message, l.ContextMap())
			}
		}
	}()
	want := map[string]int{}
	add := func(id string) {
		t.Helper()
		_, err := d.Append(t.Context(), initiated(id))
		require.NoError(t, err)
		_, err = d.Append(t.Context(), message(id, 20_000))
		require.NoError(t, err)
		_, err = d.Owe(t.Context(), owing(id, "e-"+id))
		require.NoError(t, err)
		want[id] = 3
	}
	for i := range 10 {
		add(fmt.Sprintf("before-%d", i))
	}
	safe(t, d)
	free := disk.fill(t, reserve>>21) // half of what is left alone
	if reserve > 1 {
		becomes(t, d, true)
	}
	for i := range 100 {
		add(fmt.Sprintf("full-%d", i))
	}
	becomes(t, d, true)
	for i := range 10 {
		add(fmt.Sprintf("failing-%d", i))
	}
	assert.Positive(t, d.Figures().Unwritten)
	assert.EqualValues(t, 1, d.Figures().Failing)
	assert.Len(t, logs.FilterMessageSnippet("state cannot be written").FilterLevelExact(zap.ErrorLevel).All(), 1)
	for id, n := range want {
		journal, err := d.Journal(t.Context(), id)
		require.NoError(t, err)
		require.Len(t, journal, n, "what is in memory can be read")
	}

	free()
	becomes(t, d, false)
	add("after")
	safe(t, d)
	assert.NotEmpty(t, logs.FilterMessageSnippet("state can be written again").All())
	require.NoError(t, d.Close())

	d, _ = openDurable(t, cfg, disk.known)
	for id, n := range want {
		journal, err := d.Journal(t.Context(), id)
		require.NoError(t, err, id)
		require.Len(t, journal, n, id)
	}
	debts, err := d.Debts(t.Context())
	require.NoError(t, err)
	assert.Len(t, debts, len(want))
}

// A disk that takes its time is waited for: calls go on in memory, the server stays, and what was on its way counts when it
// arrives.
func TestASlowDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, logs := openDurable(t, DurableConfig{Dir: dir})
	run(t, d, "c-1", 100)
	safe(t, d)
	serverOf := func() any {
		d.linkMu.RLock()
		defer d.linkMu.RUnlock()
		return d.link.server
	}
	server := serverOf()
	d.mu.Lock()
	d.token++
	token := d.token
	d.writing = true
	d.pending[token] = receipt{time.Now().Add(-2 * ackTime), func(uint64) { d.writing = false }}
	d.mu.Unlock()
	becomes(t, d, true)
	require.ErrorIs(t, d.Failing(), errTooSlow)
	run(t, d, "c-2", 100) // nobody waits
	assert.Equal(t, 5, d.Figures().Unwritten)
	assert.Len(t, logs.FilterMessageSnippet("fast enough").All(), 1)

	d.answered(d.replies, &nats.Msg{Subject: d.replies + strconv.FormatUint(token, 36), Data: []byte(`{"seq":7}`)})
	safe(t, d)
	assert.Same(t, server, serverOf(), "nothing was started anew")
	require.NoError(t, d.Close())
	d, _ = openDurable(t, DurableConfig{Dir: dir})
	journal, err := d.Journal(t.Context(), "c-2")
	require.NoError(t, err)
	assert.Len(t, journal, 5)
}

// What failed when the store was closed is lost, and that is said.
func TestWhatCannotBeWrittenAtTheEndIsSaid(t *testing.T) {
	t.Parallel()
	disk := toldDisk(t)
	d, logs := openDurable(t, DurableConfig{Dir: disk.dir, Reserve: 4 << 20}, disk.known)
	_, err := d.Append(t.Context(), initiated("c-1"))
	require.NoError(t, err)
	defer disk.fill(t, 2)()
	becomes(t, d, true)
	_, err = d.Append(t.Context(), ended("c-1"))
	require.NoError(t, err)
	require.NoError(t, d.Close())
	lost := logs.FilterMessage("journals could not be written to their end").All()
	require.Len(t, lost, 1)
	assert.EqualValues(t, 1, lost[0].ContextMap()["entries"])
	_, err = d.Append(t.Context(), initiated("c-2"))
	assert.ErrorIs(t, err, errClosed)
}
