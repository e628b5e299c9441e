package sipstack

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/require"
)

// BenchmarkMessageIn measures what it takes from a datagram to the decision about its call, by INVITEs that are turned away:
// the socket, the tap, sipgo's parser and transaction, our handler. The answer on its way back is a part of it.
func BenchmarkMessageIn(b *testing.B) {
	n := startNode(b, nil, Config{})
	defer n.stop()
	n.admit = func(Invitation) error { return &StatusError{Method: "INVITE", Code: 404, Reason: "Not Found"} }
	p := n.udpPhone()
	defer p.close()
	at := p.wire.local()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		head := fmt.Sprintf("sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\nFrom: <sip:a@%s>;tag=a\r\n"+
			"Call-ID: %d@bench\r\n", at, i, at, i)
		p.send("INVITE " + head + fmt.Sprintf("To: <sip:x@127.0.0.1>\r\nCSeq: 1 INVITE\r\nContact: <sip:a@%s>\r\nContent-Length: 0\r\n\r\n", at))
		answer := p.expect("SIP/2.0 404")
		p.send("ACK " + head + "To: " + field(answer, "To") + "\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n")
	}
}

// BenchmarkHead measures what is looked at of a NOTIFY: of one that comes in, before sipgo's parser reads it, and of one that goes out.
func BenchmarkHead(b *testing.B) {
	raw := []byte("NOTIFY sip:bench@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK1-2-3\r\nMax-Forwards: 70\r\n" +
		"From: <sip:bench@127.0.0.1>;tag=1\r\nTo: <sip:sipp@127.0.0.1:5061>;tag=2\r\nCall-ID: 1@127.0.0.1\r\nCSeq: 2 NOTIFY\r\n" +
		"Contact: <sip:sipp@127.0.0.1:5061;transport=udp>\r\nEvent: refer\r\nSubscription-State: active;expires=60\r\n" +
		"Content-Type: message/sipfrag\r\nContent-Length: 20\r\n\r\nSIP/2.0 100 Trying\r\n")
	g := testGate()
	b.Run("in", func(b *testing.B) {
		var head rawMessage
		b.ReportAllocs()
		for b.Loop() {
			head.read(raw)
			_, isSIP := head.sniff()
			message, _ := g.look(&head, theirs, false)
			require.True(b, isSIP && len(message) == len(raw))
		}
	})
	b.Run("out", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, isSIP := g.sniff(raw)
			require.True(b, isSIP)
		}
	})
}

// BenchmarkEndedCall measures what a referred call leaves in memory when it has ended, for as long as what comes late is answered
// (64*T1): INVITE, 200, ACK, REFER, 202, NOTIFY, BYE. The journal is not a part of it.
func BenchmarkEndedCall(b *testing.B) {
	const calls = 1000
	n := startNode(b, nil, Config{}, WithObserver(nobody{}))
	defer n.stop()
	n.OnInvite(func(inv Invitation) (Admission, error) { return referredCall(inv.SIPCallID), nil })
	p := n.udpPhone()
	defer p.close()
	place := func() {
		c := p.newCall()
		c.sendInvite("", offerLine)
		c.established(c.expect("SIP/2.0 200"))
		c.ack("")
		p.reply(p.expect("REFER"), 202, "")
		c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
		p.reply(p.expect("BYE"), 200, "")
	}
	for range 10 {
		place()
	}
	for b.Loop() {
		before := settledHeap()
		for range calls {
			place()
		}
		after := settledHeap()
		require.Zero(b, len(n.allDialogs()), "calls are up")
		b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/calls, "B/call")
		b.ReportMetric((float64(after.HeapObjects)-float64(before.HeapObjects))/calls, "objects/call")
	}
	b.ReportMetric(0, "ns/op")
}

// settledHeap is what is alive when all is done that follows the end of a call.
func settledHeap() (m runtime.MemStats) {
	time.Sleep(sip.T4 + time.Second) // client transactions, too
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// referredCall is a call that is answered, referred and hung up.
type referredCall string

func (c referredCall) CallID() string { return string(c) }
func (c referredCall) Abandon()       {}

func (c referredCall) Serve(l *Leg) {
	ctx := context.Background()
	if l.Answer(ctx) != nil {
		return
	}
	if r, err := l.Refer(ctx, "sip:carol@example.com"); err == nil {
		<-r.Done()
	}
	_ = l.Bye(ctx)
}
