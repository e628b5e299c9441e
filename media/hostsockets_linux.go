package media

import (
	"net/netip"
	"runtime"
	"sync/atomic"
)

// hostSockets opens sockets of the host. A few goroutines read them all, one for each processor that Go uses.
type hostSockets struct {
	pollers []*poller
	next    atomic.Uint32
}

func newHostSockets() *hostSockets {
	h := &hostSockets{}
	for range runtime.GOMAXPROCS(0) {
		h.pollers = append(h.pollers, newPoller())
	}
	return h
}

// open binds a socket to a port, at all addresses when at is not valid.
func (h *hostSockets) open(at netip.Addr, port int) (socket, error) {
	s, err := newHostSocket(at, port)
	if err != nil {
		return nil, err
	}
	s.poller = h.pollers[h.next.Add(1)/2%uint32(len(h.pollers))] // RTP and RTCP of a session, one after the other, on one
	return s, nil
}

// wait returns when the goroutines have ended, after the last socket.
func (h *hostSockets) wait() {
	for _, p := range h.pollers {
		p.wait()
	}
}
