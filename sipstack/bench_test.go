package sipstack

import (
	"fmt"
	"testing"
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
