package node_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
)

// mortal is the network of a node that dies: from then on nothing that it sends leaves, and its sockets are closed, as
// the end of a process closes them.
type mortal struct {
	*scenario.Memory
	mu   sync.Mutex
	dead bool
	open []io.Closer
}

func (m *mortal) die() {
	m.mu.Lock()
	m.dead = true
	open := m.open
	m.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

var errDead = errors.New("the process is dead")

// keep notes a socket.
func (m *mortal) keep(c io.Closer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		_ = c.Close()
		return errDead
	}
	m.open = append(m.open, c)
	return nil
}

func (m *mortal) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := m.Memory.ListenPacket(ctx, network, address)
	if err == nil {
		err = m.keep(c)
	}
	return mortalPackets{c, m}, err
}

func (m *mortal) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := m.Memory.Listen(ctx, network, address)
	if err == nil {
		err = m.keep(l)
	}
	return mortalListener{l, m}, err
}

func (m *mortal) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := m.Memory.DialContext(ctx, network, address)
	if err == nil {
		err = m.keep(c)
	}
	if err != nil {
		return nil, err
	}
	return mortalConn{c, m}, nil
}

type mortalListener struct {
	net.Listener
	m *mortal
}

func (l mortalListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = l.m.keep(c)
	}
	if err != nil {
		return nil, err
	}
	return mortalConn{c, l.m}, nil
}

type mortalPackets struct {
	net.PacketConn
	m *mortal
}

func (c mortalPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.m.isDead() {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

type mortalConn struct {
	net.Conn
	m *mortal
}

func (c mortalConn) Write(b []byte) (int, error) {
	if c.m.isDead() {
		return 0, errDead
	}
	return c.Conn.Write(b)
}

// mortalStore is a store of a node that dies when so many entries have been appended. What it writes after that is lost.
type mortalStore struct {
	*state.Memory
	net  *mortal
	died chan struct{}

	mu   sync.Mutex
	left int
	once sync.Once
}

// count takes an entry's place; false: it is lost.
func (s *mortalStore) count() (kept, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		return false, false
	}
	s.left--
	return true, s.left == 0
}

func (s *mortalStore) write(f func() (uint64, error)) (uint64, error) {
	kept, last := s.count()
	if !kept {
		s.die()
		return 0, errDead
	}
	seq, err := f()
	if last {
		s.die()
	}
	return seq, err
}

func (s *mortalStore) die() {
	s.once.Do(func() {
		s.net.die()
		close(s.died)
	})
}

func (s *mortalStore) Append(ctx context.Context, e state.Entry) (uint64, error) {
	return s.write(func() (uint64, error) { return s.Memory.Append(ctx, e) })
}

func (s *mortalStore) Owe(ctx context.Context, o state.Owed) (uint64, error) {
	return s.write(func() (uint64, error) { return s.Memory.Owe(ctx, o) })
}

func (s *mortalStore) Delivered(ctx context.Context, callID string, seq uint64) error {
	_, err := s.write(func() (uint64, error) { return 0, s.Memory.Delivered(ctx, callID, seq) })
	return err
}

func (s *mortalStore) Failed(ctx context.Context, callID string, seq uint64, reason string) error {
	_, err := s.write(func() (uint64, error) { return 0, s.Memory.Failed(ctx, callID, seq, reason) })
	return err
}
