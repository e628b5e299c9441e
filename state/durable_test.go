package state

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// openDurable opens a store, which is closed with the test.
func openDurable(t testing.TB, cfg DurableConfig, opts ...DurableOption) (*Durable, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	d, err := NewDurable(cfg, append(opts, WithLogger(zap.New(core)))...)
	require.NoError(t, err)
	require.NoError(t, d.Open(context.Background()))
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	return d, logs
}

// journalOf is every kind of entry.
func journalOf(id string) []Entry {
	tag := "t"
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	entries := []Entry{
		{SIP: &SIP{Direction: "in", Transport: "udp", Local: "127.0.0.1:5060", Remote: "127.0.0.1:5061", Method: "INVITE", CSeq: 1, Raw: "INVITE sip:x SIP/2.0\r\n\r\n"}, Type: TypeSIP},
		{Call: &Call{Event: CallInitiated, AccountID: "1", From: "sip:a@b", To: "sip:c@d", At: at, Tag: &tag}, Type: TypeCall},
		{Webhook: &Webhook{Event: WebhookRequest, EventID: "e1", EventType: "initiate", Body: []byte(`{"a":1}`)}, Type: TypeWebhook},
		{Document: &Document{URL: "http://a/", Body: "<Response/>", Verbs: []string{"Refer"}, Warnings: []string{"w"}}, Type: TypeDocument},
		{Dialog: &Dialog{Snapshot: []byte(`{"cseq":1}`)}, Type: TypeDialog},
		{Verb: &Verb{Event: VerbProgress, Name: "Refer", Refer: &Refer{ID: "2", Target: "sip:e@f", SentTime: at, AcceptedTime: &at, Status: ReferPending}}, Type: TypeVerb},
		{Timer: &Timer{Name: "notify", Event: "started", After: "30s"}, Type: TypeTimer},
		{Media: &Media{Event: "agreed", Detail: "PCMU"}, Type: TypeMedia},
		{Digit: &Digit{Digit: "5", By: "rtp", Millis: 100}, Type: TypeDigit},
	}
	for i := range entries {
		entries[i].CallID, entries[i].Time = id, at.Add(time.Duration(i)*time.Millisecond)
	}
	return entries
}

func TestWhatIsAppendedIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	d, _ := openDurable(t, DurableConfig{Dir: dir})
	for _, e := range journalOf("c-1") {
		_, err := d.Append(t.Context(), e)
		require.NoError(t, err)
	}
	seq, err := d.Owe(t.Context(), owing("c-2", "e-1"))
	require.NoError(t, err)
	before, err := d.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	record, err := d.Record(t.Context(), "c-1")
	require.NoError(t, err)
	require.NoError(t, d.Close())

	for range 2 { // from the messages behind the checkpoint, and from values
		d, logs := openDurable(t, DurableConfig{Dir: dir})
		after, err := d.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		assert.Equal(t, before, after)
		again, err := d.Record(t.Context(), "c-1")
		require.NoError(t, err)
		assert.Equal(t, record, again)
		ids, err := d.Unfinished(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"c-1"}, ids)
		debts, err := d.Debts(t.Context())
		require.NoError(t, err)
		require.Len(t, debts, 1)
		assert.Equal(t, seq, debts[0].Seq)
		assert.JSONEq(t, string(envelope("e-1")), string(debts[0].Event))
		assert.Empty(t, logs.FilterLevelExact(zap.ErrorLevel).All())
		require.NoError(t, d.Close())
	}
}

func TestFilesOfAStateDirectoryAreItsOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	openDurable(t, DurableConfig{Dir: dir})
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

// BenchmarkAppendDurable appends to calls on disk: entries that are written behind, and such as are waited for, by one call
// at a time and by a hundred at once, with a sync of the disk for each message and without.
func BenchmarkAppendDurable(b *testing.B) {
	vital := Entry{Type: TypeDialog, Dialog: &Dialog{Snapshot: make([]byte, 500)}}
	for name, tc := range map[string]struct {
		entry Entry
		calls int
		sync  bool
	}{
		"behind":                 {message("", 500), 1, false},
		"awaited":                {vital, 1, false},
		"awaited-by-many":        {vital, 100, false},
		"awaited-synced":         {vital, 1, true},
		"awaited-by-many-synced": {vital, 100, true},
	} {
		b.Run(name, func(b *testing.B) {
			d, _ := openDurable(b, DurableConfig{Dir: b.TempDir(), SyncAlways: tc.sync})
			var calls atomic.Int64
			b.SetParallelism((tc.calls + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				e := tc.entry
				for i := 0; pb.Next(); i++ {
					if i%50 == 0 {
						e.CallID = fmt.Sprintf("c-%d", calls.Add(1))
					}
					if _, err := d.Append(context.Background(), e); err != nil {
						b.Error(err)
						return
					}
					if err := d.Await(context.Background(), e.CallID); err != nil {
						b.Error(err)
						return
					}
				}
			})
			f := d.Figures()
			b.ReportMetric(float64(f.Bytes)/float64(f.Entries), "B/entry")
			b.ReportMetric(float64(f.Entries)/float64(f.Messages), "entries/message")
		})
	}
}
