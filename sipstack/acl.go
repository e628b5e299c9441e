package sipstack

import (
	"net"
	"net/netip"
)

// acl is a set of networks.
type acl []netip.Prefix

func (a acl) contains(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range a {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// admits reports whether a peer may talk to us. An empty list lets everybody in.
func (a acl) admits(peer net.Addr) bool {
	return len(a) == 0 || a.contains(addrPort(peer).Addr())
}

// addrPort returns the address of a socket's end; zero for what is none.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmapped(a.AddrPort())
	case *net.TCPAddr:
		return unmapped(a.AddrPort())
	case nil:
		return netip.AddrPort{}
	}
	p, _ := netip.ParseAddrPort(a.String()) // what cannot be read stays zero, and is in no network
	return unmapped(p)
}

// unmapped writes an IPv4 address that a dual-stack socket gave as IPv6 like any other IPv4 address.
func unmapped(p netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// addrText is an address as an observer is told of it, made with less ado than the address itself would.
func addrText(a net.Addr) string {
	if p := addrPort(a); p.IsValid() {
		return p.String()
	}
	return a.String()
}
