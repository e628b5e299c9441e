package media

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// sockaddr is an address with a port as the system has it: struct sockaddr_in or sockaddr_in6.
type sockaddr [unix.SizeofSockaddrInet6]byte

// set takes over an address and returns its length, for a socket of IPv6, to which IPv4 is a part of it, or of IPv4; 0: the
// address is not of that family.
func (s *sockaddr) set(a netip.AddrPort, six bool) (size uintptr) {
	ip := a.Addr().Unmap()
	binary.BigEndian.PutUint16(s[2:], a.Port())
	switch {
	case six && ip.IsValid():
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
		sixteen := ip.As16()
		copy(s[8:24], sixteen[:])
		binary.NativeEndian.PutUint32(s[24:], scope(ip.Zone()))
		return unix.SizeofSockaddrInet6
	case ip.Is4():
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET)
		four := ip.As4()
		copy(s[4:8], four[:])
		return unix.SizeofSockaddrInet4
	}
	return 0
}

// get returns the address, one of IPv4 as such.
func (s *sockaddr) get() netip.AddrPort {
	port := binary.BigEndian.Uint16(s[2:])
	if binary.NativeEndian.Uint16(s[:]) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	}
	ip := netip.AddrFrom16([16]byte(s[8:24])).Unmap()
	if index := binary.NativeEndian.Uint32(s[24:]); index != 0 {
		ip = ip.WithZone(zone(index))
	}
	return netip.AddrPortFrom(ip, port)
}

// scope returns the number of a zone, which is an interface's name or its number (RFC 4007 section 11); 0: there is none.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if of, err := net.InterfaceByName(zone); err == nil {
		return uint32(of.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32) // what is neither is sent nowhere
	return uint32(n)
}

func zone(scope uint32) string {
	if of, err := net.InterfaceByIndex(int(scope)); err == nil {
		return of.Name
	}
	return strconv.FormatUint(uint64(scope), 10)
}
