package scenario

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	streamBuffer = 256 << 10 // bytes that may be under way in one direction before a writer waits
	backlog      = 128       // connections that wait to be accepted before a dialler waits
)

// listener is a TCP listener of a [Memory].
type listener struct {
	network *Memory
	addr    netip.AddrPort
	backlog chan *stream
	closed  chan struct{}
	once    sync.Once
}

func newListener(m *Memory, at netip.AddrPort) *listener {
	return &listener{network: m, addr: at, backlog: make(chan *stream, backlog), closed: make(chan struct{})}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
	default:
		select {
		case s := <-l.backlog:
			return s, nil
		case <-l.closed:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

// Close refuses what has not been accepted yet.
func (l *listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		err = nil
		l.network.mu.Lock()
		delete(l.network.listeners, l.addr)
		l.network.mu.Unlock()
		close(l.closed)
	})
	for {
		select {
		case s := <-l.backlog:
			_ = s.Close()
		default:
			if err != nil {
				return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: err}
			}
			return nil
		}
	}
}

// stream is one end of a TCP connection of a [Memory].
type stream struct {
	local, remote netip.AddrPort
	in, out       *pipe
	read, write   deadline
}

// newStream connects two ends: the dialler's and the listener's.
func newStream(dialler, listener netip.AddrPort) (here, there *stream) {
	up, down := newPipe(), newPipe()
	here = &stream{local: dialler, remote: listener, in: down, out: up, read: newDeadline(), write: newDeadline()}
	there = &stream{local: listener, remote: dialler, in: up, out: down, read: newDeadline(), write: newDeadline()}
	return here, there
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.in.read(p, s.read.passed())
	return n, s.wrap("read", err)
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.out.write(p, s.write.passed())
	return n, s.wrap("write", err)
}

func (s *stream) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

// Close ends both directions. The peer reads what was written before, then io.EOF; what it writes is an error.
func (s *stream) Close() error {
	first := s.in.closeReader()
	s.out.closeWriter()
	s.read.set(time.Time{})
	s.write.set(time.Time{})
	if !first {
		return s.wrap("close", net.ErrClosed)
	}
	return nil
}

// CloseWrite ends the direction to the peer alone.
func (s *stream) CloseWrite() error {
	s.out.closeWriter()
	return nil
}

func (s *stream) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.local) }

func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }

func (s *stream) SetDeadline(t time.Time) error {
	s.read.set(t)
	s.write.set(t)
	return nil
}

func (s *stream) SetReadDeadline(t time.Time) error { s.read.set(t); return nil }

func (s *stream) SetWriteDeadline(t time.Time) error { s.write.set(t); return nil }

// pipe is one direction of a connection.
type pipe struct {
	mu           sync.Mutex
	data         []byte
	readerClosed bool
	writerClosed bool
	changed      chan struct{} // closed and replaced whenever one of the above changes
}

func newPipe() *pipe { return &pipe{changed: make(chan struct{})} }

// tell wakes who waits. The lock is held.
func (p *pipe) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pipe) read(b []byte, over <-chan struct{}) (int, error) {
	for {
		select {
		case <-over:
			return 0, errTimeout
		default:
		}
		p.mu.Lock()
		changed := p.changed
		switch {
		case p.readerClosed:
			p.mu.Unlock()
			return 0, net.ErrClosed
		case len(b) == 0:
			p.mu.Unlock()
			return 0, nil
		case len(p.data) > 0:
			n := copy(b, p.data)
			if p.data = p.data[n:]; len(p.data) == 0 {
				p.data = nil
			}
			p.tell()
			p.mu.Unlock()
			return n, nil
		case p.writerClosed:
			p.mu.Unlock()
			return 0, io.EOF
		}
		p.mu.Unlock()
		select {
		case <-changed:
		case <-over:
		}
	}
}

func (p *pipe) write(b []byte, over <-chan struct{}) (n int, err error) {
	for {
		select {
		case <-over:
			return n, errTimeout
		default:
		}
		p.mu.Lock()
		changed := p.changed
		switch {
		case p.writerClosed:
			p.mu.Unlock()
			return n, net.ErrClosed
		case p.readerClosed:
			p.mu.Unlock()
			return n, os.NewSyscallError("write", syscall.EPIPE)
		}
		if room := min(streamBuffer-len(p.data), len(b)-n); room > 0 {
			p.data = append(p.data, b[n:n+room]...)
			n += room
			p.tell()
		}
		p.mu.Unlock()
		if n == len(b) {
			return n, nil
		}
		select {
		case <-changed:
		case <-over:
		}
	}
}

// closeReader reports whether it was the first to do so.
func (p *pipe) closeReader() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.readerClosed
	p.readerClosed = true
	p.data = nil
	p.tell()
	return first
}

func (p *pipe) closeWriter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writerClosed = true
	p.tell()
}
