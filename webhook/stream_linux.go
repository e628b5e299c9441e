package webhook

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stream reads and writes a TCP connection by calls of the system that never wait. The scheduler is not told of them: each time that
// it is, while the process was idle before, it wakes a thread that watches for calls that take long, and a request would pay more for
// that than for being sent. Where there is nothing to read, or no room, it waits as net does.
type stream struct {
	net.Conn
	raw syscall.RawConn
	ops sync.Pool // of *transfer
}

// transfer is one read or write.
type transfer struct {
	bytes       []byte
	n           int
	err         syscall.Errno
	read, write func(fd uintptr) bool // done; false: it is to wait
}

// withoutWaiting returns what reads and writes a connection, which is itself where it is not one of TCP.
func withoutWaiting(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	s := &stream{Conn: conn, raw: raw}
	s.ops.New = func() any {
		t := &transfer{}
		t.read, t.write = t.receive, t.send
		return t
	}
	return s
}

func (t *transfer) receive(fd uintptr) bool { return t.call(unix.SYS_RECVFROM, fd) }

func (t *transfer) send(fd uintptr) bool { return t.call(unix.SYS_SENDTO, fd) }

func (t *transfer) call(number, fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.bytes))), uintptr(len(t.bytes)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR { // to wait then would be for something new
			t.n, t.err = int(n), errno
			return errno != unix.EAGAIN
		}
	}
}

// Read implements [net.Conn].
func (s *stream) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	t := s.ops.Get().(*transfer)
	defer s.done(t)
	t.bytes = b
	switch err := s.raw.Read(t.read); {
	case err != nil:
		return 0, err
	case t.err != 0:
		return 0, s.failure("read", t.err)
	case t.n == 0:
		return 0, io.EOF
	}
	return t.n, nil
}

// Write implements [net.Conn].
func (s *stream) Write(b []byte) (written int, err error) {
	t := s.ops.Get().(*transfer)
	defer s.done(t)
	for written < len(b) {
		t.bytes = b[written:]
		if err := s.raw.Write(t.write); err != nil {
			return written, err
		}
		if t.err != 0 {
			return written, s.failure("write", t.err)
		}
		written += t.n
	}
	return written, nil
}

func (s *stream) done(t *transfer) {
	t.bytes = nil
	s.ops.Put(t)
}

func (s *stream) failure(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}
