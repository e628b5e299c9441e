package media

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// memory is a network of UDP in memory: whatever is sent to an address that is bound arrives there at once.
type memory struct {
	mu    sync.Mutex
	bound map[netip.AddrPort]*memoryConn
}

func newMemory() *memory { return &memory{bound: map[netip.AddrPort]*memoryConn{}} }

// ListenPacket binds an address; a socket that is bound already is an error, as in the host's network.
func (m *memory) ListenPacket(_ context.Context, _, address string) (net.PacketConn, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bound[a] != nil {
		return nil, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", errors.New("address already in use"))}
	}
	c := &memoryConn{network: m, local: a, in: make(chan datagram, 4096), closed: make(chan struct{})}
	m.bound[a] = c
	return c, nil
}

func (m *memory) peer(address string) *memoryConn {
	c, err := m.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		panic(err) // a mistake in a test
	}
	return c.(*memoryConn)
}

type datagram struct {
	b    []byte
	from netip.AddrPort
	at   time.Time
}

// memoryConn is a socket; it has not the fast methods of *net.UDPConn.
type memoryConn struct {
	network *memory
	local   netip.AddrPort
	in      chan datagram
	once    sync.Once
	closed  chan struct{}
}

func (c *memoryConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-c.in:
		return copy(b, d.b), net.UDPAddrFromAddrPort(d.from), nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

func (c *memoryConn) WriteTo(b []byte, to net.Addr) (int, error) {
	c.network.mu.Lock()
	peer := c.network.bound[to.(*net.UDPAddr).AddrPort()]
	c.network.mu.Unlock()
	if peer != nil {
		select {
		case peer.in <- datagram{append([]byte(nil), b...), c.local, time.Now()}:
		default: // the queue is full, and packets are lost
		}
	}
	return len(b), nil
}

func (c *memoryConn) Close() error {
	c.once.Do(func() {
		c.network.mu.Lock()
		delete(c.network.bound, c.local)
		c.network.mu.Unlock()
		close(c.closed)
	})
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(c.local) }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// waiting returns what has arrived and was not read.
func (c *memoryConn) waiting() []datagram {
	var all []datagram
	for {
		select {
		case d := <-c.in:
			all = append(all, d)
		default:
			return all
		}
	}
}

// send sends from this socket.
func (c *memoryConn) send(b []byte, to netip.AddrPort) {
	_, _ = c.WriteTo(b, net.UDPAddrFromAddrPort(to)) // it has no errors
}
