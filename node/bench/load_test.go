package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stepTime is how long each rate is held, in seconds.
func stepTime() int { return scaled(4, 1) }

// tries is how often a load is tried that may have been disturbed.
func tries() int { return scaled(2, 1) }

// cpuRate is a rate, in calls per second, that every machine sustains: the CPU time per call is that of this load.
func cpuRate() int { return scaled(300, 20) }

// server is what referred calls go to: INVITE, webhook, 200, ACK, REFER, 202, NOTIFY 100, NOTIFY 200, BYE, referComplete,
// disconnect.
type server struct {
	name  string
	start func(testing.TB) *process
}

// servers are callengine with its journals in memory ("node") and with its state in a folder, as it is by default
// ("node-on-disk"), and the bare sipgo server with the same SIP messages ("floor") and as many HTTP requests.
func servers() []server {
	return []server{
		{"floor", func(b testing.TB) *process { return startFloor(b, "") }},
		{"floor-with-webhooks", func(b testing.TB) *process { return startFloor(b, startApplication(b, referDocument).url) }},
		{"node", func(b testing.TB) *process { return startNode(b, startApplication(b, referDocument).url, inMemory) }},
		{"node-on-disk", func(b testing.TB) *process { return startNode(b, startApplication(b, referDocument).url) }},
	}
}

// BenchmarkReferCost measures the CPU time of a referred call, of all servers in turns, so that whatever else the machine does
// meets all of them; the least of what several turns found counts. "of-twice-the-floor" is what a call of "node" costs, by twice
// what the floor does and the webhooks: 1 is the target.
func BenchmarkReferCost(b *testing.B) {
	all := servers()
	running := make([]*process, len(all))
	for i, s := range all {
		running[i] = s.start(b)
		sipp(b, "refer-succeeds", running[i].sip, 50, 100) // connections, caches
	}
	least := map[string]time.Duration{}
	for b.Loop() {
		for range scaled(4, 1) {
			for i, s := range all {
				if each := running[i].perCall(b, cpuRate()); each > 0 && (least[s.name] == 0 || each < least[s.name]) {
					least[s.name] = each
				}
			}
		}
	}
	for _, s := range all {
		b.ReportMetric(float64(least[s.name].Microseconds()), "us-CPU/call-"+s.name)
	}
	if target := least["floor"] + least["floor-with-webhooks"]; target > 0 { // twice the floor, and the webhooks
		b.ReportMetric(float64(least["node"])/float64(target), "of-twice-the-floor")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkReferLoad steps the rate of referred calls up until one in a thousand fails.
func BenchmarkReferLoad(b *testing.B) {
	for _, bc := range servers() {
		b.Run(bc.name, func(b *testing.B) {
			p := bc.start(b)
			sipp(b, "refer-succeeds", p.sip, 50, 100) // connections, caches
			for b.Loop() {
				if rate, cost := p.sustained(b); rate > 0 {
					b.ReportMetric(rate, "calls/s")
					b.ReportMetric(float64(cost.Microseconds()), "us-CPU/call-at-that-rate")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// perCall is the CPU time of one call at a rate. A try with failed calls does not count: it is 0 then.
func (p *process) perCall(b testing.TB, rate int) time.Duration {
	b.Helper()
	before := p.cpu()
	l := sipp(b, "refer-succeeds", p.sip, rate, rate*stepTime())
	each := (p.cpu() - before) / time.Duration(max(1, l.done))
	b.Logf("%d calls/s: %d failed, %v CPU per call", rate, l.failed, each.Round(time.Microsecond))
	if !l.clean() {
		return 0
	}
	return each
}

// sustained is the highest rate at which no more than one call in a thousand fails, and the rate is kept; and the CPU time
// of one call at that rate. A rate that is missed is tried again, tries times in all: somebody else may have used the machine.
func (p *process) sustained(b testing.TB) (best float64, cost time.Duration) {
	b.Helper()
	missed := 0
	for rate := cpuRate(); ; {
		before := p.cpu()
		l := sipp(b, "refer-succeeds", p.sip, rate, rate*stepTime())
		each := (p.cpu() - before) / time.Duration(max(1, l.done))
		b.Logf("%d calls/s: %.0f/s done, %d failed, %d retransmitted, %v CPU per call", rate, l.rate(), l.failed, l.retransmitted,
			each.Round(time.Microsecond))
		switch {
		case l.clean() && l.rate() >= 0.9*float64(rate):
			best, cost, missed = l.rate(), each, 0
			if testing.Short() {
				return best, cost
			}
			rate += max(100, rate/4/100*100)
		default:
			if missed++; missed == tries() {
				return best, cost
			}
			time.Sleep(3 * time.Second) // what is left of it ends
		}
	}
}

func p99(waits []time.Duration) time.Duration { return waits[len(waits)*99/100] }

func report(b *testing.B, what string, waits []time.Duration) {
	b.Helper()
	b.ReportMetric(milliseconds(waits[len(waits)/2]), "ms-p50-"+what)
	b.ReportMetric(milliseconds(p99(waits)), "ms-p99-"+what)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkIdleCalls measures what an answered call that waits takes of the node's memory: the growth of the resident set
// by 2,000 of them, each of which gets its silence every 20 ms, when all have been up for so long that nothing is kept
// of how they began (32 s); and how much of it are the stacks of goroutines, and how much the heap in use, by the
// node's own metrics. "on-disk" is with state as it is by default, which takes the journals of such calls out of memory.
func BenchmarkIdleCalls(b *testing.B) {
	b.Run("in-memory", func(b *testing.B) { idleCalls(b, inMemory) })
	b.Run("on-disk", func(b *testing.B) { idleCalls(b) })
}

func idleCalls(b *testing.B, set ...string) {
	calls, rate, settled := scaled(2000, 20), scaled(100, 20), scaled(54, 3)
	app := startApplication(b, fmt.Sprintf(`<Response><Pause duration="%d"/></Response>`, settled+4))
	p := startNode(b, app.url, set...)
	for b.Loop() {
		before := p.memory()
		var after memory
		look := time.AfterFunc(time.Duration(settled)*time.Second, func() { after = p.memory() })
		l := sipp(b, "caller-waits", p.sip, rate, calls)
		require.False(b, look.Stop(), "the calls ended too soon")
		require.True(b, l.clean(), "%+v", l)
		b.ReportMetric(float64(after.resident-before.resident)/float64(calls)/1024, "KiB/call")
		b.ReportMetric((after.stacks-before.stacks)/float64(calls)/1024, "KiB-stacks/call")
		b.ReportMetric((after.heap-before.heap)/float64(calls)/1024, "KiB-heap/call")
	}
	b.ReportMetric(0, "ns/op")
}
