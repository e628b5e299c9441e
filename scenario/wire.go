package scenario

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// wire carries the messages of a phone.
type wire interface {
	// send writes to a host:port.
	send(ctx context.Context, peer string, data []byte) error
	// addr is where the phone is reached.
	addr() netip.AddrPort
	// disconnect closes all connections; it does nothing where there are none.
	disconnect()
	close() error
}

// received is told of everything that comes in, in order for each connection. answer writes to where it came from.
type received func(data *Message, peer string, answer func([]byte) error)

// openWire opens the socket of a phone.
func openWire(ctx context.Context, n Network, transport, address string, secret *tls.Config, in received) (wire, error) {
	switch transport {
	case "udp":
		conn, err := n.ListenPacket(ctx, "udp", address)
		if err != nil {
			return nil, err
		}
		w := &datagrams{conn: conn, in: in}
		w.running.Go(w.read)
		return w, nil
	case "tls":
		if secret == nil {
			return nil, errors.New("transport tls: needs the phone's TLS")
		}
		l, err := n.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		w := &streams{network: n, listener: tls.NewListener(l, secret), tls: secret, in: in, conns: map[string]net.Conn{}, all: map[net.Conn]struct{}{}}
		w.running.Go(w.accept)
		return w, nil
	case "tcp":
		l, err := n.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		w := &streams{network: n, listener: l, in: in, conns: map[string]net.Conn{}, all: map[net.Conn]struct{}{}}
		w.running.Go(w.accept)
		return w, nil
	}
	return nil, fmt.Errorf("transport %q: want udp, tcp or tls", transport)
}

// datagrams is a phone's UDP socket.
type datagrams struct {
	conn    net.PacketConn
	in      received
	running sync.WaitGroup
}

const maxDatagram = 65535

func (w *datagrams) read() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := w.conn.ReadFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // such as a refusal of something sent before
		}
		m, err := ParseMessage(buf[:n])
		if err != nil {
			if err == io.EOF { // a keep-alive
				continue
			}
			m = malformed(err, buf[:n])
		}
		w.in(m, from.String(), func(b []byte) error {
			_, err := w.conn.WriteTo(b, from)
			return err
		})
	}
}

// malformed stands for something that is not a SIP message, so that it shows where messages are expected.
func malformed(err error, data []byte) *Message {
	return &Message{Start: "malformed " + err.Error(), Body: bytes.Clone(data)}
}

func (w *datagrams) send(_ context.Context, peer string, data []byte) error {
	to, err := netip.ParseAddrPort(peer)
	if err != nil {
		return err
	}
	_, err = w.conn.WriteTo(data, net.UDPAddrFromAddrPort(to))
	return err
}

func (w *datagrams) addr() netip.AddrPort {
	return unmapped(w.conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

func (w *datagrams) disconnect() {}

func (w *datagrams) close() error {
	err := w.conn.Close()
	w.running.Wait()
	return err
}

// streams are a phone's TCP or TLS connections, dialled and accepted.
type streams struct {
	network  Network
	listener net.Listener
	tls      *tls.Config // nil: TCP
	in       received
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[string]net.Conn   // by remote address
	all    map[net.Conn]struct{} // those too whose place another one to the same address has taken
	closed bool
}

func (w *streams) accept() {
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.serve(conn.RemoteAddr().String(), conn)
	}
}

// serve reads a connection until it ends, in a goroutine of its own.
func (w *streams) serve(peer string, conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = conn.Close()
		return
	}
	w.conns[peer], w.all[conn] = conn, struct{}{}
	w.running.Go(func() {
		r := bufio.NewReader(conn)
		for {
			m, err := ReadMessage(r)
			if errors.Is(err, errMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) {
				w.in(malformed(err, nil), peer, func([]byte) error { return err })
			}
			if err != nil {
				break
			}
			w.in(m, peer, func(b []byte) error {
				_, err := conn.Write(b)
				return err
			})
		}
		_ = conn.Close()
		w.mu.Lock()
		delete(w.all, conn)
		if w.conns[peer] == conn {
			delete(w.conns, peer)
		}
		w.mu.Unlock()
	})
}

func (w *streams) send(ctx context.Context, peer string, data []byte) error {
	w.mu.Lock()
	conn, ok := w.conns[peer]
	w.mu.Unlock()
	if !ok {
		var err error
		if conn, err = w.network.DialContext(ctx, "tcp", peer); err != nil {
			return err
		}
		if w.tls != nil {
			host, _, err := net.SplitHostPort(peer)
			if err != nil {
				return errors.Join(err, conn.Close())
			}
			cfg := w.tls.Clone()
			cfg.ServerName = host
			secured := tls.Client(conn, cfg)
			if err := secured.HandshakeContext(ctx); err != nil {
				return errors.Join(err, conn.Close())
			}
			conn = secured
		}
		w.serve(peer, conn)
	}
	_, err := conn.Write(data)
	return err
}

func (w *streams) addr() netip.AddrPort { return unmapped(w.listener.Addr().(*net.TCPAddr).AddrPort()) }

func (w *streams) disconnect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.all {
		_ = conn.Close()
	}
	clear(w.conns)
}

func (w *streams) close() error {
	err := w.listener.Close()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.disconnect()
	w.running.Wait()
	return err
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
