package media

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// udpConn is how a socket is read and written without an allocation per packet; *net.UDPConn has it.
type udpConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// packetSocket is a socket on a connection of any kind, which a goroutine of its own reads.
type packetSocket struct {
	conn    net.PacketConn
	udp     udpConn // nil: not offered
	reading sync.WaitGroup

	writing sync.Mutex     // guards what follows
	to      netip.AddrPort // the address that addr was made from
	addr    net.Addr

	mu     sync.Mutex
	closed bool
}

func newPacketSocket(c net.PacketConn) *packetSocket {
	udp, _ := c.(udpConn)
	return &packetSocket{conn: c, udp: udp}
}

func (s *packetSocket) listen(h handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.reading.Go(func() { s.serve(h) })
	}
}

func (s *packetSocket) serve(h handler) {
	a := &arrival{}
	var err error
	for failed := 0; failed < maxReadErrors; {
		switch err = s.read(a); {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			failed++ // an ICMP message, for instance
		default:
			failed, a.at = 0, time.Now()
			h.packet(a)
		}
	}
	h.lost(err)
}

// read waits for a packet.
func (s *packetSocket) read(a *arrival) error {
	var (
		n    int
		from netip.AddrPort
		addr net.Addr
		err  error
	)
	if s.udp != nil {
		n, from, err = s.udp.ReadFromUDPAddrPort(a.room[:])
	} else if n, addr, err = s.conn.ReadFrom(a.room[:]); err == nil {
		from = addrPortOf(addr)
	}
	a.data, a.from = a.room[:n], unmapped(from)
	return err
}

func (s *packetSocket) write(b []byte, to netip.AddrPort) error {
	if s.udp != nil {
		_, err := s.udp.WriteToUDPAddrPort(b, to)
		return err
	}
	_, err := s.conn.WriteTo(b, s.address(to))
	return err
}

func (s *packetSocket) address(to netip.AddrPort) net.Addr {
	s.writing.Lock()
	defer s.writing.Unlock()
	if to != s.to {
		s.to, s.addr = to, net.UDPAddrFromAddrPort(to)
	}
	return s.addr
}

func (s *packetSocket) local() netip.AddrPort { return unmapped(addrPortOf(s.conn.LocalAddr())) }

func (s *packetSocket) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	var err error
	if !again {
		err = s.conn.Close()
	}
	s.reading.Wait()
	return err
}
