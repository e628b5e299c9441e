package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
)

// PortRange is the UDP ports that RTP and RTCP may use, both ends included.
type PortRange struct{ Min, Max int }

// pair is an even port for RTP and the odd one above it for RTCP (RFC 3550 section 11), open.
type pair struct {
	port      int
	rtp, rtcp socket
}

// ports hands out pairs of ports. The pair whose last use is the longest ago comes first, so that a peer who has not
// noticed that its call is over does not talk into the next one; the first round is in random order. Where calls come fast a pair
// has rested for a moment only. That turns none of them away: what comes from elsewhere than a call's peer is not listened to.
type ports struct {
	bind     netip.Addr
	socket   func(at netip.Addr, port int) (socket, error) // opens one; an address that is not valid: at all
	counters Counters

	mu    sync.Mutex
	free  []int // used the longest ago first
	inUse int
}

func newPorts(r PortRange, bind netip.Addr) (*ports, error) {
	if r.Min < 1 || r.Max > 65535 || r.Min > r.Max {
		return nil, fmt.Errorf("RTP ports %d-%d: not a range of UDP ports", r.Min, r.Max)
	}
	p := &ports{bind: bind, counters: noCounters{}}
	for port := r.Min + r.Min%2; port+1 <= r.Max; port += 2 {
		p.free = append(p.free, port)
	}
	if len(p.free) == 0 {
		return nil, fmt.Errorf("RTP ports %d-%d: no pair of an even port and the next", r.Min, r.Max)
	}
	rand.Shuffle(len(p.free), func(i, j int) { p.free[i], p.free[j] = p.free[j], p.free[i] })
	return p, nil
}

// open opens a pair at an address, or where the configuration says. It tries all: another program may hold some of them.
func (p *ports) open(at netip.Addr) (pair, error) {
	p.mu.Lock()
	tries := len(p.free)
	p.mu.Unlock()
	var last error
	for range tries {
		port, ok := p.take()
		if !ok {
			break
		}
		opened, err := p.bindPair(at, port)
		if err == nil {
			return opened, nil
		}
		last = err
		p.giveBack(port)
	}
	if last != nil {
		return pair{}, fmt.Errorf("%w: %w", ErrNoPorts, last)
	}
	return pair{}, ErrNoPorts
}

// openAt opens the pair of this port.
func (p *ports) openAt(at netip.Addr, port int) (pair, error) {
	p.mu.Lock()
	i := slices.Index(p.free, port)
	if i < 0 {
		p.mu.Unlock()
		return pair{}, ErrNoPorts
	}
	p.free = slices.Delete(p.free, i, i+1)
	p.inUse++
	p.counters.PortsInUse(p.inUse)
	p.mu.Unlock()
	opened, err := p.bindPair(at, port)
	if err != nil {
		p.giveBack(port)
		return pair{}, fmt.Errorf("%w: %w", ErrNoPorts, err)
	}
	return opened, nil
}

func (p *ports) bindPair(at netip.Addr, port int) (pair, error) {
	if !at.IsValid() {
		at = p.bind
	}
	rtp, err := p.socket(at, port)
	if err != nil {
		return pair{}, err
	}
	rtcp, err := p.socket(at, port+1)
	if err != nil {
		return pair{}, errors.Join(err, rtp.Close())
	}
	return pair{port: port, rtp: rtp, rtcp: rtcp}, nil
}

func address(at netip.Addr, port int) string {
	host := "" // all addresses, of both families where the host has both
	if at.IsValid() {
		host = at.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// take returns the free port that was used the longest ago.
func (p *ports) take() (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return 0, false
	}
	oldest := p.free[0]
	p.free = p.free[1:]
	p.inUse++
	p.counters.PortsInUse(p.inUse)
	return oldest, true
}

// giveBack takes back a port whose sockets are closed.
func (p *ports) giveBack(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, port)
	p.inUse--
	p.counters.PortsInUse(p.inUse)
}
