package sipstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// flow is a way on which a peer was heard: our listener and its address there.
type flow struct {
	on     *listener
	source netip.AddrPort
}

// sourceOf returns where a request came from; the transport has set it.
func sourceOf(req *sip.Request) netip.AddrPort {
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

// connectTimeout is how long a look-up and a connection may take.
const connectTimeout = 5 * time.Second

// hop finds out where a request is sent, and connects to there where the transport needs it. A peer that came without a
// proxy in between, and whose Contact leads nowhere, is reached on the way that it came.
func (d *dialog) hop(ctx context.Context, next sip.Uri) (flow, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	d.mu.Lock()
	last := d.flow
	d.mu.Unlock()

	on := d.stack.listenerFor(next, last.on)
	to, err := d.stack.resolve(ctx, next, on)
	contact := d.path.direct && len(d.routes) == 0
	if err == nil && contact && d.path.behindNAT(to.Addr(), last.source.Addr()) {
		return last, d.stack.connect(ctx, last)
	}
	if err == nil {
		f := flow{on: on, source: to}
		if err = d.stack.connect(ctx, f); err == nil {
			return f, nil
		}
	}
	if contact && d.stack.up(last) {
		return last, nil
	}
	return flow{}, err
}

// listenerFor returns the listener for requests to a URI: one of the transport that the URI names, else the one on which
// the peer was heard.
func (s *Stack) listenerFor(u sip.Uri, heard *listener) *listener {
	named, _ := param(u.UriParams, "transport")
	network := sip.NetworkToLower(named)
	if network == heard.network {
		return heard
	}
	for _, l := range s.bound() {
		if l.network == network {
			return l
		}
	}
	return heard
}

// resolve finds the address of a URI (RFC 3263, as far as one transport needs it).
func (s *Stack) resolve(ctx context.Context, u sip.Uri, on *listener) (netip.AddrPort, error) {
	host, port := hostOf(u), u.Port
	if ip, err := netip.ParseAddr(host); err == nil {
		return withDefaultPort(ip, port), nil
	}
	if port == 0 { // section 4.2: only without a port
		_, records, err := s.resolver.LookupSRV(ctx, "sip", on.network, host)
		if err == nil && len(records) > 0 {
			host, port = records[0].Target, int(records[0].Port)
		}
	}
	family := "ip4"
	if bound := addrPort(on.addr).Addr(); bound.Is6() {
		family = "ip6"
		if bound.IsUnspecified() {
			family = "ip"
		}
	}
	ips, err := s.resolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errTransport, err)
	}
	if len(ips) == 0 {
		return netip.AddrPort{}, fmt.Errorf("%w: %s has no address", errTransport, host)
	}
	return withDefaultPort(ips[0], port), nil
}

func withDefaultPort(ip netip.Addr, port int) netip.AddrPort {
	if port <= 0 || port > 65535 {
		port = 5060
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port))
}

// up reports whether something can be sent on a flow without connecting.
func (s *Stack) up(f flow) bool {
	if f.on.network == "udp" {
		return true
	}
	for _, l := range s.bound() {
		if l.streams != nil && l.streams.connected(f.source) {
			return true
		}
	}
	return false
}

// connect connects to a flow's other end, unless a connection is there. sipgo would dial by itself, past the network
// that the stack was given and unobserved.
func (s *Stack) connect(ctx context.Context, f flow) error {
	if s.up(f) {
		return nil
	}
	conn, err := s.dialer.DialContext(ctx, "tcp", net.JoinHostPort(f.source.Addr().String(), strconv.Itoa(int(f.source.Port()))))
	if err == nil {
		err = f.on.streams.adopt(conn)
	}
	if err != nil {
		return errors.Join(errTransport, err)
	}
	return nil
}
