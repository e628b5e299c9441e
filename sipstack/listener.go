package sipstack

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// listener is a bound address of ours.
type listener struct {
	network string   // "udp", "tcp" or "tls"
	addr    net.Addr // bound
	host    string   // what Via and Contact say, without brackets
	port    int

	packets *packetListener // of udp
	streams *streamListener // of tcp and tls
}

// transport is the name that Via has for the network.
func (l *listener) transport() string { return sip.NetworkToUpper(l.network) }

// local is the address that a request has to name so that sipgo sends it through this listener. With streams a connection is
// found by its other end: by their local address all accepted ones look alike.
func (l *listener) local() sip.Addr {
	if l.network != "udp" {
		return sip.Addr{}
	}
	u := addrPortRaw(l.addr)
	return sip.Addr{IP: net.IP(u.Addr().AsSlice()), Port: int(u.Port())}
}

// addrPortRaw is [addrPort] without the unmapping: sipgo finds the socket by the address as the socket writes it.
func addrPortRaw(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort()
	}
	p, _ := netip.ParseAddrPort(a.String())
	return p
}

func (l *listener) close() error {
	if l.packets != nil {
		l.packets.bury()
		return l.packets.PacketConn.Close()
	}
	return l.streams.Close()
}

// readBuffer is how many bytes may wait in a UDP socket: what is not read there in time is lost, 503s included.
const readBuffer = 4 << 20

// packetListener is a UDP socket as sipgo reads it: what the access list, the door or the gate refuses never reaches the parser nor sipgo's
// table of peers, and everything else is observed.
type packetListener struct {
	net.PacketConn
	local   string // its address, as observers are told of it
	allow   acl
	door    *door
	gate    *gate
	tap     *tap
	finals  *finals                                          // of the stack; nil: repetitions are not answered here
	ack     func(message []byte, from net.Addr) (taken bool) // is told of an ACK in a dialog first; nil: nobody is
	pool    *sip.ConnectionPool                              // sipgo's table
	reading chan struct{}                                    // closed when sipgo reads, and has the socket in its table
	once    sync.Once
	again   []packet   // of the reader: packets of another process that are read before all others
	head    rawMessage // of the reader: the packet that it is at

	mu     sync.Mutex
	recent recent
	err    error // why reading ended
}

// timed is a socket that knows how long a datagram lay in it.
type timed interface {
	ReadWaited(b []byte) (n int, from net.Addr, waited time.Duration, err error)
}

// packet is a datagram off the wire.
type packet struct {
	data []byte
	from net.Addr
}

// ReadFrom implements [net.PacketConn].
func (l *packetListener) ReadFrom(b []byte) (int, net.Addr, error) {
	l.begun()
	for len(l.again) > 0 {
		p := l.again[0]
		l.again = l.again[1:]
		if message, _ := l.gate.pass(p.data, p.from, false); message != nil && len(message) <= len(b) {
			l.mu.Lock()
			l.recent.add(p.from)
			l.mu.Unlock()
			return copy(b, message), p.from, nil // it was observed when it came
		}
	}
	for {
		n, peer, waited, err := l.read(b)
		if err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
			l.bury() // once more: sipgo has put the peer of the last packet into its table since
			return n, peer, err
		}
		if !l.allow.admits(peer) {
			continue
		}
		l.head.read(b[:n])
		m, isSIP := l.head.sniff()
		if pass, answer, to := l.door.first(m, isSIP, b[:n], arrival{"udp", peer, waited}); !pass {
			l.turnAway(m, peer, answer, to)
			continue
		}
		message, refusal := l.looked(b, n, peer)
		if refusal != nil {
			if l.door.tolerates(m, isSIP, peer) {
				l.turnAway(m, peer, refusal, addrPort(answerTo(refusal, peer)))
			}
			continue
		}
		pass, answer, to := l.door.packet(m, isSIP, b[:n], peer)
		if !pass {
			l.turnAway(m, peer, answer, to)
			continue
		}
		if isSIP {
			l.tap.sniffed(m, true, "udp", l.local, peer)
		}
		if message == nil || len(message) > len(b) || l.repeats(m) {
			continue
		}
		if m.Method == "ACK" && m.toTag != "" && l.ack != nil && l.ack(message, peer) {
			continue
		}
		l.mu.Lock()
		l.recent.add(peer)
		l.mu.Unlock()
		return copy(b, message), peer, nil
	}
}

// read reads a datagram, and tells how long it lay in the socket, where that is known.
func (l *packetListener) read(b []byte) (n int, peer net.Addr, waited time.Duration, err error) {
	if t, ok := l.PacketConn.(timed); ok {
		return t.ReadWaited(b)
	}
	n, peer, err = l.PacketConn.ReadFrom(b)
	return n, peer, 0, err
}

// looked has the gate look at the datagram of n octets that was cut.
func (l *packetListener) looked(b []byte, n int, peer net.Addr) (message, refusal []byte) {
	if n == len(b) { // the rest of it is gone
		return nil, l.gate.tooLarge(b, peer)
	}
	if isCRLF(b[:n]) {
		return b[:n], nil
	}
	return l.gate.look(&l.head, peer, false)
}

// begun says that sipgo reads, or will not.
func (l *packetListener) begun() { l.once.Do(func() { close(l.reading) }) }

// turnAway answers a message that sipgo does not get.
func (l *packetListener) turnAway(m sniffed, peer net.Addr, answer []byte, to netip.AddrPort) {
	l.tap.aside(m, true, "udp", l.local, peer)
	if answer == nil {
		return
	}
	dest := net.UDPAddrFromAddrPort(to)
	if res, ok := sniff(answer); ok {
		l.tap.aside(res, false, "udp", l.local, dest)
	}
	_, _ = l.PacketConn.WriteTo(answer, dest) // lost like any other packet
}

// WriteTo implements [net.PacketConn].
func (l *packetListener) WriteTo(b []byte, peer net.Addr) (int, error) {
	m, isSIP := l.gate.sniff(b)
	if isSIP && !l.tap.sniffed(m, false, "udp", l.local, peer) {
		return len(b), nil
	}
	n, err := l.PacketConn.WriteTo(b, peer)
	if err == nil && isSIP {
		l.remember(m, b, peer)
	}
	return n, err
}

// bury replaces the socket in sipgo's table, before it is closed.
func (l *packetListener) bury() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, peer := range l.recent.peers {
		if peer != nil {
			l.pool.Add(peer.String(), deadPackets(l.LocalAddr()))
		}
	}
}

// failure returns why reading ended, nil while it goes on.
func (l *packetListener) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
