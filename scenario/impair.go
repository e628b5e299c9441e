package scenario

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// impaired is a network whose UDP packets are lost, repeated, reordered or delayed as the rules of a scenario say. It is
// the phone's: what the phone sends is impaired before it leaves, what it gets when it has arrived.
type impaired struct {
	Network
	needed bool
	gone   atomic.Bool // nothing passes any more

	mu    sync.Mutex
	rules []*impairmentRule
	peer  netip.AddrPort // whose SIP messages are meant; not valid: anybody's
}

type impairmentRule struct {
	impairment
	matched, done int
	chance        *rand.Rand
}

// defaultDelay is by how much a packet is late where a scenario does not say.
const defaultDelay = 100 * time.Millisecond

func impairing(n Network, rules []impairment) *impaired {
	out := &impaired{Network: n, needed: len(rules) > 0}
	for i, r := range rules {
		if r.By == 0 {
			r.By = defaultDelay
		}
		if r.Count == 0 && !r.pattern().rtp {
			r.Count = 1
		}
		out.rules = append(out.rules, &impairmentRule{impairment: r, chance: rand.New(rand.NewPCG(uint64(r.Seed)+1, uint64(i)))})
	}
	return out
}

// watch names the node: SIP messages to and from others pass.
func (n *impaired) watch(peer netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peer = peer
}

// ListenPacket implements [Network].
func (n *impaired) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	conn, err := n.Network.ListenPacket(ctx, network, address)
	if err != nil || !n.needed {
		return conn, err
	}
	c := &impairedConn{PacketConn: conn, network: n, queue: make(chan Datagram, packetQueue), closed: make(chan struct{})}
	c.running.Go(c.read)
	return c, nil
}

// fate says what becomes of a packet.
func (n *impaired) fate(data []byte, fromPhone bool, peer netip.AddrPort) Fate {
	if n.gone.Load() {
		return Fate{Lost: true}
	}
	rtp := len(data) > 0 && data[0]>>6 == 2
	var m *Message
	if !rtp {
		var err error
		if m, err = ParseMessage(data); err != nil {
			return Fate{}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !rtp && n.peer.IsValid() && peer != n.peer {
		return Fate{}
	}
	var f Fate
	for _, r := range n.rules {
		p := r.pattern()
		if r.From == "phone" && !fromPhone || r.From == "node" && fromPhone || p.rtp != rtp || !rtp && !p.matches(m) {
			continue
		}
		r.matched++
		if r.matched <= r.Skip || r.Count > 0 && r.done >= r.Count || r.Percent > 0 && r.chance.IntN(100) >= r.Percent {
			continue
		}
		r.done++
		switch {
		case r.Lose.text != "":
			f.Lost = true
		case r.Duplicate.text != "":
			f.Twice = true
		case r.Reorder.text != "":
			f.AfterNext = true
		default:
			f.Delay = r.By
		}
	}
	return f
}

// impairedConn is a socket of an impaired network.
type impairedConn struct {
	net.PacketConn
	network *impaired
	queue   chan Datagram // received
	closed  chan struct{}
	once    sync.Once
	running sync.WaitGroup

	mu   sync.Mutex
	held []func() // packets to send after the next one
}

// read receives what comes in, and puts it into the queue when it is its time.
func (c *impairedConn) read() {
	buf := make([]byte, maxDatagram)
	var held []Datagram
	for {
		n, from, err := c.PacketConn.ReadFrom(buf)
		if err != nil {
			select {
			case <-c.closed:
				return
			default:
				continue // such as a refusal of something sent before
			}
		}
		udp, ok := from.(*net.UDPAddr)
		if !ok {
			continue
		}
		d := Datagram{From: unmapped(udp.AddrPort()), Payload: slices.Clone(buf[:n])}
		f := c.network.fate(d.Payload, false, d.From)
		if f.AfterNext && !f.Lost {
			held = append(held, d)
			continue
		}
		c.pass(f, func() { c.put(d) })
		for _, d := range held {
			c.put(d)
		}
		held = nil
	}
}

// pass has a packet go on by its fate.
func (c *impairedConn) pass(f Fate, on func()) {
	if f.Lost {
		return
	}
	if f.Delay > 0 {
		time.AfterFunc(f.Delay, on)
		return
	}
	on()
	if f.Twice {
		on()
	}
}

func (c *impairedConn) put(d Datagram) {
	select {
	case c.queue <- d:
	case <-c.closed:
	default: // as a socket does whose buffer is full
	}
}

// ReadFrom implements [net.PacketConn].
func (c *impairedConn) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case d := <-c.queue:
		return copy(p, d.Payload), net.UDPAddrFromAddrPort(d.From), nil
	case <-c.closed:
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Source: c.LocalAddr(), Err: net.ErrClosed}
	}
}

// WriteTo implements [net.PacketConn].
func (c *impairedConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return c.PacketConn.WriteTo(p, addr)
	}
	f := c.network.fate(p, true, unmapped(udp.AddrPort()))
	data := slices.Clone(p)
	send := func() { _, _ = c.PacketConn.WriteTo(data, addr) } // it may arrive or not
	c.mu.Lock()
	if f.AfterNext && !f.Lost {
		c.held = append(c.held, send)
		c.mu.Unlock()
		return len(p), nil
	}
	held := c.held
	c.held = nil
	c.mu.Unlock()
	c.pass(f, send)
	for _, late := range held {
		late()
	}
	return len(p), nil
}

// Close implements [net.PacketConn].
func (c *impairedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		err = c.PacketConn.Close()
	})
	c.running.Wait()
	return err
}
