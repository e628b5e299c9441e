package bench_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// overloadTime is how long each load lasts.
func overloadTime() time.Duration { return scaled(8*time.Second, time.Second) }

// BenchmarkOverload finds the rate that a node keeps up with, and then offers it half of that and three times as much.
// It reports ratios, which mean the same on every machine: "p99-ratio" is the 99th percentile of the time from INVITE to
// 200 of the calls that were let in at three times the capacity, by that at half load; "throughput-ratio" the calls let in
// per second at three times the capacity, by the most that were at any rate. Of several tries the least p99 of each load counts; one
// that had calls refused at half load says nothing: somebody else used the machine.
func BenchmarkOverload(b *testing.B) {
	app := startApplication(b, `<Response><Pause duration="0.1"/></Response>`)
	p := startNode(b, app.url, inMemory)
	offer(b, p, 50, 2*time.Second) // connections, caches
	for b.Loop() {
		capacity := p.capacity(b)
		var half, triple offered
		for range tries() {
			h := offer(b, p, int(capacity/2), overloadTime())
			t := offer(b, p, int(3*capacity), overloadTime())
			if h.refused+h.lost > 0 {
				continue
			}
			if half.waits == nil || h.p99() < half.p99() {
				half = h
			}
			if triple.waits == nil || t.p99() < triple.p99() {
				triple = t
			}
		}
		if half.waits == nil {
			b.Log("each time calls were refused at half load: the machine is too busy")
			continue
		}
		b.ReportMetric(capacity, "calls/s")
		b.ReportMetric(half.p99(), "ms-p99-half")
		b.ReportMetric(triple.p99(), "ms-p99-triple")
		b.ReportMetric(triple.p99()/half.p99(), "p99-ratio")
		b.ReportMetric(triple.throughput()/max(capacity, triple.throughput()), "throughput-ratio")
		b.ReportMetric(milliseconds(triple.refusal), "ms-p99-refusal")
	}
	b.ReportMetric(0, "ns/op")
}

// capacity is the most calls that are let in per second at any rate up to the first that the node does not keep up with, which is
// tried more than once.
func (p *process) capacity(b *testing.B) (most float64) {
	missed := 0
	for rate := scaled(400, 40); missed < tries(); {
		o := offer(b, p, rate, overloadTime()/2)
		most = max(most, o.throughput())
		if o.throughput() < 0.95*float64(rate) {
			missed++
			continue
		}
		if testing.Short() {
			return most
		}
		missed = 0
		rate += max(50, rate/5/50*50)
	}
	return most
}

// offered is what came of a load.
type offered struct {
	waits                   []time.Duration // from INVITE to 200, sorted
	refused, lost, repeated int
	took                    time.Duration
	refusal                 time.Duration // 99th percentile of the time from INVITE to 503
}

func (o offered) throughput() float64 { return float64(len(o.waits)) / o.took.Seconds() }

// p99 is the 99th percentile of the time from INVITE to 200, in milliseconds.
func (o offered) p99() float64 { return milliseconds(o.percentile(0.99)) }

func (o offered) percentile(p float64) time.Duration { return o.waits[int(p*float64(len(o.waits)-1))] }

// callers place calls at a rate of their own, whatever becomes of those before.
type callers struct {
	conn net.PacketConn
	node net.Addr
	run  string

	mu       sync.Mutex
	sent     map[string]sentInvite // that have no final response
	waits    []time.Duration
	refusals []time.Duration
	repeated int
}

type sentInvite struct {
	text        string
	first, next time.Time
	wait        time.Duration
}

