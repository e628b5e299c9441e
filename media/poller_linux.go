package media

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is a goroutine that reads many sockets: an epoll set of its own, which Go's netpoller watches as one file. Soon
// after the last socket it ends, until there is one again.
type poller struct {
	ended sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the poller's fields of each socket
	idle    *sync.Cond // told when a packet was handled and somebody may wait for that
	epoll   *os.File   // nil: the goroutine does not run
	fd      int        // of epoll
	set     syscall.RawConn
	sockets map[int32]*hostSocket // by file descriptor
	rest    *time.Timer           // ends the goroutine if there is no socket then; nil: there was always one
}

func newPoller() *poller {
	p := &poller{sockets: map[int32]*hostSocket{}}
	p.idle = sync.NewCond(&p.mu)
	return p
}

// add has a socket read from now on. It does nothing when it is closed already.
func (p *poller) add(s *hostSocket, h handler) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.closed {
		return nil
	}
	if err := p.start(); err != nil {
		return err
	}
	s.handler = h
	p.sockets[int32(s.fd)] = s
	err := p.control(unix.EPOLL_CTL_ADD, s)
	if err != nil {
		p.forget(s)
	}
	return err
}

// remove returns when the socket is not read any more; false: it was removed before. It must not be called by its handler.
func (p *poller) remove(s *hostSocket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := s.closed
	s.closed = true
	p.forget(s)
	for s.handling {
		p.idle.Wait()
	}
	return !again
}

// start starts the goroutine if it does not run. The lock is held.
func (p *poller) start() error {
	if p.epoll != nil {
		return nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that Go's netpoller takes it
		return errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd))
	}
	epoll := os.NewFile(uintptr(fd), "epoll")
	set, err := epoll.SyscallConn()
	if err != nil {
		return errors.Join(err, epoll.Close())
	}
	p.epoll, p.fd, p.set = epoll, fd, set
	p.ended.Go(func() { p.run(set) })
	return nil
}

// control adds a socket to the set, or deletes it. The lock is held.
func (p *poller) control(what int, s *hostSocket) error {
	err := unix.EpollCtl(p.fd, what, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// forget takes a socket out of the set. The lock is held.
func (p *poller) forget(s *hostSocket) {
	if p.sockets[int32(s.fd)] != s {
		return
	}
	delete(p.sockets, int32(s.fd))
	_ = p.control(unix.EPOLL_CTL_DEL, s) // it fails if it was not added
	switch {
	case len(p.sockets) > 0:
	case p.rest == nil:
		p.rest = time.AfterFunc(lingering, p.stop)
	default:
		p.rest.Reset(lingering)
	}
}

// stop ends the goroutine if there is no socket.
func (p *poller) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoll != nil && len(p.sockets) == 0 {
		_ = p.epoll.Close() // it holds nothing that could be lost
		p.epoll = nil
	}
}

// wait returns when the goroutine has ended, after the last socket.
func (p *poller) wait() {
	p.stop()
	p.ended.Wait()
}

func (p *poller) run(set syscall.RawConn) {
	a := &arrival{}
	var events [128]unix.EpollEvent
	n := 0
	look := func(epoll uintptr) bool { // made once, as a closure is an allocation
		n = ready(epoll, events[:])
		return n > 0
	}
	for set.Read(look) == nil { // until the set is closed
		for _, e := range events[:n] {
			p.packet(set, e.Fd, a)
		}
	}
}

// ready returns how many sockets have something to be read. It never waits, see [hostSocket.write].
func ready(epoll uintptr, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// packet reads and handles one packet of a socket, so that a flood at one leaves the others their time. The lock is held
// while it reads, which never waits, so that nobody closes the socket meanwhile.
func (p *poller) packet(set syscall.RawConn, fd int32, a *arrival) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sockets[fd]
	if s == nil || set != p.set {
		return // removed meanwhile; after the last one it is another goroutine that reads
	}
	switch err := s.read(a); {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
	case err != nil:
		if s.failed++; s.failed < maxReadErrors {
			return // an ICMP message, for instance
		}
		p.forget(s)
		p.unlocked(s, func() { s.handler.lost(err) })
	default:
		s.failed = 0
		a.at = time.Now()
		p.unlocked(s, func() { s.handler.packet(a) })
	}
}

// unlocked handles what came from a socket.
func (p *poller) unlocked(s *hostSocket, handle func()) {
	s.handling = true
	p.mu.Unlock()
	handle()
	p.mu.Lock()
	s.handling = false
	if s.closed {
		p.idle.Broadcast()
	}
}
