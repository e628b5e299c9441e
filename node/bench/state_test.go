package bench_test

import (
	"bufio"
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkReferState places referred calls on nodes that keep their state in memory, on disk, and on disk with a sync for
// each message, in turns, so that whatever else the machine does meets all of them. "of-memory" is what a node with durable
// state gets done of what one in memory does, in per cent, with the same CPU time.
func BenchmarkReferState(b *testing.B) {
	kinds := []struct {
		name string
		rate int // calls per second
		set  []string
	}{
		{"memory", scaled(300, 20), []string{"state.dir="}},
		{"interval", scaled(300, 20), nil},
		{"always", scaled(300, 20), []string{"state.fsync=always"}},
	}
	nodes := make([]*process, len(kinds))
	for i, k := range kinds {
		nodes[i] = startNode(b, startApplication(b, referDocument).url, append(k.set, "sip.overload_control=false")...)
		sipp(b, "refer-succeeds", nodes[i].sip, k.rate/2, k.rate) // connections, caches
	}
	least := make([]time.Duration, len(kinds))
	for b.Loop() {
		for range scaled(5, 1) {
			for i, p := range nodes {
				if each := p.perCall(b, kinds[i].rate); each > 0 && (least[i] == 0 || each < least[i]) {
					least[i] = each
				}
			}
		}
	}
	for i, k := range kinds {
		b.ReportMetric(float64(least[i].Microseconds()), "us-CPU/call-"+k.name)
		if i > 0 && least[i] > 0 {
			b.ReportMetric(100*float64(least[0])/float64(least[i]), "%-of-memory-"+k.name)
		}
	}
	durable := nodes[1]
	figures := durable.figures(b)
	calls := figures[`callengine_calls_total{direction="inbound"}`]
	b.ReportMetric(figures["callengine_state_entries_written_total"]/calls, "entries/call")
	b.ReportMetric(figures["callengine_state_messages_written_total"]/calls, "messages/call")
	b.ReportMetric(figures["callengine_state_bytes_written_total"]/figures["callengine_state_entries_written_total"], "B/entry")
	b.ReportMetric(float64(sizeOf(b, filepath.Join(durable.cmd.Dir, "callengine-data")))/calls, "disk-B/call")
	b.ReportMetric(0, "ns/op")
}

// figures are a node's metrics.
func (p *process) figures(b testing.TB) map[string]float64 {
	b.Helper()
	res, err := http.Get("http://" + p.api + "/metrics")
	require.NoError(b, err)
	defer func() { require.NoError(b, res.Body.Close()) }()
	all := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if at := strings.LastIndexByte(lines.Text(), ' '); at > 0 {
			if v, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
				all[lines.Text()[:at]] = v
			}
		}
	}
	return all
}

// sizeOf is how many bytes the files of a directory have.
func sizeOf(b testing.TB, dir string) (n int64) {
	b.Helper()
	require.NoError(b, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		n += info.Size()
		return err
	}))
	return n
}
