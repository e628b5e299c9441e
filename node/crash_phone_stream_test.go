package node_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/require"
)

// streamPhone is a phone's TCP: a connection of its own to the node, which it opens when it has something to send, and a
// listener where its Contact leads. To whoever uses it a message is a packet.
type streamPhone struct {
	network *scenario.Memory
	local   net.Addr
	node    net.Addr
	listens net.Listener
	lost    func() // the connection to the node is gone
	in      chan streamed
	closed  chan struct{}
	serving sync.WaitGroup

	mu      sync.Mutex
	conns   map[string]net.Conn // by the other end; the phone's own stands for the node
	current int                 // number of its own; 0: there is none
	opened  int
}

type streamed struct {
	text string
	from net.Addr
}

func newStreamPhone(t *testing.T, network *scenario.Memory, local string, node net.Addr) *streamPhone {
	t.Helper()
	l, err := network.Listen(t.Context(), "tcp", local)
	require.NoError(t, err)
	s := &streamPhone{
		network: network, local: l.Addr(), node: node, listens: l, in: make(chan streamed, 100), closed: make(chan struct{}),
		conns: map[string]net.Conn{},
	}
	s.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.take(conn, conn.RemoteAddr(), 0)
		}
	})
	return s
}

// take reads a connection; own: its number if it is the phone's own.
func (s *streamPhone) take(conn net.Conn, from net.Addr, own int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		_ = conn.Close()
		return
	default:
	}
	s.conns[from.String()] = conn
	if own != 0 {
		s.current = own
	}
	s.serving.Go(func() {
		r := bufio.NewReader(conn)
		for {
			text, err := readMessage(r)
			if err != nil {
				s.gone(conn, from, own)
				return
			}
			select {
			case s.in <- streamed{text, from}:
			case <-s.closed:
			}
		}
	})
}

func (s *streamPhone) gone(conn net.Conn, from net.Addr, own int) {
	_ = conn.Close()
	s.mu.Lock()
	if s.conns[from.String()] == conn {
		delete(s.conns, from.String())
	}
	if own != 0 && s.current == own {
		s.current = 0
	}
	s.mu.Unlock()
	if own != 0 {
		s.lost()
	}
}

// readMessage reads one SIP message off a stream.
func readMessage(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if b.Len() == 0 && line == "\r\n" {
			continue // a keep-alive
		}
		if b.WriteString(line); line == "\r\n" {
			break
		}
	}
	length, err := strconv.Atoi(field(b.String(), "Content-Length"))
	if err != nil {
		return "", fmt.Errorf("%w in %q", err, b.String())
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	return b.String() + string(body), nil
}

func (s *streamPhone) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case m := <-s.in:
		return copy(b, m.text), m.from, nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends on the connection that a request came by, or on the phone's own, which is opened if need be.
func (s *streamPhone) WriteTo(b []byte, to net.Addr) (int, error) {
	s.mu.Lock()
	conn := s.conns[to.String()]
	s.mu.Unlock()
	if conn == nil {
		if to.String() != s.node.String() {
			return 0, net.ErrClosed
		}
		var err error
		if conn, err = s.network.From(netip.MustParseAddrPort(s.local.String()).Addr()).DialContext(context.Background(), "tcp", to.String()); err != nil {
			return 0, err
		}
		s.mu.Lock()
		s.opened++
		own := s.opened
		s.mu.Unlock()
		s.take(conn, s.node, own)
	}
	return conn.Write(b)
}

func (s *streamPhone) Close() error {
	err := s.listens.Close()
	s.mu.Lock()
	close(s.closed)
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
	return err
}

func (s *streamPhone) LocalAddr() net.Addr              { return s.local }
func (s *streamPhone) SetDeadline(time.Time) error      { return nil }
func (s *streamPhone) SetReadDeadline(time.Time) error  { return nil }
func (s *streamPhone) SetWriteDeadline(time.Time) error { return nil }

// transport is the parameter of the phone's URIs.
func (p *enduring) transport() string {
	if _, streams := p.conn.(*streamPhone); streams {
		return ";transport=tcp"
	}
	return ""
}

// connection is the number of the connection on which the phone sends; 0: there is none, or packets need none.
func (p *enduring) connection() int {
	s, streams := p.conn.(*streamPhone)
	if !streams {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// disconnected is what the loss of the connection does to a phone: an INVITE without a final response has failed
// (RFC 3261 section 17.1.4). Other requests it sends once more on the next one.
func (p *enduring) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if w := l.waiting["i"+l.callID]; w != nil {
			w.timer.Stop()
			delete(l.waiting, "i"+l.callID)
		}
		if !l.answered {
			l.over, l.unheard = true, true
		}
	}
}
