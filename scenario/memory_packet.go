package scenario

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// packetQueue is how many datagrams wait for a reader; what comes while it is full is lost. It holds some ten seconds of RTP.
const packetQueue = 512

// packetConn is a UDP socket of a [Memory].
type packetConn struct {
	network *Memory
	addr    netip.AddrPort
	queue   chan Datagram
	closed  chan struct{}
	once    sync.Once
	read    deadline
	write   deadline
}

func newPacketConn(m *Memory, at netip.AddrPort) *packetConn {
	return &packetConn{
		network: m, addr: at,
		queue: make(chan Datagram, packetQueue), closed: make(chan struct{}),
		read: newDeadline(), write: newDeadline(),
	}
}

// ReadFrom implements [net.PacketConn]; addresses are *net.UDPAddr.
func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(p)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort is as [net.UDPConn.ReadFromUDPAddrPort]. What does not fit into p is lost.
func (c *packetConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	err := c.usable(&c.read)
	if err == nil {
		select {
		case d := <-c.queue:
			return copy(p, d.Payload), d.From, nil
		case <-c.closed:
			err = net.ErrClosed
		case <-c.read.passed():
			err = errTimeout
		}
	}
	return 0, netip.AddrPort{}, &net.OpError{Op: "read", Net: "udp", Source: c.LocalAddr(), Err: err}
}

// WriteTo implements [net.PacketConn]; addr is a *net.UDPAddr.
func (c *packetConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok || to == nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Source: c.LocalAddr(), Addr: addr, Err: net.InvalidAddrError("not a UDP address")}
	}
	return c.WriteToUDPAddrPort(p, to.AddrPort())
}

// WriteToUDPAddrPort is as [net.UDPConn.WriteToUDPAddrPort]. It never waits.
func (c *packetConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	err := c.usable(&c.write)
	if err == nil {
		from := c.addr
		if from.Addr().IsUnspecified() {
			from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), from.Port())
		}
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
		if err = c.network.send(Datagram{from, to, slices.Clone(p)}); err == nil {
			return len(p), nil
		}
	}
	return 0, &net.OpError{Op: "write", Net: "udp", Source: c.LocalAddr(), Addr: net.UDPAddrFromAddrPort(to), Err: err}
}

func (c *packetConn) usable(d *deadline) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-d.passed():
		return errTimeout
	default:
		return nil
	}
}

// Close implements [net.PacketConn].
func (c *packetConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = nil
		c.network.mu.Lock()
		delete(c.network.packets, c.addr)
		c.network.mu.Unlock()
		close(c.closed)
		c.read.set(time.Time{})
		c.write.set(time.Time{})
	})
	if err != nil {
		return &net.OpError{Op: "close", Net: "udp", Source: c.LocalAddr(), Err: err}
	}
	return nil
}

func (c *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

func (c *packetConn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}

func (c *packetConn) SetReadDeadline(t time.Time) error { c.read.set(t); return nil }

func (c *packetConn) SetWriteDeadline(t time.Time) error { c.write.set(t); return nil }

// delivery is a datagram whose fate is decided.
type delivery struct {
	Datagram
	Fate
}

// send brings a datagram on its way.
func (m *Memory) send(d Datagram) error {
	m.mu.Lock()
	decide := m.impair
	m.mu.Unlock()
	var fate Fate
	if decide != nil {
		fate = decide(d)
	}
	switch {
	case fate.Err != nil:
		return fate.Err
	case fate.Lost:
		return nil
	}
	way := link{d.From, d.To}
	m.mu.Lock()
	if fate.AfterNext {
		m.held[way] = append(m.held[way], delivery{d, fate})
		m.mu.Unlock()
		return nil
	}
	waiting := m.held[way]
	delete(m.held, way)
	m.mu.Unlock()
	for _, out := range append([]delivery{{d, fate}}, waiting...) {
		m.deliver(out)
	}
	return nil
}

func (m *Memory) deliver(d delivery) {
	if d.Delay > 0 {
		wait := d.Delay
		d.Delay = 0
		time.AfterFunc(wait, func() { m.deliver(d) })
		return
	}
	m.mu.Lock()
	to, ok := bound(d.To, m.packets)
	m.mu.Unlock()
	if !ok {
		return
	}
	copies := 1
	if d.Twice {
		copies = 2
	}
	for range copies {
		select {
		case to.queue <- d.Datagram:
		default:
		}
	}
}
