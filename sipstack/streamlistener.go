package sipstack

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"
)

// streamListener is a TCP or TLS listener as sipgo accepts from it. Besides the connections of peers it hands over those
// that we dial, so that all are observed alike and opened through the same seam.
type streamListener struct {
	net.Listener
	network string // "tcp" or "tls"
	allow   acl
	door    *door // nil: open to all
	tap     *tap
	gate    *gate
	pool    *sip.ConnectionPool // sipgo's table
	certs   *certificates       // of tls
	most    int                 // connections at a time; 0: no limit

	incoming chan stream
	closed   chan struct{}
	once     sync.Once
	shaking  sync.WaitGroup // handshakes
	burying  sync.WaitGroup // of connections that sipgo has closed

	mu       sync.Mutex
	conns    map[netip.AddrPort]*observedConn // the newest to each peer
	all      map[*observedConn]struct{}
	settled  bool                               // whoever waits for burying does
	unshaken map[net.Conn]struct{}              // in their handshake
	dead     map[*sip.TCPConnection]*time.Timer // stand-ins of closed connections
}

// stream is a connection for sipgo. taken is closed when sipgo has it in its table.
type stream struct {
	conn  *observedConn
	err   error
	taken chan struct{}
}

func newStreamListener(network string, l net.Listener, allow acl, t *tap, g *gate, pool *sip.ConnectionPool) *streamListener {
	return &streamListener{
		Listener: l, network: network, allow: allow, tap: t, gate: g, pool: pool, dead: map[*sip.TCPConnection]*time.Timer{},
		incoming: make(chan stream), closed: make(chan struct{}), unshaken: map[net.Conn]struct{}{},
		conns: map[netip.AddrPort]*observedConn{}, all: map[*observedConn]struct{}{},
	}
}

// accept takes the connections of peers until the listener is closed.
func (l *streamListener) accept() {
	defer l.shaking.Wait()
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
		switch {
		case err != nil:
			l.offer(stream{err: err})
			return
		case !l.allow.admits(conn.RemoteAddr()) || l.door.ends(addrPort(conn.RemoteAddr()).Addr()) || !l.room():
			_ = conn.Close()
		case l.network == "tls":
			l.shaking.Go(func() { l.shake(conn) })
		default:
			l.offer(stream{conn: l.observed(conn, conn)})
		}
	}
}

// offer hands a connection to sipgo, or the reason why none follows.
func (l *streamListener) offer(s stream) {
	s.taken = make(chan struct{})
	select {
	case l.incoming <- s:
	case <-l.closed:
		if s.conn != nil {
			_ = s.conn.Close()
		}
	}
}

// handshakeTimeout is how long a TLS handshake may take.
const handshakeTimeout = 10 * time.Second

// shake is the handshake of a peer's connection.
func (l *streamListener) shake(conn net.Conn) {
	if !l.begun(conn) {
		_ = conn.Close()
		return
	}
	defer l.shaken(conn)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout) // Close closes the connection
	defer cancel()
	secured := tls.Server(conn, l.certs.server())
	if err := secured.HandshakeContext(ctx); err != nil {
		l.certs.failed(conn, err)
		_ = conn.Close()
		return
	}
	l.offer(stream{conn: l.observed(secured, conn)})
}

// begun notes a handshake; false: the listener is closed.
func (l *streamListener) begun(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return false
	default:
	}
	l.unshaken[conn] = struct{}{}
	return true
}

func (l *streamListener) shaken(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unshaken, conn)
}

// evictable is how long a connection must have been silent to make room for another one.
const evictable = 5 * time.Minute

// room reports whether one more connection may be there. When there are as many as may be, the one that has been silent
// the longest makes room.
func (l *streamListener) room() bool {
	l.mu.Lock()
	var oldest *observedConn
	full := l.most > 0 && len(l.all)+len(l.unshaken) >= l.most
	if full {
		for c := range l.all {
			if oldest == nil || c.heard.Load() < oldest.heard.Load() {
				oldest = c
			}
		}
	}
	l.mu.Unlock()
	switch {
	case !full:
		return true
	case oldest == nil || time.Since(time.Unix(0, oldest.heard.Load())) < evictable:
		return false
	}
	_ = oldest.Close()
	return true
}

// acceptPause gives connections time to end when there is no descriptor left for another.
const acceptPause = 50 * time.Millisecond

// transient reports whether accepting can go on after an error.
func transient(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED)
}

// serve lets sipgo accept until the listener ends, and returns why it did.
func (l *streamListener) serve(tpl *sip.TransportLayer) error {
	if l.network == "tls" {
		return tpl.ServeTLS(&acceptor{streamListener: l})
	}
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

// adopt hands a connection that we dialled, over raw, to sipgo, and returns when it can be sent on.
func (l *streamListener) adopt(conn, raw net.Conn) error {
	s := stream{conn: l.observed(conn, raw), taken: make(chan struct{})}
	s.conn.dialled = true
	s.conn.proven.Store(true)
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

// connection returns the connection to a peer; nil: none is up.
func (l *streamListener) connection(peer netip.AddrPort) *observedConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[peer]
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
		unshaken := slices.Collect(maps.Keys(l.unshaken))
		l.mu.Unlock()
		for _, conn := range unshaken {
			_ = conn.Close()
		}
		for c := range all {
			if l.gone(c) {
				l.bury(c)
			}
			err = errors.Join(err, ignoreClosed(c.raw.Close()))
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

func (l *streamListener) observed(conn, raw net.Conn) *observedConn {
	c := &observedConn{Conn: conn, raw: raw, listener: l, local: addrText(conn.LocalAddr()), peer: addrPort(conn.RemoteAddr()), opened: time.Now()}
	c.heard.Store(c.opened.UnixNano())
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

// buryLater is bury for who may hold sipgo's locks. In a stack that is closed it does nothing: connections may end after that, as
// nobody can wait for sipgo's readers of them, and nobody sends on what takes their place.
func (l *streamListener) buryLater(c *observedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.settled {
		l.burying.Go(func() { l.bury(c) })
	}
}

// settle returns when no connection is being buried, for good.
func (l *streamListener) settle() {
	l.mu.Lock()
	l.settled = true
	l.mu.Unlock()
	l.burying.Wait()
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