// offer places calls at a rate. A call that has no answer is sent again as a phone does it (RFC 3261 section 17.1.1.2).
func offer(b *testing.B, p *process, rate int, length time.Duration) offered {
	b.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(b, err)
	_ = conn.(*net.UDPConn).SetReadBuffer(4 << 20)
	node, err := net.ResolveUDPAddr("udp4", p.sip)
	require.NoError(b, err)
	c := &callers{conn: conn, node: node, run: conn.LocalAddr().String(), sent: map[string]sentInvite{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.listen()
	}()
	began := time.Now()
	tick := time.NewTicker(time.Millisecond)
	again := began
	for n := 0; ; {
		now := <-tick.C
		if now.Sub(began) > length {
			break
		}
		for ; float64(n) < float64(rate)*now.Sub(began).Seconds(); n++ {
			c.invite(n)
		}
		if now.Sub(again) > 50*time.Millisecond {
			c.repeat(now)
			again = now
		}
	}
	tick.Stop()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c.repeat(time.Now())
	}
	_ = conn.Close()
	<-ended
	slices.Sort(c.waits)
	slices.Sort(c.refusals)
	o := offered{waits: c.waits, refused: len(c.refusals), lost: len(c.sent), repeated: c.repeated, took: length}
	if len(c.refusals) > 0 {
		o.refusal = c.refusals[len(c.refusals)*99/100]
	}
	require.NotEmpty(b, o.waits)
	b.Logf("%d calls/s offered: %.0f/s let in, p50 %v, p99 %v; %d refused (p99 %v), %d lost, %d repeated", rate, o.throughput(),
		o.percentile(0.5).Round(10*time.Microsecond), o.percentile(0.99).Round(10*time.Microsecond), o.refused, o.refusal.Round(10*time.Microsecond), o.lost, o.repeated)
	time.Sleep(time.Second)
	return o
}

func (c *callers) invite(n int) {
	sdp := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
	id := fmt.Sprintf("%d-%s", n, c.run)
	text := fmt.Sprintf("INVITE sip:bench@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi%s\r\nMax-Forwards: 70\r\nFrom: <sip:c%d@%s>;tag=f%d\r\n"+
		"To: <sip:bench@%s>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:%s>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		c.node, c.run, id, n, c.run, n, c.node, id, c.run, len(sdp), sdp)
	now := time.Now()
	c.mu.Lock()
	c.sent[id] = sentInvite{text, now, now.Add(500 * time.Millisecond), 500 * time.Millisecond}
	c.mu.Unlock()
	_, _ = c.conn.WriteTo([]byte(text), c.node)
}

func (c *callers) repeat(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.sent {
		if now.After(s.next) {
			s.wait *= 2
			s.next = now.Add(s.wait)
			c.sent[id] = s
			c.repeated++
			_, _ = c.conn.WriteTo([]byte(s.text), c.node)
		}
	}
}

func (c *callers) listen() {
	buf := make([]byte, 65536)
	for {
		n, _, err := c.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		c.message(string(buf[:n]), time.Now())
	}
}

func (c *callers) message(m string, at time.Time) {
	id := header(m, "Call-ID")
	switch final := strings.HasPrefix(m, "SIP/2.0 ") && !strings.HasPrefix(m, "SIP/2.0 1"); {
	case strings.HasPrefix(m, "BYE "):
		_, _ = fmt.Fprintf(writer{c}, "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
			header(m, "Via"), header(m, "From"), header(m, "To"), id, header(m, "CSeq"))
	case final && strings.HasSuffix(header(m, "CSeq"), "INVITE"):
		branch := "z9hG4bKi" + id
		answered := strings.HasPrefix(m, "SIP/2.0 200")
		if answered {
			branch = "z9hG4bKa" + id
		}
		_, _ = fmt.Fprintf(writer{c}, "ACK sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
			c.node, c.run, branch, header(m, "From"), header(m, "To"), id)
		c.mu.Lock()
		defer c.mu.Unlock()
		s, ok := c.sent[id]
		if !ok {
			return
		}
		delete(c.sent, id)
		if answered {
			c.waits = append(c.waits, at.Sub(s.first))
		} else {
			c.refusals = append(c.refusals, at.Sub(s.first))
		}
	}
}

// writer sends each Write as a datagram.
type writer struct{ c *callers }

func (w writer) Write(b []byte) (int, error) { return w.c.conn.WriteTo(b, w.c.node) }

func header(m, name string) string {
	_, rest, _ := strings.Cut(m, "\r\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}
