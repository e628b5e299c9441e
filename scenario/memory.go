package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Memory is a network in memory: UDP and TCP between all who use the same one, at whatever addresses they choose. It is
// reliable and without delay unless [Memory.Impair] says otherwise.
//
// It works inside a testing/synctest bubble if it was made there: whoever waits on one of its sockets waits durably. It
// is safe for concurrent use. Sockets left open hold no goroutine.
type Memory struct {
	mu        sync.Mutex
	hosts     map[string][]netip.Addr
	services  map[string][]*net.SRV // by "_sip._udp.name"
	packets   map[netip.AddrPort]*packetConn
	listeners map[netip.AddrPort]*listener
	port      uint16 // the last one chosen
	impair    func(Datagram) Fate
	held      map[link][]delivery // datagrams with the fate AfterNext
}

// link is one direction between two sockets.
type link struct{ from, to netip.AddrPort }

// Datagram is a UDP datagram on its way. Payload must be neither kept nor changed.
type Datagram struct {
	From, To netip.AddrPort
	Payload  []byte
}

// Fate is what becomes of a datagram; the zero value: it is delivered.
type Fate struct {
	Lost      bool
	Twice     bool
	AfterNext bool          // delivered after the next datagram of the same direction between the same sockets
	Delay     time.Duration // delivered that much later
	Err       error         // nothing is sent, and sending fails with this error
}

// The hosts that every Memory knows. Add others with [Memory.AddHost].
var wellKnown = map[string][]netip.Addr{
	"localhost":      {netip.AddrFrom4([4]byte{127, 0, 0, 1})},
	"app.example":    {netip.AddrFrom4([4]byte{10, 0, 0, 2})},
	"backup.example": {netip.AddrFrom4([4]byte{10, 0, 0, 3})},
	"audio.example":  {netip.AddrFrom4([4]byte{10, 0, 0, 4})},
}

const firstChosenPort = 49152 // RFC 6335 section 6: the dynamic ports

// NewMemory makes an empty network that knows the hosts localhost (127.0.0.1), app.example (10.0.0.2), backup.example
// (10.0.0.3) and audio.example (10.0.0.4).
func NewMemory() *Memory {
	return &Memory{
		hosts:     maps.Clone(wellKnown),
		services:  map[string][]*net.SRV{},
		packets:   map[netip.AddrPort]*packetConn{},
		listeners: map[netip.AddrPort]*listener{},
		port:      firstChosenPort - 1,
		held:      map[link][]delivery{},
	}
}

// Impair has the fate of every datagram decided by f; nil: all are delivered. f is called in the sender's goroutine, from
// several at a time if there are several, and must not block.
func (m *Memory) Impair(f func(Datagram) Fate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.impair = f
}

// resolve turns host:port into an address. An empty host stands for every address.
func (m *Memory) resolve(address string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "invalid port", Addr: address}
	}
	if host == "" {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)), nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		known := m.lookUp(host)
		if len(known) == 0 {
			return netip.AddrPort{}, notFound(host)
		}
		addr = known[0]
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), nil
}

// choose returns the address itself, or one with a free port if it has none. The lock is held.
func choose[T any](m *Memory, at netip.AddrPort, taken map[netip.AddrPort]T) (netip.AddrPort, error) {
	if at.Port() != 0 {
		if _, ok := taken[at]; ok {
			return at, os.NewSyscallError("bind", syscall.EADDRINUSE)
		}
		return at, nil
	}
	for range 1<<16 - firstChosenPort {
		if m.port++; m.port < firstChosenPort {
			m.port = firstChosenPort
		}
		at = netip.AddrPortFrom(at.Addr(), m.port)
		if _, ok := taken[at]; !ok {
			return at, nil
		}
	}
	return at, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
}

// bound finds who is bound to an address, or to its port on every address. The lock is held.
func bound[T any](at netip.AddrPort, taken map[netip.AddrPort]T) (T, bool) {
	for _, ip := range []netip.Addr{at.Addr(), netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if b, ok := taken[netip.AddrPortFrom(ip, at.Port())]; ok {
			return b, true
		}
	}
	var none T
	return none, false
}

// ListenPacket implements [Network].
func (m *Memory) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	if err := supported(ctx, "listen", network, "udp"); err != nil {
		return nil, err
	}
	at, err := m.resolve(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, err = choose(m, at, m.packets); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(at), Err: err}
	}
	c := newPacketConn(m, at)
	m.packets[at] = c
	return c, nil
}

// Listen implements [Network].
func (m *Memory) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	if err := supported(ctx, "listen", network, "tcp"); err != nil {
		return nil, err
	}
	at, err := m.resolve(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, err = choose(m, at, m.listeners); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(at), Err: err}
	}
	l := newListener(m, at)
	m.listeners[at] = l
	return l, nil
}

// DialContext implements [Network]. A connection to an address where nobody listens is refused at once. It comes from
// 127.0.0.1; [Memory.From] dials from elsewhere.
func (m *Memory) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return m.dial(ctx, netip.AddrFrom4([4]byte{127, 0, 0, 1}), network, address)
}

func (m *Memory) dial(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error) {
	if err := supported(ctx, "dial", network, "tcp"); err != nil {
		return nil, err
	}
	to, err := m.resolve(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	refused := &net.OpError{
		Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to),
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}
	m.mu.Lock()
	l, ok := bound(to, m.listeners)
	var source netip.AddrPort
	if ok {
		source, err = choose(m, netip.AddrPortFrom(from, 0), m.listeners)
	}
	m.mu.Unlock()
	if !ok {
		return nil, refused
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: refused.Addr, Err: err}
	}
	here, there := newStream(source, to)
	select {
	case l.backlog <- there:
		select {
		case <-l.closed: // it may have looked through its backlog already
			_ = there.Close()
			return nil, refused
		default:
			return here, nil
		}
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: network, Addr: refused.Addr, Err: ctx.Err()}
	}
}

// From returns the network as a host with the address sees it: connections that it dials come from there.
func (m *Memory) From(addr netip.Addr) Network { return host{m, addr} }

type host struct {
	*Memory
	addr netip.Addr
}

func (h host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.dial(ctx, h.addr, network, address)
}

// supported checks that the network is the wanted one, in one of its spellings (udp, udp4, udp6).
func supported(ctx context.Context, op, network, want string) error {
	if err := ctx.Err(); err != nil {
		return &net.OpError{Op: op, Net: network, Err: err}
	}
	if strings.TrimRight(network, "46") != want {
		return &net.OpError{Op: op, Net: network, Err: fmt.Errorf("%w: want %s", errNetwork, want)}
	}
	return nil
}

var errNetwork = errors.New("network not supported in memory")
