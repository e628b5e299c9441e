package media

import (
	"net"
	"net/netip"
	"time"

	"github.com/pion/rtp"
)

// maxPacket is the longest packet that is looked at; what is longer arrives cut and fails to parse or to be audio.
const maxPacket = 1500

// maxReadErrors is how many reads may fail in a row before a socket is given up.
const maxReadErrors = 100

// socket is what a session has for RTP, and another one for RTCP.
type socket interface {
	// listen has a handler called for each packet from now on, until Close. It is called once.
	listen(h handler)
	// write sends a packet. Any goroutine may.
	write(b []byte, to netip.AddrPort) error
	// local is the address that the socket is bound to.
	local() netip.AddrPort
	// Close is idempotent. When it returns, the handler is not called any more.
	Close() error
}

// handler is told of a socket's packets, one after the other, by a goroutine that may serve other sockets as well: it
// must not wait, nor close the socket.
type handler struct {
	packet func(*arrival)
	lost   func(error) // reading fails all the time, and is given up
}

// arrival is a packet that has come, and room to take it apart in. It is only lent.
type arrival struct {
	data []byte
	from netip.AddrPort // of IPv4 where it can be
	at   time.Time
	rtp  rtp.Packet // used again for each, so that parsing does not allocate

	room [maxPacket]byte
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort()
	}
	p, _ := netip.ParseAddrPort(a.String()) // what is no IP address stays zero, and is not a peer
	return p
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
