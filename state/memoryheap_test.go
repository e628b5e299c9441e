package state

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkKeptCall measures what a referred call leaves in a store in memory: as long as it is up, right after its end, and from
// soon after that on, for as long as it is kept. It is the number of objects that the garbage collector has to follow, again and
// again; bytes cost it nothing.
func BenchmarkKeptCall(b *testing.B) {
	journal := settledCall()
	up := journal[:len(journal)/2]
	for name, tc := range map[string]struct {
		entries []Entry
		packed  bool
	}{
		"up":         {up, false},
		"up, quiet":  {up, true},
		"just ended": {journal, false},
		"over":       {journal, true},
	} {
		b.Run(name, func(b *testing.B) {
			const calls = 1000
			copies := copier(b, tc.entries)
			for b.Loop() {
				m := NewMemory(MemoryConfig{})
				before := liveHeap()
				for i := range calls {
					for _, e := range copies(fmt.Sprintf("c-%08d", i)) {
						_, err := m.Append(context.Background(), e)
						require.NoError(b, err)
					}
				}
				if tc.packed {
					time.Sleep(packQuiet)
					for range calls {
						_, err := m.Append(context.Background(), message("other", 1))
						require.NoError(b, err)
					}
				}
				after := liveHeap()
				b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/calls, "B/call")
				b.ReportMetric((float64(after.HeapObjects)-float64(before.HeapObjects))/calls, "objects/call")
				runtime.KeepAlive(m)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// settledCall is a referred call that is over, and owes nothing.
func settledCall() []Entry {
	journal := failingAndRecovering()
	owed := slices.IndexFunc(journal, isOwed)
	journal[len(journal)-1].Webhook.OwedSeq = journal[owed].Seq
	return journal
}

// copier returns what makes copies of a journal for other calls, which have no value in common, as those of a node have not.
func copier(tb testing.TB, entries []Entry) func(id string) []Entry {
	tb.Helper()
	codec, err := newCodec()
	require.NoError(tb, err)
	var packed bytes.Buffer
	for i := range entries {
		require.NoError(tb, codec.add(&packed, &entries[i]))
	}
	return func(id string) []Entry {
		journal, err := codec.unpack(id, part{first: 1, entries: packed.Bytes()}, nil)
		require.NoError(tb, err)
		for i := range journal {
			journal[i].Time = time.Time{}
		}
		return journal
	}
}

func liveHeap() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}
