package media

import (
	"net"
	"net/netip"
)

// udpConn is how a socket is read and written without an allocation per packet; *net.UDPConn has it.
type udpConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// socket reads and writes packets by netip addresses, whatever the connection beneath offers. One goroutine may read
// and one may write at a time.
type socket struct {
	net.PacketConn
	udp udpConn // nil: not offered

	to   netip.AddrPort // the address that addr was made from
	addr net.Addr
}

func newSocket(c net.PacketConn) *socket {
	udp, _ := c.(udpConn)
	return &socket{PacketConn: c, udp: udp}
}

func (s *socket) read(b []byte) (int, netip.AddrPort, error) {
	if s.udp != nil {
		n, from, err := s.udp.ReadFromUDPAddrPort(b)
		return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
	}
	n, addr, err := s.ReadFrom(b)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	from := addrPortOf(addr)
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), nil
}

func (s *socket) write(b []byte, to netip.AddrPort) error {
	if s.udp != nil {
		_, err := s.udp.WriteToUDPAddrPort(b, to)
		return err
	}
	if to != s.to {
		s.to, s.addr = to, net.UDPAddrFromAddrPort(to)
	}
	_, err := s.WriteTo(b, s.addr)
	return err
}

// local is the address that the socket is bound to.
func (s *socket) local() netip.AddrPort {
	a := addrPortOf(s.LocalAddr())
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort()
	}
	p, _ := netip.ParseAddrPort(a.String()) // what is no IP address stays zero, and is not a peer
	return p
}
