package scenario

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	sampleRate   = 8000
	frameLength  = 20 * time.Millisecond
	frameSamples = sampleRate / 50
	rtpHeader    = 12
	// maxPackets is how many packets of a call are kept: an hour of sound.
	maxPackets = 180_000
)

// Packet is an RTP packet that a phone has received (RFC 3550 section 5.1).
type Packet struct {
	Time        time.Time
	From        netip.AddrPort
	Port        uint16 // of the phone, where it arrived
	PayloadType uint8
	Marker      bool
	Sequence    uint16
	Timestamp   uint32
	SSRC        uint32
	Payload     []byte
}

func readPacket(b []byte) (Packet, bool) {
	if len(b) < rtpHeader || b[0]>>6 != 2 {
		return Packet{}, false
	}
	at := rtpHeader + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 && len(b) >= at+4 { // a header extension
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	end := len(b)
	if b[0]&0x20 != 0 { // padding
		end -= int(b[len(b)-1])
	}
	if at > end {
		return Packet{}, false
	}
	return Packet{
		PayloadType: b[1] & 0x7f, Marker: b[1]&0x80 != 0, Sequence: binary.BigEndian.Uint16(b[2:]),
		Timestamp: binary.BigEndian.Uint32(b[4:]), SSRC: binary.BigEndian.Uint32(b[8:]),
		Payload: append([]byte(nil), b[at:end]...),
	}, true
}

// media are the RTP sockets of a call. What comes in at the newest is recorded, and what goes out leaves from it: who has
// moved hears nothing at the old address any more. RTCP is received and thrown away.
type media struct {
	network Network
	host    netip.Addr
	running sync.WaitGroup

	mu      sync.Mutex
	conns   []net.PacketConn // RTP and RTCP in turn
	packets []Packet
	changed chan struct{}
	remote  netip.AddrPort
	// Of what is sent: the node takes whatever begins where it ended before.
	sequence  uint16
	timestamp uint32
}

func newMedia(n Network, host netip.Addr) *media {
	return &media{network: n, host: host, changed: make(chan struct{})}
}

var errNoPair = errors.New("no pair of free ports for RTP and RTCP")

// open opens a new pair of sockets, an even port and the next (RFC 3550 section 11).
func (m *media) open(ctx context.Context) error {
	for range 100 {
		rtp, err := m.network.ListenPacket(ctx, "udp", netip.AddrPortFrom(m.host, 0).String())
		if err != nil {
			return fmt.Errorf("RTP: %w", err)
		}
		port := portOf(rtp)
		if port%2 == 0 {
			rtcp, err := m.network.ListenPacket(ctx, "udp", netip.AddrPortFrom(m.host, port+1).String())
			if err == nil {
				m.mu.Lock()
				m.conns = append(m.conns, rtp, rtcp)
				m.mu.Unlock()
				m.running.Go(func() { m.read(rtp, true) })
				m.running.Go(func() { m.read(rtcp, false) })
				return nil
			}
		}
		if err := rtp.Close(); err != nil {
			return fmt.Errorf("RTP: %w", err)
		}
	}
	return errNoPair
}

func portOf(c net.PacketConn) uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// local is the address for a session description; it is not valid before open.
func (m *media) local() netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.conns) == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(m.host, portOf(m.conns[len(m.conns)-2]))
}

func (m *media) sendTo(remote netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remote = remote
}

func (m *media) read(conn net.PacketConn, keep bool) {
	port := portOf(conn)
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p, ok := readPacket(buf[:n])
		if err != nil || !keep || !ok {
			continue
		}
		p.Time, p.From, p.Port = time.Now(), unmapped(from.(*net.UDPAddr).AddrPort()), port
		m.mu.Lock()
		if newest := len(m.conns) > 0 && m.conns[len(m.conns)-2] == conn; newest && len(m.packets) < maxPackets {
			m.packets = append(m.packets, p)
			close(m.changed)
			m.changed = make(chan struct{})
		}
		m.mu.Unlock()
	}
}

// send sends one RTP packet of sound with the next number.
func (m *media) send(payloadType uint8, payload []byte) error {
	return m.packet(payloadType, payload, len(payload))
}

// packet sends one RTP packet with the next number. samples is by how much the time of the one after it is later.
func (m *media) packet(payloadType uint8, payload []byte, samples int) error {
	m.mu.Lock()
	if len(m.conns) == 0 || !m.remote.IsValid() {
		m.mu.Unlock()
		return errors.New("no media agreed")
	}
	conn, to := m.conns[len(m.conns)-2], m.remote
	b := make([]byte, rtpHeader, rtpHeader+len(payload))
	b[0], b[1] = 0x80, payloadType
	binary.BigEndian.PutUint16(b[2:], m.sequence)
	binary.BigEndian.PutUint32(b[4:], m.timestamp)
	binary.BigEndian.PutUint32(b[8:], 0x70686f6e) // "phon"
	m.sequence++
	m.timestamp += uint32(samples)
	m.mu.Unlock()
	_, err := conn.WriteTo(append(b, payload...), net.UDPAddrFromAddrPort(to))
	return err
}

func (m *media) close() error {
	m.mu.Lock()
	conns := m.conns
	m.conns = nil
	m.mu.Unlock()
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	m.running.Wait()
	return errors.Join(errs...)
}

// Packets returns the RTP packets received so far.
func (c *Call) Packets() []Packet {
	c.media.mu.Lock()
	defer c.media.mu.Unlock()
	return append([]Packet(nil), c.media.packets...)
}

// Heard returns the sound received so far.
func (c *Call) Heard() Sound { return soundOf(c.Packets()) }

// Listen waits until a sound that was received satisfies enough. The sound so far is returned in any case.
func (c *Call) Listen(ctx context.Context, enough func(Sound) bool) (Sound, error) {
	for {
		c.media.mu.Lock()
		changed := c.media.changed
		c.media.mu.Unlock()
		heard := c.Heard()
		if enough(heard) {
			return heard, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return heard, fmt.Errorf("heard %v of sound, %v of it loud: %w", heard.Length(), heard.Loud(), context.Cause(ctx))
		}
	}
}
