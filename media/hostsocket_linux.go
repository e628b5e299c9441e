package media

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostSocket is a UDP socket that never waits, and that a [poller] reads. Nor does what opens and closes it: the scheduler, which wakes
// a thread to watch for calls of the system that take long, is told of none of them. It is the system's own, as those of net cannot be
// read without a goroutine for each. Of IPv6 on all addresses it takes IPv4 as well.
type hostSocket struct {
	fd     int
	bound  netip.AddrPort
	six    bool // IPv4 is mapped into IPv6
	poller *poller

	// The poller's.
	handler  handler
	failed   int  // reads in a row
	handling bool // a packet of it
	closed   bool
}

// newHostSocket opens a socket at an address; one that is not valid: at all of both families, where the host has both.
func newHostSocket(at netip.Addr, port int) (*hostSocket, error) {
	if at.IsValid() {
		return bind(at, port)
	}
	s, err := bind(netip.IPv6Unspecified(), port)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return bind(netip.IPv4Unspecified(), port)
	}
	return s, err
}

func bind(at netip.Addr, port int) (*hostSocket, error) {
	at = at.Unmap()
	s := &hostSocket{bound: netip.AddrPortFrom(at, uint16(port)), six: at.Is6()}
	family := unix.AF_INET
	if s.six {
		family = unix.AF_INET6
	}
	var err error
	if s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if s.six {
		var no int32
		if _, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY,
			uintptr(unsafe.Pointer(&no)), unsafe.Sizeof(no), 0); errno != 0 {
			return nil, errors.Join(os.NewSyscallError("setsockopt", errno), unix.Close(s.fd))
		}
	}
	var name sockaddr
	size := name.set(s.bound, s.six)
	if _, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(s.fd), uintptr(unsafe.Pointer(&name)), size); errno != 0 {
		return nil, errors.Join(&net.OpError{
			Op: "listen", Net: "udp", Addr: net.UDPAddrFromAddrPort(s.bound), Err: os.NewSyscallError("bind", errno),
		}, unix.Close(s.fd))
	}
	return s, nil
}

func (s *hostSocket) listen(h handler) {
	if err := s.poller.add(s, h); err != nil {
		h.lost(err)
	}
}

// local returns the address that was asked for: a port of 0 is never.
func (s *hostSocket) local() netip.AddrPort { return s.bound }

// write returns EAGAIN where net would wait for room: sound that is late is worth nothing.
//
// It never waits, and so the scheduler is not told of it, as of read: a call that takes more than 20 µs, which on a loopback delivers
// to the receiver as well, would have the processor handed over to another thread.
func (s *hostSocket) write(b []byte, to netip.AddrPort) error {
	var name sockaddr
	size := name.set(to, s.six)
	if size == 0 {
		return os.NewSyscallError("sendto", unix.EAFNOSUPPORT)
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&name)), size)
	if errno != 0 {
		return os.NewSyscallError("sendto", errno)
	}
	return nil
}

// read takes a packet that waits. What x/sys has for it allocates the address of each.
func (s *hostSocket) read(a *arrival) error {
	var name sockaddr
	size := uint32(len(name))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&a.room)), uintptr(len(a.room)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return errno
	}
	a.data, a.from = a.room[:n], name.get()
	return nil
}

func (s *hostSocket) Close() error {
	if !s.poller.remove(s) {
		return nil
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOSE, uintptr(s.fd), 0, 0); errno != 0 {
		return os.NewSyscallError("close", errno)
	}
	return nil
}
