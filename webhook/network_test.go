package webhook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a network in memory. Names resolve to what was put into it; every connection is a [net.Pipe], so that all of
// it can live in a synctest bubble.
type network struct {
	mu     sync.Mutex
	hosts  map[string]*host // by host:port
	dialed []string
}

// host is one address of a network.
type host struct {
	ip     netip.AddrPort
	accept chan net.Conn
	fail   func(nth int) error // of the nth dial, from 1; nil: none fails
	dials  int
}

var errUnreachable = errors.New("connection refused")

func newNetwork() *network { return &network{hosts: map[string]*host{}} }

// DialContext connects to a host of the network.
func (n *network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, address)
	h := n.hosts[address]
	var err error
	switch {
	case h == nil:
		err = errUnreachable
	default:
		if h.dials++; h.fail != nil {
			err = h.fail(h.dials)
		}
	}
	n.mu.Unlock()
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	here, there := net.Pipe()
	select {
	case h.accept <- there:
		return &pipeConn{here, h.ip}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dials returns the addresses that were dialled.
func (n *network) dials() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.dialed...)
}

// pipeConn is a pipe with an IP address.
type pipeConn struct {
	net.Conn
	remote netip.AddrPort
}

func (c *pipeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (n *network) add(address, ip string) *host {
	h := &host{ip: netip.MustParseAddrPort(ip), accept: make(chan net.Conn)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[address] = h
	return h
}

// serve runs an HTTP server at an address such as "app.example:80" until the test ends.
func (n *network) serve(t *testing.T, address string, handler http.HandlerFunc) *host {
	t.Helper()
	h := n.add(address, "192.0.2.1:80")
	serveHTTP(t, newListener(h), handler)
	return h
}

func serveHTTP(t *testing.T, l net.Listener, handler http.Handler) {
	// A server sees that its client has gone away only when it has read the request's body.
	whole := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: whole, ReadHeaderTimeout: time.Hour, ErrorLog: log.New(io.Discard, "", 0)}
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		done.Wait()
	})
}

// hostile runs a server that does with each connection what script says; nth counts connections from 1. The request's
// header has been read before.
func (n *network) hostile(t *testing.T, address string, script func(nth int, r *http.Request, c net.Conn)) *host {
	t.Helper()
	h := n.add(address, "192.0.2.1:80")
	l := newListener(h)
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for nth := 1; ; nth++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				defer func() { _ = c.Close() }()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					_, _ = r.Body.Read(make([]byte, 64<<10))
					script(nth, r, c)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return h
}

// silent runs a server that takes whatever it is sent and says nothing.
func (n *network) silent(t *testing.T, address string) {
	t.Helper()
	h := n.add(address, "192.0.2.1:80")
	l := newListener(h)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { _, _ = io.Copy(io.Discard, c) }) // until the client closes
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
}

// listener takes a host's connections.
type listener struct {
	*host
	closed chan struct{}
	once   sync.Once
}

func newListener(h *host) *listener { return &listener{host: h, closed: make(chan struct{})} }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.ip) }

// newClient makes a client of a network, closed when the test ends.
func newClient(t *testing.T, n *network, cfg Config, opts ...Option) *Client {
	t.Helper()
	c, err := NewClient(cfg, append([]Option{WithDialContext(n.DialContext)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// watcher remembers what an observer is told.
type watcher struct {
	mu       sync.Mutex
	requests []Exchange
	replies  []Exchange
}

func (w *watcher) Request(x Exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, x)
}

func (w *watcher) Reply(x Exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies = append(w.replies, x)
}

// ended returns the exchanges that ended, in order.
func (w *watcher) ended() []Exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Exchange(nil), w.replies...)
}
