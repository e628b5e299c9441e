package sipstack

import (
	"net"
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// keyRoom is as long as most keys of transactions are: more is made where it does not do.
const keyRoom = 160

// remember keeps a final response that has gone out, for repetitions of its request. Of a 2xx to an INVITE it keeps no more than that
// it was: repetitions of that INVITE get nothing, as the 2xx is repeated until its ACK (RFC 6026 section 7.1).
func (l *packetListener) remember(m sniffed, raw []byte, to net.Addr) {
	if l.finals == nil || m.Code < 200 || !isRepeatable(m.cseqMethod, m.Code) {
		return
	}
	if m.cseqMethod == string(sip.INVITE) {
		raw = nil
	}
	var room [keyRoom]byte
	if key, ok := appendKey(room[:0], m.via, m.cseqMethod); ok {
		l.finals.keep(key, addrPort(to), raw)
	}
}

// repeats answers a request that has been answered before, and reports whether it was one.
func (l *packetListener) repeats(m sniffed) bool {
	if l.finals == nil || m.Code != 0 || m.Method != m.cseqMethod || !isRepeatable(m.cseqMethod, sip.StatusOK) {
		return false
	}
	var room [keyRoom]byte
	key, ok := appendKey(room[:0], m.via, m.cseqMethod)
	if !ok {
		return false
	}
	res, to, ok := l.finals.find(key)
	if ok {
		l.repeat(res, to)
	}
	return ok
}

// repeat sends a response once more, if there is anything to send. It is not waited until that is written down: the first time it was.
func (l *packetListener) repeat(res []byte, to netip.AddrPort) {
	if len(res) == 0 {
		return
	}
	dest := net.UDPAddrFromAddrPort(to)
	if m, ok := sniff(res); ok {
		l.tap.tell(m, false, "udp", l.local, dest)
	}
	_, _ = l.PacketConn.WriteTo(res, dest) // lost like any other packet
}

// repeats answers a request that has been answered before and was on its way to us while it was, or is not written as plainly as
// [packetListener.repeats] wants it; and reports whether it was one.
func (s *Stack) repeats(req *sip.Request, tx *sip.ServerTx) bool {
	res, to, ok := s.lastAnswer(req, tx)
	if !ok {
		return false
	}
	if c, ok := tx.Connection().(*sip.UDPConnection); ok {
		if l, ok := c.PacketConn.(*packetListener); ok {
			l.repeat(res, to)
		}
	}
	return true
}

// settle ends a transaction whose request has been handled. Where repetitions get their answer without it, it is over at once;
// sipgo keeps others over UDP for them once they have their final response, and ends those without one.
func (s *Stack) settle(req *sip.Request, tx *sip.ServerTx) {
	if _, _, kept := s.lastAnswer(req, tx); kept {
		tx.Terminate()
		return
	}
	tx.TerminateGracefully()
}

// lastAnswer returns the final response of a transaction that is remembered; none, but true, of an INVITE that got a 2xx.
func (s *Stack) lastAnswer(req *sip.Request, tx *sip.ServerTx) (res []byte, to netip.AddrPort, ok bool) {
	if !isRepeatable(string(req.Method), sip.StatusOK) || !overUDP(req) {
		return nil, to, false
	}
	var room [keyRoom]byte
	return s.finals.find(append(room[:0], tx.Key()...))
}
