package sipstack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// locator finds out where requests to a URI are sent (RFC 3263 section 4).
//
// A domain's NAPTR records say which transports it prefers (section 4.1). Without them it is the SRV records of every
// transport that both sides have, of those the best by our preference.
type locator struct {
	resolver resolver
	outages  *outages
	random   func(n uint32) uint32 // less than n
	panicked func(v any)           // is told of a panic in a look-up; nil: nobody
}

func newLocator(r resolver) *locator {
	return &locator{resolver: r, outages: newOutages(), random: rand.Uint32N}
}

const (
	// srvTimeout bounds the look-ups of SRV records, so that those of addresses have their time, too.
	srvTimeout = 2 * time.Second
	// maxTargets bounds what is tried of one name.
	maxTargets = 8
)

// errNoTransport is returned for a URI that asks for TLS where we have none.
var errNoTransport = fmt.Errorf("%w: no listener for the transport", errTransport)

// errLookUp is what a look-up has found that panicked.
var errLookUp = errors.New("the look-up failed inside the node")

// survive is deferred where a look-up has a goroutine: a panic ends that alone, and not the process. err, if not nil, is
// told of it.
func (l *locator) survive(err *error) {
	v := recover()
	if v == nil {
		return
	}
	if l.panicked != nil {
		l.panicked(v)
	}
	if err != nil {
		*err = errLookUp
	}
}

