package bench_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stepTime is how long each rate is held.
const stepTime = 6 * time.Second

// cpuRate is a rate, in calls per second, that every machine sustains: the CPU time per call is that of this load.
const cpuRate = 300

// BenchmarkReferLoad steps the rate of referred calls up until one in a thousand fails: INVITE, webhook, 200, ACK, REFER,
// 202, NOTIFY 100, NOTIFY 200, BYE, referComplete, disconnect. "node" is callengine, "floor" the bare sipgo server with the
// same SIP messages and no webhooks.
func BenchmarkReferLoad(b *testing.B) {
	for _, bc := range []struct {
		name  string
		start func(testing.TB) *process
	}{
		{"floor", func(b testing.TB) *process { return startFloor(b, "") }},
		{"floor-with-webhooks", func(b testing.TB) *process { return startFloor(b, startApplication(b, referDocument).url) }},
		{"node", func(b testing.TB) *process { return startNode(b, startApplication(b, referDocument).url) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			p := bc.start(b)
			sipp(b, "refer-succeeds", p.sip, 50, 100) // connections, caches
			for b.Loop() {
				b.ReportMetric(float64(p.perCall(b, cpuRate).Microseconds()), "us-CPU/call")
				b.ReportMetric(p.sustained(b), "calls/s")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// perCall is the CPU time of one call at a rate.
func (p *process) perCall(b testing.TB, rate int) time.Duration {
	b.Helper()
	before := p.cpu()
	l := sipp(b, "refer-succeeds", p.sip, rate, rate*int(stepTime/time.Second))
	require.True(b, l.clean(), "%+v", l)
	return (p.cpu() - before) / time.Duration(l.done)
}

// sustained is the highest rate at which no more than one call in a thousand fails, and the rate is kept.
func (p *process) sustained(b testing.TB) float64 {
	b.Helper()
	var best float64
	for rate := cpuRate; ; rate += max(100, rate/5/100*100) {
		before := p.cpu()
		l := sipp(b, "refer-succeeds", p.sip, rate, rate*int(stepTime/time.Second))
		b.Logf("%d calls/s: %.0f/s done, %d failed, %d retransmitted, %v CPU per call", rate, l.rate(), l.failed, l.retransmitted,
			((p.cpu() - before) / time.Duration(max(1, l.done))).Round(time.Microsecond))
		if !l.clean() || l.rate() < 0.9*float64(rate) {
			return best
		}
		best = max(best, l.rate())
	}
}

// BenchmarkReferLatency places 200 referred calls a second and measures how fast the node reacts: from the application's
// reply to the REFER on the wire, the 200 and its ACK between included, and from the final NOTIFY to the referComplete request.
func BenchmarkReferLatency(b *testing.B) {
	const calls, interval = 2000, 5 * time.Millisecond
	app := startApplication(b, referDocument)
	app.timed = true
	p := startNode(b, app.url)
	sipp(b, "refer-succeeds", p.sip, 50, 100)
	for b.Loop() {
		phone := newPhone(b, p.sip, calls)
		next := time.NewTicker(interval)
		for n := range calls {
			<-next.C
			phone.call(n)
		}
		next.Stop()
		giveUp := time.After(20 * time.Second)
		for n := range calls {
			select {
			case <-phone.ended:
			case <-giveUp:
				require.Fail(b, fmt.Sprintf("only %d of %d calls ended", n, calls))
			}
		}
		app.settle(b, calls)
		app.mu.Lock()
		phone.mu.Lock()
		report(b, "reply-to-REFER", between(app.replied, phone.referred))
		report(b, "NOTIFY-to-referComplete", between(phone.notified, app.complete))
		phone.mu.Unlock()
		app.mu.Unlock()
	}
	b.ReportMetric(0, "ns/op")
}

// between returns, sorted, how long it took from one moment of a call to another.
func between(from, to map[string]time.Time) (waits []time.Duration) {
	for call, end := range to {
		if start, ok := from[call]; ok {
			waits = append(waits, end.Sub(start))
		}
	}
	slices.Sort(waits)
	return waits
}

func report(b *testing.B, what string, waits []time.Duration) {
	b.Helper()
	require.NotEmpty(b, waits, what)
	b.ReportMetric(milliseconds(waits[len(waits)/2]), "ms-p50-"+what)
	b.ReportMetric(milliseconds(waits[len(waits)*99/100]), "ms-p99-"+what)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkIdleCalls measures what an answered call that waits takes of the node's memory.
func BenchmarkIdleCalls(b *testing.B) {
	const calls = 2000
	app := startApplication(b, `<Response><Pause duration="20"/></Response>`)
	p := startNode(b, app.url)
	for b.Loop() {
		sipp(b, "caller-waits", p.sip, 50, 50)
		before := p.resident()
		peak := make(chan int)
		stop := make(chan struct{})
		go p.peak(peak, stop)
		l := sipp(b, "caller-waits", p.sip, 200, calls)
		close(stop)
		require.True(b, l.clean(), "%+v", l)
		b.ReportMetric(float64(<-peak-before)/calls/1024, "KiB/call")
	}
	b.ReportMetric(0, "ns/op")
}

// peak looks at the resident memory until stop, and tells the most it saw.
func (p *process) peak(told chan<- int, stop <-chan struct{}) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	most := 0
	for {
		select {
		case <-look.C:
			most = max(most, p.resident())
		case <-stop:
			told <- most
			return
		}
	}
}
