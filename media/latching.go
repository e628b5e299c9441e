package media

import (
	"net/netip"
	"time"
)

// Latching says from where a peer's RTP may come, other than from the address in its session description. Behind a NAT it
// does; but who can send packets to an open port must not get the sound of somebody else's call.
type Latching string

// The values of [Latching].
const (
	// LatchStrict, the default, takes sources in the network of the signalled address (/24, IPv6: /64), and at the address
	// from which the signalling came: the public one of a phone's NAT.
	LatchStrict Latching = "strict"
	LatchAny    Latching = "any" // takes any source
	LatchOff    Latching = "off" // takes none but the signalled one
)

// defaultLatchingTime is how long after a session description another source may show.
const defaultLatchingTime = 5 * time.Second

// latching is what a configuration says of it.
type latching struct {
	mode Latching
	time time.Duration
}

func newLatching(cfg Config) latching {
	l := latching{mode: cfg.Latching, time: cfg.LatchingTime}
	if l.mode == "" {
		l.mode = LatchStrict
	}
	if l.time == 0 {
		l.time = defaultLatchingTime
	}
	return l
}

// permits reports whether a source that is not the signalled one may be latched to, while there is time.
func (l latching) permits(from netip.Addr, p Params) bool {
	switch l.mode {
	case LatchAny:
		return true
	case LatchStrict:
		return from == p.Source.Unmap() || neighbours(from, p.Remote.Addr().Unmap())
	}
	return false
}

// neighbours reports whether two addresses lie in one network of the usual size.
func neighbours(a, b netip.Addr) bool {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	network, err := a.WithZone("").Prefix(bits)
	return err == nil && network.Contains(b.WithZone(""))
}

// permitted reports whether packets from this source may be taken for the peer's now. The session's lock is held.
func (s *Session) permitted(r *route, from netip.AddrPort, now time.Time) bool {
	return from == r.signalled || now.Before(s.window) && s.engine.latching.permits(from.Addr(), s.params)
}

// route is where packets of one socket go.
type route struct {
	signalled netip.AddrPort // by SDP
	latched   netip.AddrPort // where the peer has shown to send from; zero: not yet
}

func (r route) destination() netip.AddrPort {
	if r.latched.IsValid() {
		return r.latched
	}
	return r.signalled
}

// signal takes over an address from SDP. A new one undoes the latching: the peer has moved.
func (r *route) signal(a netip.AddrPort) {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	if a != r.signalled {
		*r = route{signalled: a}
	}
}
