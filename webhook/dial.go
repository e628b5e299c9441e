package webhook

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
)

// dial makes a connection for the transport, which detaches it from the request that asked for it: another request may
// get it. So it is bounded here, by a time and by the client's own end.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, maxConnect)
	defer cancel()
	defer context.AfterFunc(c.lifetime, cancel)()
	if c.lifetime.Err() != nil {
		return nil, ErrClosed
	}
	open, err := c.connectChecked(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return c.keep(open)
}

func (c *Client) connectChecked(ctx context.Context, network, address string) (net.Conn, error) {
	if c.connect == nil {
		// Control sees each address that the name led to, after resolving and before connecting, so that there is no
		// second look-up that could tell something else.
		dialer := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return c.policy.checkDialled(address) }}
		return dialer.DialContext(ctx, network, address)
	}
	if literal, err := netip.ParseAddrPort(address); err == nil {
		if err := c.policy.checkAddr(literal.Addr()); err != nil {
			return nil, err
		}
	}
	open, err := c.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := c.policy.checkDialled(open.RemoteAddr().String()); err != nil {
		_ = open.Close()
		return nil, err
	}
	return open, nil
}

// conn is an open connection, known to its client until it is closed: the transport cannot be asked for those in use.
type conn struct {
	net.Conn
	client *Client
	once   sync.Once
}

func (c *Client) keep(open net.Conn) (net.Conn, error) {
	kept := &conn{Conn: withoutWaiting(open), client: c}
	c.mu.Lock()
	c.conns[kept] = struct{}{}
	c.mu.Unlock()
	if c.lifetime.Err() != nil { // Close may have looked before
		_ = kept.Close()
		return nil, ErrClosed
	}
	return kept, nil
}

// Close implements [net.Conn].
func (k *conn) Close() error {
	k.once.Do(func() {
		k.client.mu.Lock()
		delete(k.client.conns, k)
		k.client.mu.Unlock()
	})
	return k.Conn.Close()
}

// gate lets requests pass that the policy allows. It keeps the transport's CloseIdleConnections out of sight, which
// retryablehttp calls after every failure: one application's failure must not cost the others their connections.
type gate struct{ client *Client }

// RoundTrip implements [http.RoundTripper].
func (g gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.client.policy.checkURL(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	res, err := g.client.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// http.Client would print a Location that it cannot read, with whatever secrets are in it. Without one the reply is
	// what its status says: no success.
	if location := res.Header.Get("Location"); location != "" {
		if _, err := req.URL.Parse(location); err != nil {
			res.Header.Del("Location")
		}
	}
	return res, nil
}
