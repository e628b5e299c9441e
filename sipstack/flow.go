package sipstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// flow is a way on which a peer was heard: our listener and its address there.
type flow struct {
	on     *listener
	source netip.AddrPort
}

// sourceOf returns where a message came from; the transport has set it.
func sourceOf(req sip.Message) netip.AddrPort {
	p, _ := netip.ParseAddrPort(req.Source())
	return unmapped(p)
}

// path is what an INVITE shows of the way between its sender and us.
type path struct {
	direct  bool       // no proxy has handled it
	claimed netip.Addr // where a direct sender believes to be; zero: it gave a name
}

func pathOf(req *sip.Request) path {
	p := path{direct: len(req.GetHeaders("Via"))+len(req.GetHeaders("v")) == 1}
	if via := req.Via(); via != nil {
		p.claimed, _ = netip.ParseAddr(hostOf(sip.Uri{Host: via.Host}))
	}
	return p
}

// behindNAT reports whether a Contact's address cannot be reached from here although the peer itself talks to us: the
// address is the one that the peer has behind its NAT.
func (p path) behindNAT(contact, source netip.Addr) bool {
	if !p.direct || contact == source {
		return false
	}
	return contact == p.claimed || scopeOf(contact) != scopeGlobal && scopeOf(contact) != scopeOf(source)
}

// scope is the part of the world in which an address means something.
type scope int

const (
	scopeGlobal scope = iota
	scopeNone         // 0.0.0.0, and what is reserved for documentation
	scopeLoopback
	scopeLink
	scopePrivate
)

var (
	sharedSpace   = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	documentation = acl{                                   // RFC 5737, RFC 3849
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
	}
)

func scopeOf(a netip.Addr) scope {
	switch a = a.Unmap(); {
	case a.IsUnspecified() || documentation.contains(a):
		return scopeNone
	case a.IsLoopback():
		return scopeLoopback
	case a.IsLinkLocalUnicast():
		return scopeLink
	case a.IsPrivate() || sharedSpace.Contains(a):
		return scopePrivate
	}
	return scopeGlobal
}

// connectTimeout is how long the look-ups for a request may take, and a connection.
const connectTimeout = 5 * time.Second

// hops finds out where a request is sent, the best first. A peer that came without a proxy in between is reached on the
// way that it came where its Contact leads nowhere; where its Contact only may not work, that way is the last resort. The
// TLS connection that it opened is used before another is opened to the same host (RFC 5923 section 3): few phones could
// show a certificate there, and many take none. A dialog of SIPS has no other way than TLS, whatever a Contact says.
func (d *dialog) hops(ctx context.Context, next sip.Uri) (flows []flow, resort *flow, err error) {
	d.mu.Lock()
	last, way, routed := d.flow, d.path, len(d.routes) > 0
	d.mu.Unlock()

	if d.secure {
		next.Scheme = "sips"
	}
	flows, err = d.stack.locator.flows(ctx, next, d.stack.bound(), last.on)
	if !way.direct || routed || secure(next) && last.on.network != "tls" {
		return flows, nil, err
	}
	if last.on.network == "tls" && d.stack.up(last) && err == nil && flows[0].on.network == "tls" && flows[0].source.Addr() == last.source.Addr() {
		flows = slices.Insert(flows, 0, last)
	}
	for i, f := range flows {
		if way.behindNAT(f.source.Addr(), last.source.Addr()) {
			flows[i] = last
		}
	}
	flows = slices.Compact(flows)
	switch {
	case slices.Contains(flows, last):
	case err == nil && d.stack.up(last):
		return flows, &last, nil
	case d.stack.up(last):
		return []flow{last}, nil, nil
	}
	return flows, nil, err
}

// up reports whether something can be sent on a flow without connecting.
func (s *Stack) up(f flow) bool {
	return f.on.network == "udp" || s.connection(f) != nil
}

// connection returns the connection of a flow over a stream, which is one of any listener of its network; nil: none is up.
func (s *Stack) connection(f flow) *observedConn {
	for _, l := range s.bound() {
		if l.network == f.on.network {
			if c := l.streams.connection(f.source); c != nil {
				return c
			}
		}
	}
	return nil
}

// connect connects to a flow's other end, unless a connection is there. With TLS the other end has to prove that it is
// name. sipgo would dial by itself, past the network that the stack was given and unobserved.
func (s *Stack) connect(ctx context.Context, f flow, name string) error {
	if s.up(f) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := s.dialer.DialContext(ctx, "tcp", net.JoinHostPort(f.source.Addr().String(), strconv.Itoa(int(f.source.Port()))))
	if err != nil {
		return errors.Join(errTransport, err)
	}
	use := conn
	if f.on.network == "tls" {
		secured := s.certificates.connect(conn, name)
		if err := secured.HandshakeContext(ctx); err != nil {
			s.certificates.failed(conn, err)
			return errors.Join(errTransport, err, ignoreClosed(conn.Close()))
		}
		use = secured
	}
	if err := f.on.streams.adopt(use, conn); err != nil {
		return errors.Join(errTransport, err)
	}
	return nil
}