// flows returns where a request to a URI may be sent, the best first. bound are our listeners, heard is the one whose
// transport is taken where the URI leaves it open. (Section 4.1 has UDP there; but a Contact is often written without its
// transport, and a peer that was heard on a transport has that one.) What has failed a moment ago comes last. Look-ups end
// after [connectTimeout].
func (l *locator) flows(ctx context.Context, u sip.Uri, bound []*listener, heard *listener) ([]flow, error) {
	ways, err := waysTo(u, bound, heard)
	if err != nil {
		return nil, err
	}
	host := hostOf(u)
	if ip, err := netip.ParseAddr(host); err == nil {
		at := netip.AddrPortFrom(ip.Unmap(), portOf(u.Port, ways[0]))
		return []flow{{on: ofFamilyOf(at.Addr(), ways[0], bound), source: at}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	endpoints := []endpoint{{on: ways[0], host: host, port: portOf(u.Port, ways[0])}}
	if u.Port == 0 { // Section 4.2: only without a port
		found, offered := l.services(ctx, u, ways, bound, heard)
		switch {
		case len(found) > 0:
			endpoints = found
		case !offered:
			return nil, fmt.Errorf("%w: %s takes no SIP", errTransport, host)
		}
	}
	found, err := l.addresses(ctx, endpoints, bound)
	if err != nil {
		return nil, err
	}
	return l.outages.last(found), nil
}

// waysTo returns a listener for every transport on which the URI may be reached, the best first: there is one at least.
func waysTo(u sip.Uri, bound []*listener, heard *listener) ([]*listener, error) {
	named, _ := param(u.UriParams, "transport")
	network := sip.NetworkToLower(named)
	if secure(u) {
		network = "tls"
	}
	if network == "" {
		// Of the others, one of each that a "sip" service is looked up for.
		ways := []*listener{heard}
		for _, l := range bound {
			if l.network != "tls" && !slices.ContainsFunc(ways, func(w *listener) bool { return w.network == l.network }) {
				ways = append(ways, l)
			}
		}
		return ways, nil
	}
	if heard.network == network {
		return []*listener{heard}, nil
	}
	for _, l := range bound {
		if l.network == network {
			return []*listener{l}, nil
		}
	}
	if network == "tls" {
		return nil, errNoTransport
	}
	return []*listener{heard}, nil // a transport that only the peer's own proxy has
}

// secure reports whether a request to the URI may go over TLS alone.
func secure(u sip.Uri) bool {
	named, _ := param(u.UriParams, "transport")
	return strings.EqualFold(u.Scheme, "sips") || strings.EqualFold(named, "tls")
}

// endpoint is a host of which only the name is known yet.
type endpoint struct {
	on   *listener
	host string
	port uint16
}

// services looks up the SRV records of a domain: those that its NAPTR records name, or else those of all transports;
// sips: URIs only have _sips._tcp. As most domains have no NAPTR records, all are asked for at once. Offered tells whether
// the domain may be reached at all: a record whose target is "." says no (RFC 2782).
func (l *locator) services(ctx context.Context, u sip.Uri, ways, bound []*listener, heard *listener) (found []endpoint, offered bool) {
	ctx, cancel := context.WithTimeout(ctx, srvTimeout)
	defer cancel()
	var chosen []choice
	usual := make([][]*net.SRV, len(ways))
	var lookups sync.WaitGroup
	lookups.Go(func() {
		defer l.survive(nil)
		chosen = l.chosen(ctx, u, bound, heard)
	})
	lookups.Go(func() {
		defer l.survive(nil)
		usual = each(ways, func(on *listener) []*net.SRV { return l.srv(ctx, serviceOf(on, hostOf(u))) })
	})
	lookups.Wait()
	var named [][]*net.SRV
	if len(chosen) > 0 {
		named = each(chosen, func(c choice) []*net.SRV { return l.srv(ctx, service{name: c.name}) })
	}
	refused := false
	take := func(on *listener, records []*net.SRV) {
		for _, r := range inOrder(records, l.random) {
			if r.Target == "." || r.Target == "" {
				refused = true
				continue
			}
			found = append(found, endpoint{on, strings.TrimSuffix(r.Target, "."), r.Port})
		}
	}
	for i, c := range chosen {
		take(c.on, named[i])
	}
	if len(found) == 0 { // records that lead nowhere are no better than none
		refused = false
		for i, on := range ways {
			take(on, usual[i])
		}
	}
	return found[:min(len(found), maxTargets)], !refused
}

// each looks up the records of all at once, and keeps the order.
func each[T any](of []T, lookUp func(T) []*net.SRV) [][]*net.SRV {
	records := make([][]*net.SRV, len(of))
	var lookups sync.WaitGroup
	for i, one := range of {
		lookups.Go(func() { records[i] = lookUp(one) })
	}
	lookups.Wait()
	return records
}

// service is what SRV records stand under, as [net.Resolver.LookupSRV] has it: with name alone, under that one.
type service struct{ service, proto, name string }

// serviceOf returns the service of a domain for a transport (RFC 3263 section 4.2).
func serviceOf(on *listener, domain string) service {
	if on.network == "tls" {
		return service{"sips", "tcp", domain}
	}
	return service{"sip", on.network, domain}
}

// srv returns nil when there is none, or it cannot be known: the name's addresses are tried then.
func (l *locator) srv(ctx context.Context, of service) []*net.SRV {
	defer l.survive(nil)
	key := "SRV " + of.service + " " + of.proto + " " + of.name
	if l.outages.unknown(key) != nil {
		return nil
	}
	_, records, err := l.resolver.LookupSRV(ctx, of.service, of.proto, of.name)
	l.outages.lookedUp(ctx, key, err)
	return records
}

// addresses looks up the hosts' addresses, all at once, and keeps the order. It fails only when none has any.
func (l *locator) addresses(ctx context.Context, endpoints []endpoint, bound []*listener) ([]flow, error) {
	ips, errs := make([][]netip.Addr, len(endpoints)), make([]error, len(endpoints))
	var lookups sync.WaitGroup
	for i, e := range endpoints {
		lookups.Go(func() {
			defer l.survive(&errs[i])
			ips[i], errs[i] = l.ip(ctx, family(e.on, bound), e.host)
		})
	}
	lookups.Wait()
	var flows []flow
	for i, e := range endpoints {
		for _, ip := range ips[i] {
			f := flow{on: ofFamilyOf(ip.Unmap(), e.on, bound), source: netip.AddrPortFrom(ip.Unmap(), e.port)}
			if !slices.Contains(flows, f) && len(flows) < maxTargets {
				flows = append(flows, f)
			}
		}
	}
	if len(flows) == 0 {
		return nil, fmt.Errorf("%w: %w", errTransport, errors.Join(errs...))
	}
	return flows, nil
}

func (l *locator) ip(ctx context.Context, family, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil { // an address in an SRV record is wrong, and clear
		return []netip.Addr{ip}, nil
	}
	key := family + " " + host
	if err := l.outages.unknown(key); err != nil {
		return nil, err
	}
	ips, err := l.resolver.LookupNetIP(ctx, family, host)
	if err == nil && len(ips) == 0 {
		err = fmt.Errorf("%s has no address", host)
	}
	l.outages.lookedUp(ctx, key, err)
	return ips, err
}

// family returns which addresses can be reached over a transport, as [net.Resolver.LookupNetIP] names it.
func family(on *listener, bound []*listener) string {
	v4, v6 := false, false
	for _, l := range append([]*listener{on}, bound...) {
		if l.network == on.network {
			v4, v6 = v4 || l.reaches(netip.IPv4Unspecified()), v6 || l.reaches(netip.IPv6Unspecified())
		}
	}
	switch {
	case v4 && v6:
		return "ip"
	case v6:
		return "ip6"
	}
	return "ip4"
}

// ofFamilyOf returns a listener of the transport that can reach an address; that one itself if it can, or none does.
func ofFamilyOf(ip netip.Addr, on *listener, bound []*listener) *listener {
	if on.reaches(ip) {
		return on
	}
	for _, l := range bound {
		if l.network == on.network && l.reaches(ip) {
			return l
		}
	}
	return on
}

// reaches reports whether an address is of a family that the listener has.
func (l *listener) reaches(ip netip.Addr) bool {
	at := addrPortRaw(l.addr).Addr()
	return at.Unmap().Is4() == ip.Unmap().Is4() || at.Is6() && at.IsUnspecified()
}

// portOf returns the port of a URI, or the transport's own (RFC 3261 section 19.1.2).
func portOf(port int, on *listener) uint16 {
	switch {
	case port > 0 && port <= 65535:
		return uint16(port)
	case on.network == "tls":
		return 5061
	}
	return 5060
}

// inOrder sorts SRV records by priority, and those of the same one at random by their weights (RFC 2782).
func inOrder(records []*net.SRV, random func(n uint32) uint32) []*net.SRV {
	left := slices.Clone(records)
	slices.SortStableFunc(left, func(a, b *net.SRV) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return min(int(a.Weight), 1) - min(int(b.Weight), 1) // those without a weight have their small chance
	})
	var sorted []*net.SRV
	for len(left) > 0 {
		var sum uint32
		for _, r := range left {
			if r.Priority == left[0].Priority {
				sum += uint32(r.Weight)
			}
		}
		i, mark := 0, random(sum+1)
		for mark > uint32(left[i].Weight) {
			mark -= uint32(left[i].Weight)
			i++
		}
		sorted = append(sorted, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return sorted
}
