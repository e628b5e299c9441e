package sipstack

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// datagrams reads and writes a UDP socket of IPv4 by calls of the system that never wait. The scheduler is not told of them: each
// time that it is, while the process was idle before, it wakes a thread that watches for calls that take long, and a message of SIP
// would pay more for that than for itself. Where there is nothing to read, or no room, it waits as net does.
type datagrams struct {
	*net.UDPConn
	raw syscall.RawConn
	ops sync.Pool // of *datagram
}

// datagram is one that is read or written.
type datagram struct {
	bytes       []byte
	n           int
	name        unix.RawSockaddrInet4
	waited      time.Duration // in the socket
	err         syscall.Errno
	read, write func(fd uintptr) bool // done; false: it is to wait

	vector  unix.Iovec
	message unix.Msghdr
	stamp   [64]byte // room for what the kernel says of a datagram
}

// withoutWaiting returns what reads and writes a socket, which is itself where it is not one of IPv4.
func withoutWaiting(conn net.PacketConn) net.PacketConn {
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return conn
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		return conn
	}
	four := false
	_ = raw.Control(func(fd uintptr) {
		name, err := unix.Getsockname(int(fd))
		_, four = name.(*unix.SockaddrInet4)
		four = four && err == nil
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) // else nobody knows how long they wait
	})
	if !four {
		return conn
	}
	d := &datagrams{UDPConn: udp, raw: raw}
	d.ops.New = func() any {
		o := &datagram{}
		o.read, o.write = o.receive, o.send
		return o
	}
	return d
}

func (o *datagram) receive(fd uintptr) bool {
	for {
		o.vector.Base = unsafe.SliceData(o.bytes)
		o.vector.SetLen(len(o.bytes))
		o.message = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&o.name)), Namelen: uint32(unsafe.Sizeof(o.name)), Iov: &o.vector, Control: &o.stamp[0]}
		o.message.SetIovlen(1)
		o.message.SetControllen(len(o.stamp))
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&o.message)), unix.MSG_DONTWAIT)
		if errno != unix.EINTR { // to wait then would be for another datagram
			o.n, o.err = int(n), errno
			o.waited = o.since()
			return errno != unix.EAGAIN
		}
	}
}

// since is how long ago a datagram came, by the kernel's clock.
func (o *datagram) since() time.Duration {
	header := (*unix.Cmsghdr)(unsafe.Pointer(&o.stamp))
	if o.err != 0 || int(o.message.Controllen) < unix.CmsgLen(int(unsafe.Sizeof(unix.Timespec{}))) ||
		header.Level != unix.SOL_SOCKET || header.Type != unix.SCM_TIMESTAMPNS {
		return 0
	}
	came := (*unix.Timespec)(unsafe.Pointer(&o.stamp[unix.CmsgLen(0)]))
	return max(0, time.Since(time.Unix(came.Unix())))
}

func (o *datagram) send(fd uintptr) bool {
	for {
		_, _, o.err = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(o.bytes))), uintptr(len(o.bytes)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&o.name)), unsafe.Sizeof(o.name))
		if o.err != unix.EINTR {
			return o.err != unix.EAGAIN
		}
	}
}

// ReadFrom implements [net.PacketConn].
func (d *datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, _, err := d.ReadWaited(b)
	return n, from, err
}

// ReadWaited reads a datagram as ReadFrom does, and tells how long it lay in the socket: from when the kernel had it, by a clock that
// may be set meanwhile.
func (d *datagrams) ReadWaited(b []byte) (n int, from net.Addr, waited time.Duration, err error) {
	o := d.ops.Get().(*datagram)
	defer d.done(o)
	o.bytes = b
	if err := d.raw.Read(o.read); err != nil {
		return 0, nil, 0, err
	}
	if o.err != 0 {
		return 0, nil, 0, d.failure("read", "recvmsg", nil, o.err)
	}
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&o.name.Port))[:])
	return o.n, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(o.name.Addr), port)), o.waited, nil
}

// WriteTo implements [net.PacketConn].
func (d *datagrams) WriteTo(b []byte, to net.Addr) (int, error) {
	peer, ok := to.(*net.UDPAddr)
	if !ok || peer.IP.To4() == nil {
		return d.UDPConn.WriteTo(b, to) // it says what is wrong
	}
	o := d.ops.Get().(*datagram)
	defer d.done(o)
	o.bytes, o.name.Family, o.name.Addr = b, unix.AF_INET, [4]byte(peer.IP.To4())
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&o.name.Port))[:], uint16(peer.Port))
	if err := d.raw.Write(o.write); err != nil {
		return 0, err
	}
	if o.err != 0 {
		return 0, d.failure("write", "sendto", to, o.err)
	}
	return len(b), nil
}

func (d *datagrams) done(o *datagram) {
	o.bytes, o.vector.Base, o.message = nil, nil, unix.Msghdr{}
	d.ops.Put(o)
}

func (d *datagrams) failure(op, call string, to net.Addr, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "udp", Source: d.LocalAddr(), Addr: to, Err: os.NewSyscallError(call, errno)}
}
