package state

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkKeptCallDurable measures the same of a store on disk: of calls that are up and busy, and of such as are over.
func BenchmarkKeptCallDurable(b *testing.B) {
	journal := settledCall()
	for name, tc := range map[string]struct {
		entries []Entry
		filed   bool // until their values are on disk, too
	}{
		"up":         {journal[:len(journal)/2], false},
		"just ended": {journal, false},
		"over":       {journal, true},
	} {
		b.Run(name, func(b *testing.B) {
			const calls = 5000
			copies := copier(b, tc.entries)
			for b.Loop() {
				d, _ := openDurable(b, DurableConfig{Dir: b.TempDir()})
				before := liveHeap()
				var placing sync.WaitGroup
				for from := range 100 {
					placing.Go(func() {
						for i := from; i < calls; i += 100 {
							for _, e := range copies(fmt.Sprintf("c-%08d", i)) {
								if _, err := d.Append(context.Background(), e); err != nil {
									b.Error(err)
								}
							}
						}
					})
				}
				placing.Wait()
				require.Eventually(b, func() bool { return d.settledDown(tc.filed) }, patience, time.Millisecond)
				after := liveHeap()
				b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/calls, "B/call")
				b.ReportMetric((float64(after.HeapObjects)-float64(before.HeapObjects))/calls, "objects/call")
				runtime.KeepAlive(d)
				require.NoError(b, d.Close())
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// settledDown reports whether all journals are written, and all values.
func (d *Durable) settledDown(values bool) bool {
	if d.Figures().Unwritten > 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return !values || len(d.fresh) == 0 && d.cycle.open == 0
}
