package sipstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
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
	// unreachable are addresses to which sending fails.
	unreachable map[netip.AddrPort]bool
	names       *nameTable
}

func newHub() *hub {
	return &hub{next: 40000, conns: map[netip.AddrPort]*hubConn{}, unreachable: map[netip.AddrPort]bool{}, names: newNameTable()}
}

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

// The hub knows phone.example, and home.example by an SRV record; a test adds others to names.

func (h *hub) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return h.names.LookupNetIP(ctx, network, host)
}

func (h *hub) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	return h.names.LookupSRV(ctx, service, proto, name)
}

// nameTable is a scripted resolver. It counts what it is asked.
type nameTable struct {
	mu    sync.Mutex
	hosts map[string][]string   // addresses by "name"
	srv   map[string][]*net.SRV // by "_sip._udp.name"
	asked []string
	hangs map[string]bool // never answers for these
}

func newNameTable() *nameTable {
	return &nameTable{
		hosts: map[string][]string{"phone.example": {"127.0.0.1"}},
		srv:   map[string][]*net.SRV{"_sip._udp.home.example": {{Target: "phone.example.", Port: 7003}}},
		hangs: map[string]bool{},
	}
}

func (t *nameTable) host(name string, addrs ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hosts[name] = addrs
}

func (t *nameTable) service(name string, records ...*net.SRV) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.srv[name] = records
}

// questions returns what was asked since the last call, sorted: look-ups run side by side.
func (t *nameTable) questions() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := t.asked
	t.asked = nil
	slices.Sort(asked)
	return asked
}

func (t *nameTable) ask(ctx context.Context, question, name string) error {
	t.mu.Lock()
	t.asked = append(t.asked, question)
	hangs := t.hangs[name]
	t.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
	}
	return nil
}

func (t *nameTable) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := t.ask(ctx, network+" "+host, host); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var ips []netip.Addr
	for _, a := range t.hosts[host] {
		ip := netip.MustParseAddr(a)
		if network == "ip" || network == "ip4" && ip.Is4() || network == "ip6" && ip.Is6() {
			ips = append(ips, ip)
		}
	}
	if len(ips) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return ips, nil
}

func (t *nameTable) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	key := name
	if service != "" || proto != "" {
		key = "_" + service + "._" + proto + "." + name
	}
	if err := t.ask(ctx, key, name); err != nil {
		return "", nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.srv[key]) == 0 {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return key, t.srv[key], nil
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
	peer, lose, unreachable := c.hub.conns[dest], c.hub.lose, c.hub.unreachable[dest]
	c.hub.mu.Unlock()
	if unreachable {
		return 0, errors.New("network is unreachable")
	}
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

func (h *hub) cutOff(address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unreachable[netip.MustParseAddrPort(address)] = true
}
