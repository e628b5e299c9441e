package media

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// openLoopback opens a session on the loopback, and a socket of the peer. Its goroutines do not run.
func openLoopback(t testing.TB) (*Session, *net.UDPConn) {
	t.Helper()
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	e, err := New(Config{Ports: PortRange{41000, 41999}, BindIP: netip.MustParseAddr("127.0.0.1")})
	require.NoError(t, err)
	s, err := e.Open("c-1")
	require.NoError(t, err)
	s.params = Params{PayloadType: 0, EventType: 101, Send: true, Receive: true}
	s.media.signal(peer.LocalAddr().(*net.UDPAddr).AddrPort())
	t.Cleanup(func() {
		assert.NoError(t, e.Close())
		assert.NoError(t, peer.Close())
	})
	return s, peer
}

// sending returns a function that sends one packet of sound from a session.
func sending(s *Session) func() {
	x := newSender(s)
	start := time.Now()
	x.begin(start.Add(time.Hour)) // no report meanwhile
	x.pace.next = start
	p := newPlayout(nil)
	s.setPlayout(p)
	var pcm [160]int16
	return func() {
		put(p, pcm[:])
		x.tick(x.pace.next)
	}
}

// receiving returns a function that receives one packet, which the peer sends.
func receiving(t testing.TB, s *Session, peer *net.UDPConn) func() {
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(s.Port()))
	raw := rtpPacket(t, 0, 1, 0)
	a := &arrival{}
	from := s.rtp.(interface{ read(*arrival) error })
	sequence := uint16(0)
	return func() {
		raw[2], raw[3] = byte(sequence>>8), byte(sequence)
		sequence++
		if _, err := peer.WriteToUDPAddrPort(raw, to); err != nil {
			t.Fatal(err)
		}
		if err := from.read(a); err != nil {
			t.Fatal(err)
		}
		a.at = time.Now()
		s.receiveRTP(a)
	}
}

func TestNoAllocationPerPacket(t *testing.T) {
	s, peer := openLoopback(t)
	assert.Zero(t, testing.AllocsPerRun(1000, sending(s)), "sent")
	assert.Zero(t, testing.AllocsPerRun(1000, receiving(t, s, peer)), "received")
	assert.Equal(t, uint32(1001), s.reception.received)
	s.params.EventType = 0
	assert.Zero(t, testing.AllocsPerRun(1000, receiving(t, s, peer)), "received, and listened to for tones")
}

func BenchmarkRTPOut(b *testing.B) {
	s, _ := openLoopback(b)
	send := sending(s)
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}

func BenchmarkRTPIn(b *testing.B) {
	s, peer := openLoopback(b)
	receive := receiving(b, s, peer)
	b.ReportAllocs()
	for b.Loop() {
		receive()
	}
}

// FuzzRTP throws packets at both sockets of a session: nothing panics, and only RTP of the session is counted.
func FuzzRTP(f *testing.F) {
	f.Add(rtpPacket(f, 0, 1, 0))
	f.Add([]byte{0x80, 101, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0x8A, 0, 160})
	f.Add([]byte{0x90, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xBE, 0xDE, 0, 1, 0x10, 0, 0, 0})
	f.Add([]byte{0xA0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 200})
	sr, err := rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2}}}.Marshal()
	require.NoError(f, err)
	f.Add(sr)
	f.Add([]byte{})
	from := netip.MustParseAddrPort("192.0.2.7:4000")
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Session{engine: &Engine{counters: noCounters{}, log: zap.NewNop()}, params: params()}
		s.media.signal(from)
		var p rtp.Packet
		s.packet(&p, b, from, time.Now())
		s.controlPacket(b, from, time.Now())
		if s.reception.known {
			require.GreaterOrEqual(t, len(b), 12)
			require.Equal(t, byte(2), b[0]>>6)
		}
		s.reception.block()
	})
}
