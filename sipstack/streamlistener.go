package sipstack

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"
)

// streamListener is a TCP listener as sipgo accepts from it. Besides the connections of peers it hands over those that we
// dial, so that all are observed alike and opened through the same seam.
type streamListener struct {
	net.Listener
	allow acl
	tap   *tap
	pool  *sip.ConnectionPool // sipgo's table

	incoming chan stream
	closed   chan struct{}
	once     sync.Once

	mu    sync.Mutex
	conns map[netip.AddrPort]*observedConn // the newest to each peer
	all   map[*observedConn]struct{}
	dead  map[*sip.TCPConnection]*time.Timer // stand-ins of closed connections
}

// stream is a connection for sipgo. taken is closed when sipgo has it in its table.
type stream struct {
	conn  *observedConn
	err   error
	taken chan struct{}
}

func newStreamListener(l net.Listener, allow acl, t *tap, pool *sip.ConnectionPool) *streamListener {
	return &streamListener{
		Listener: l, allow: allow, tap: t, pool: pool, dead: map[*sip.TCPConnection]*time.Timer{},
		incoming: make(chan stream), closed: make(chan struct{}),
		conns: map[netip.AddrPort]*observedConn{}, all: map[*observedConn]struct{}{},
	}
}

// accept takes the connections of peers until the listener is closed.
func (l *streamListener) accept() {
	for {
		conn, err := l.Listener.Accept()
		if transient(err) {
			select {
			case <-time.After(acceptPause):
				continue
			case <-l.closed:
				return
			}
		}
		s := stream{err: err, taken: make(chan struct{})}
		if err == nil {
			if !l.allow.admits(conn.RemoteAddr()) {
				_ = conn.Close()
				continue
			}
			s.conn = l.observed(conn)
		}
		select {
		case l.incoming <- s:
		case <-l.closed:
			if s.conn != nil {
				_ = s.conn.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// acceptPause gives connections time to end when there is no descriptor left for another.
const acceptPause = 50 * time.Millisecond

// transient reports whether accepting can go on after an error.
func transient(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED)
}

// serve lets sipgo accept until the listener ends, and returns why it did.
func (l *streamListener) serve(tpl *sip.TransportLayer) error {
	return tpl.ServeTCP(&acceptor{streamListener: l})
}

// acceptor is the one reader of a streamListener. sipgo takes each connection into its table before it asks for the next.
type acceptor struct {
	*streamListener
	last chan struct{} // taken, of the connection accepted last
}

// Accept implements [net.Listener].
func (a *acceptor) Accept() (net.Conn, error) {
	if a.last != nil {
		close(a.last)
		a.last = nil
	}
	select {
	case s := <-a.incoming:
		if s.err != nil {
			return nil, s.err
		}
		a.last = s.taken
		return s.conn, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}

// adopt hands a connection that we dialled to sipgo, and returns when it can be sent on.
func (l *streamListener) adopt(conn net.Conn) error {
	s := stream{conn: l.observed(conn), taken: make(chan struct{})}
	select {
	case l.incoming <- s:
	case <-l.closed:
		_ = s.conn.Close()
		return net.ErrClosed
	}
	select {
	case <-s.taken:
		return nil
	case <-l.closed:
		return net.ErrClosed
	}
}

// connected reports whether a connection to the peer is up.
func (l *streamListener) connected(peer netip.AddrPort) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[peer] != nil
}

// Close ends the listener and its connections.
func (l *streamListener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
		l.mu.Lock()
		all := l.all
		l.all = map[*observedConn]struct{}{}
		l.mu.Unlock()
		for c := range all {
			if l.gone(c) {
				l.bury(c)
			}
			err = errors.Join(err, ignoreClosed(c.Conn.Close()))
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for dead, timer := range l.dead {
			timer.Stop()
			delete(l.dead, dead)
		}
	})
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (l *streamListener) observed(conn net.Conn) *observedConn {
	c := &observedConn{Conn: conn, listener: l, peer: addrPort(conn.RemoteAddr())}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c.peer] = c
	l.all[c] = struct{}{}
	return c
}

// gone notes that a connection has ended; false: it was noted before, or another with the same peer is up. It is called
// by sipgo's own closing, too, under sipgo's locks, and takes no other.
func (l *streamListener) gone(c *observedConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, c)
	if l.conns[c.peer] != c {
		return false
	}
	delete(l.conns, c.peer)
	return true
}

// bury leaves a stand-in for a connection in sipgo's table, for a while. It must not be called under sipgo's locks.
func (l *streamListener) bury(c *observedConn) {
	dead, key := deadStream(c.LocalAddr(), c.RemoteAddr()), c.RemoteAddr().String()
	l.pool.Add(key, dead)
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed: // for good
		return
	default:
	}
	l.dead[dead] = time.AfterFunc(deadFor, func() {
		l.mu.Lock()
		delete(l.dead, dead)
		l.mu.Unlock()
		if l.pool.Get(key) == sip.Connection(dead) {
			l.pool.Delete(key)
		}
	})
}

// observedConn is a TCP connection whose messages are observed.
type observedConn struct {
	net.Conn
	listener *streamListener
	peer     netip.AddrPort
	frames   framer // of the one goroutine that reads
}

// writeTimeout ends a connection whose peer has stopped reading: a transaction waits for its writing.
const writeTimeout = 10 * time.Second

// Read implements [net.Conn].
func (c *observedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.frames.write(b[:n], func(raw []byte) {
		c.listener.tap.message(true, "tcp", c.LocalAddr(), c.RemoteAddr(), raw)
	})
	if err != nil {
		if c.listener.gone(c) {
			c.listener.bury(c)
		}
		if !errors.Is(err, net.ErrClosed) {
			err = io.EOF // a reset ends a connection like any other end
		}
	}
	return n, err
}

// Write implements [net.Conn]. sipgo writes a message by one call.
func (c *observedConn) Write(b []byte) (int, error) {
	c.listener.tap.message(false, "tcp", c.LocalAddr(), c.RemoteAddr(), b)
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close() // what was written in part cannot be gone on with
	}
	return n, err
}

// Close implements [net.Conn]. sipgo calls it under its locks when it cannot read a message.
func (c *observedConn) Close() error {
	if c.listener.gone(c) {
		time.AfterFunc(0, func() { c.listener.bury(c) })
	}
	return c.Conn.Close()
}
