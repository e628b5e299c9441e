package sipstack

import (
	"net"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Addrs returns the bound addresses, in the order of Config.Listeners; nil before Start.
func (s *Stack) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, l := range s.bound() {
		addrs = append(addrs, l.addr)
	}
	return addrs
}

// URI returns the URI under which a user of this node is reached at the first listener; "" before Start.
func (s *Stack) URI(user string) string {
	bound := s.bound()
	if len(bound) == 0 {
		return ""
	}
	uri := s.contact(bound[0], user)
	return uri.String()
}

func (s *Stack) bound() []*listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listeners
}

// contact returns our URI at a listener.
func (s *Stack) contact(on *listener, user string) sip.Uri {
	uri := sip.Uri{Scheme: "sip", User: user, Host: on.host, Port: on.port}
	if on.network != "udp" {
		uri.UriParams.Add("transport", on.network)
	}
	return uri
}

// mediaAddress returns the address in SDP of a call at a listener.
func (s *Stack) mediaAddress(on *listener) netip.Addr {
	if s.cfg.MediaAddress.IsValid() {
		return s.cfg.MediaAddress
	}
	if ip, err := netip.ParseAddr(strings.Trim(on.host, "[]")); err == nil {
		return ip
	}
	if ip := s.cfg.AdvertiseIP; ip.IsValid() && on.reaches(ip) {
		return ip
	}
	return addrPort(on.addr).Addr()
}

// mediaBind returns the local address of a call's sound: that of the listener, or of one of the family that is in SDP; zero:
// the media engine's own.
func (s *Stack) mediaBind(on *listener) netip.Addr {
	in := s.mediaAddress(on)
	if !on.reaches(in) {
		on = find(s.bound(), func(l *listener) bool { return l.reaches(in) })
	}
	if on == nil {
		return netip.Addr{}
	}
	return addrPort(on.addr).Addr()
}
