package sipstack

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// observedConn is a TCP or TLS connection whose messages are observed.
type observedConn struct {
	net.Conn
	raw      net.Conn // under TLS; else the same
	listener *streamListener
	local    string // our address, as observers are told of it
	peer     netip.AddrPort
	opened   time.Time
	heard    atomic.Int64 // when something came last, in nanoseconds of Unix time
	over     atomic.Bool  // nothing more comes: what is written now is lost
	dialled  bool
	proven   atomic.Bool // a whole message came, or we have dialled it

	frames framer    // of the one goroutine that reads
	ready  []byte    // messages for it
	since  time.Time // when the message that has begun to come began; zero: none has
}

// messageTimeout is how long the first message of a connection may take, and each one from its first byte to its last:
// who opens connections and says nothing, or a byte a minute, must not keep them.
const messageTimeout = 30 * time.Second

// until returns how long to wait for more; zero: for ever.
func (c *observedConn) until() time.Time {
	switch {
	case !c.proven.Load():
		return c.opened.Add(messageTimeout)
	case !c.frames.partial():
		c.since = time.Time{}
		return time.Time{}
	case c.since.IsZero():
		c.since = time.Now()
	}
	return c.since.Add(messageTimeout)
}

// writeTimeout ends a connection whose peer has stopped reading: a transaction waits for its writing.
const writeTimeout = 10 * time.Second

// Read implements [net.Conn]. It returns whole messages, as the gate lets them through.
func (c *observedConn) Read(b []byte) (int, error) {
	for len(c.ready) == 0 {
		if c.frames.lost {
			return 0, c.ended(io.EOF)
		}
		_ = c.raw.SetReadDeadline(c.until()) // it fails on a closed connection alone, and then reading does, too
		n, err := c.Conn.Read(b)
		if err == nil && !c.dialled && c.listener.door.ends(c.peer.Addr()) {
			_ = c.raw.Close()
			err = io.EOF
		}
		if err != nil {
			return 0, c.ended(err)
		}
		c.heard.Store(time.Now().UnixNano())
		c.frames.write(b[:n], c.arrived)
		c.pong()
	}
	n := copy(b, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// pong answers the keep-alives that have come (RFC 5626 section 4.4.1).
func (c *observedConn) pong() {
	if c.frames.pings > 0 {
		_, _ = c.Write(bytes.Repeat([]byte("\r\n"), c.frames.pings)) // the peer's loss
		c.frames.pings = 0
	}
}

// arrived takes a message off the stream.
func (c *observedConn) arrived(raw []byte) {
	c.proven.Store(true)
	c.since = time.Time{}
	l := c.listener
	head := l.gate.cut(raw)
	defer l.gate.done(head)
	m, isSIP := head.sniff()
	if pass, answer, _ := l.door.first(m, isSIP, raw, arrival{network: l.network, peer: c.RemoteAddr()}); !pass {
		l.tap.aside(m, true, l.network, c.local, c.RemoteAddr())
		if answer != nil {
			_, _ = c.Write(answer) // the peer's loss
		}
		return
	}
	if isSIP {
		l.tap.sniffed(m, true, l.network, c.local, c.RemoteAddr())
	}
	message, answer := l.gate.look(head, c.RemoteAddr(), true)
	if answer != nil {
		_, _ = c.Write(answer) // the peer's loss
	}
	c.ready = append(c.ready, message...)
}

// ended notes that nothing more comes, for which err is the reason, and returns how sipgo is to be told.
func (c *observedConn) ended(err error) error {
	c.over.Store(true)
	if c.listener.gone(c) {
		c.listener.bury(c)
	}
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return io.EOF // a reset ends a connection like any other end
}

// Write implements [net.Conn]. sipgo writes a message by one call.
func (c *observedConn) Write(b []byte) (int, error) {
	if c.over.Load() { // sipgo is about to close it
		return 0, net.ErrClosed
	}
	if !c.listener.tap.message(false, c.listener.network, c.local, c.RemoteAddr(), b) {
		return len(b), nil
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close() // what was written in part cannot be gone on with
	}
	return n, err
}

// Close implements [net.Conn]. sipgo calls it under its locks when it cannot read a message: TLS says no goodbye, for
// which it would wait.
func (c *observedConn) Close() error {
	if c.listener.gone(c) {
		c.listener.buryLater(c)
	}
	return c.raw.Close()
}
