package sipstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
)

// hub is a network of packets in memory: a whole stack and its peers live on it in a synctest bubble. It loses what is
// sent to nobody, as UDP does.
type hub struct {
	mu    sync.Mutex
	next  uint16
	conns map[netip.AddrPort]*hubConn
	// lose decides about each packet on its way.
	lose func(packet []byte, to netip.AddrPort) bool
}

func newHub() *hub { return &hub{next: 40000, conns: map[netip.AddrPort]*hubConn{}} }

type hubPacket struct {
	data []byte
	from *net.UDPAddr
}

type hubConn struct {
	hub    *hub
	addr   netip.AddrPort
	in     chan hubPacket // room for what a test sends in one breath
	closed chan struct{}
	once   sync.Once
	net.PacketConn
}

func (h *hub) ListenPacket(_ context.Context, _, address string) (net.PacketConn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.Port() == 0 {
		h.next++
		at = netip.AddrPortFrom(at.Addr(), h.next)
	}
	at = unmapped(at)
	if h.conns[at] != nil {
		return nil, errors.New("address in use")
	}
	c := &hubConn{hub: h, addr: at, in: make(chan hubPacket, 1000), closed: make(chan struct{})}
	h.conns[at] = c
	return c, nil
}

func (h *hub) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.New("no streams in memory")
}

// names are those that can be looked up.
var names = map[string]netip.Addr{"phone.example": netip.MustParseAddr("127.0.0.1")}

func (h *hub) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := names[host]; ok {
		return []netip.Addr{a}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (h *hub) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service == "sip" && proto == "udp" && name == "home.example" {
		return name, []*net.SRV{{Target: "phone.example", Port: 7003}}, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (c *hubConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

func (c *hubConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-c.in:
		return copy(b, p.data), p.from, nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

func (c *hubConn) WriteTo(b []byte, to net.Addr) (int, error) {
	dest := addrPort(to)
	c.hub.mu.Lock()
	peer, lose := c.hub.conns[dest], c.hub.lose
	c.hub.mu.Unlock()
	if peer == nil || lose != nil && lose(b, dest) {
		return len(b), nil
	}
	p := hubPacket{data: append([]byte(nil), b...), from: net.UDPAddrFromAddrPort(c.addr)}
	select {
	case peer.in <- p:
	default: // the peer does not read
	}
	return len(b), nil
}

func (c *hubConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.hub.mu.Lock()
		delete(c.hub.conns, c.addr)
		c.hub.mu.Unlock()
	})
	return nil
}

func (h *hub) losing(f func(packet []byte, to netip.AddrPort) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lose = f
}
