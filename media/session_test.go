package media

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	phone     = netip.MustParseAddrPort("192.0.2.7:4000")
	phoneRTCP = netip.MustParseAddrPort("192.0.2.7:4001")
)

// bench is a session with its peer, in memory.
type bench struct {
	*Session
	engine    *Engine
	network   *memory
	rtp, rtcp *memoryConn // the phone's
}

func newBench(t *testing.T) *bench {
	t.Helper()
	network := newMemory()
	e, err := New(Config{Ports: PortRange{20000, 20009}, BindIP: netip.MustParseAddr("192.0.2.1")}, WithListenPacket(network.ListenPacket))
	require.NoError(t, err)
	s, err := e.Open("c-1")
	require.NoError(t, err)
	b := &bench{Session: s, engine: e, network: network, rtp: network.peer(phone.String()), rtcp: network.peer(phoneRTCP.String())}
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	return b
}

func (b *bench) local() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(b.Port()))
}

func (b *bench) rtcpLocal() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(b.Port()+1))
}

func params() Params {
	return Params{Codec: PCMU, PayloadType: 0, EventType: 101, Remote: phone, Send: true, Receive: true}
}

// received returns the RTP that came to a socket, parsed.
func received(t *testing.T, c *memoryConn) (packets []rtp.Packet, at []time.Time) {
	t.Helper()
	for _, d := range c.waiting() {
		var p rtp.Packet
		require.NoError(t, p.Unmarshal(d.b))
		packets, at = append(packets, p), append(at, d.at)
	}
	return packets, at
}

// put fills samples into a playout.
func put(p *playout, samples []int16) {
	for len(samples) > 0 {
		n := copy(p.room(), samples)
		p.filled(n)
		samples = samples[n:]
	}
}

// ramp is a source whose samples tell their position.
type ramp struct{ at, length int }

func (r *ramp) ReadFrame(dst []int16) (int, error) {
	n := min(len(dst), r.length-r.at)
	for i := range n {
		dst[i] = rampSample(r.at + i)
	}
	r.at += n
	if r.at == r.length {
		return n, io.EOF
	}
	return n, nil
}

func (r *ramp) Close() error { return nil }

func rampSample(i int) int16 { return int16(1000 + i/160*16) } // constant within a frame

func TestPacketEvery20msFromConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(time.Second)
		assert.Empty(t, b.rtp.waiting(), "nothing is sent before Configure")
		start := time.Now()
		b.Configure(params())
		time.Sleep(time.Minute - time.Millisecond)
		packets, at := received(t, b.rtp)
		require.Len(t, packets, 3000)
		for i, p := range packets {
			require.Equal(t, start.Add(time.Duration(i)*20*time.Millisecond), at[i], "packet %d", i)
			require.Equal(t, packets[0].SequenceNumber+uint16(i), p.SequenceNumber)
			require.Equal(t, packets[0].Timestamp+uint32(160*i), p.Timestamp)
			require.Equal(t, packets[0].SSRC, p.SSRC)
			require.Equal(t, i == 0, p.Marker)
			require.Len(t, p.Payload, 160)
		}
		assert.Equal(t, byte(0xFF), packets[0].Payload[0], "silence")
	})
}

func TestPlaySendsAllAndReturnsWithTheLastFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		time.Sleep(5 * time.Millisecond)
		received(t, b.rtp)
		start := time.Now()
		require.NoError(t, b.Play(t.Context(), &ramp{length: 100*160 + 10}))
		assert.Equal(t, 15*time.Millisecond+100*20*time.Millisecond, time.Since(start))
		packets, _ := received(t, b.rtp)
		require.Len(t, packets, 101)
		for i, p := range packets {
			require.Equal(t, linearToMuLaw(rampSample(160*i)), p.Payload[0], "frame %d", i)
		}
		last := packets[100].Payload
		assert.Equal(t, []byte{linearToMuLaw(rampSample(16000)), 0xFF}, last[9:11], "the last frame is filled up with silence")
	})
}

func TestPlayEndsWithTheCauseOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		hangup := errors.New("hangup")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(hangup) })
		start := time.Now()
		assert.Same(t, hangup, b.Play(ctx, Ringing()))
		assert.Equal(t, time.Second, time.Since(start))
		received(t, b.rtp)
		time.Sleep(50 * time.Millisecond)
		packets, _ := received(t, b.rtp)
		assert.Equal(t, byte(0xFF), packets[1].Payload[7], "what was read ahead is not heard")
	})
}

func TestTimeThatWasLostIsInTheTimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.params = params()
		b.media.signal(phone)
		p := newPlayout(nil)
		put(p, make([]int16, ahead))
		b.playout = p
		x, start := newSender(b.Session), time.Now()
		x.begin(start)
		x.tick(start)
		x.tick(start.Add(time.Second))
		packets, _ := received(t, b.rtp)
		require.Len(t, packets, 1+maxBurst, "no burst of fifty")
		assert.Equal(t, packets[0].SequenceNumber+1, packets[1].SequenceNumber)
		assert.Equal(t, packets[0].Timestamp+160*48, packets[1].Timestamp)
		assert.True(t, packets[1].Marker)
		assert.False(t, packets[2].Marker)
		assert.Equal(t, ahead-160*4, p.n, "the sound goes on where it stood")
	})
}

// stuck never has a sample, until it is closed.
type stuck struct{ closed chan struct{} }

func (s *stuck) ReadFrame([]int16) (int, error) {
	<-s.closed
	return 0, io.ErrClosedPipe
}

func (s *stuck) Close() error {
	close(s.closed)
	return nil
}

func TestPlayIsNotHeldByASourceThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, b.Play(ctx, &stuck{make(chan struct{})}), context.DeadlineExceeded)
		packets, _ := received(t, b.rtp)
		assert.GreaterOrEqual(t, len(packets), 50, "silence goes out while it waits")
	})
}

func TestPlayReturnsTheErrorOfItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		broken := errors.New("broken")
		assert.Same(t, broken, b.Play(t.Context(), failing{broken}))
		assert.ErrorIs(t, b.Play(t.Context(), failing{nil}), io.ErrNoProgress)
	})
}

type failing struct{ err error }

func (f failing) ReadFrame([]int16) (int, error) { return 0, f.err }
func (f failing) Close() error                   { return nil }

func TestPlaysWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		time.Sleep(5 * time.Millisecond)
		start := time.Now()
		first := make(chan error)
		go func() { first <- b.Play(t.Context(), &ramp{length: 1600}) }()
		synctest.Wait()
		require.NoError(t, b.Play(t.Context(), &ramp{length: 1600}))
		require.NoError(t, <-first)
		assert.Equal(t, 20*20*time.Millisecond-5*time.Millisecond, time.Since(start))
	})
}

func TestPlayWaitsForConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		done := make(chan error)
		go func() { done <- b.Play(t.Context(), &ramp{length: 160}) }()
		time.Sleep(time.Second)
		b.Configure(params())
		require.NoError(t, <-done)
	})
}

func TestCloseEndsPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		done := make(chan error)
		go func() { done <- b.Play(t.Context(), Ringing()) }()
		time.Sleep(time.Second)
		require.NoError(t, b.Close())
		assert.ErrorIs(t, <-done, ErrClosed)
		assert.ErrorIs(t, b.Play(t.Context(), Ringing()), ErrClosed)
		require.NoError(t, b.Close(), "it may be closed twice")
		b.Configure(params())
	})
}

func TestHoldKeepsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		time.Sleep(90 * time.Millisecond)
		before, _ := received(t, b.rtp)
		p := params()
		p.Send = false
		b.Configure(p)
		start := time.Now()
		require.NoError(t, b.Play(t.Context(), &ramp{length: 8000}))
		assert.Equal(t, time.Second-10*time.Millisecond, time.Since(start), "the source is consumed, unheard")
		assert.Empty(t, b.rtp.waiting())
		b.Configure(params())
		time.Sleep(50 * time.Millisecond)
		after, _ := received(t, b.rtp)
		last := before[len(before)-1]
		assert.True(t, after[0].Marker, "a talkspurt begins")
		assert.Equal(t, last.SequenceNumber+1, after[0].SequenceNumber)
		assert.Equal(t, last.Timestamp+160*51, after[0].Timestamp, "the time on hold has passed")
		assert.False(t, after[1].Marker)
	})
}

func TestCodecChangesInMidCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		time.Sleep(30 * time.Millisecond)
		p := params()
		p.Codec, p.PayloadType, p.PTime = PCMA, 8, 30*time.Millisecond
		b.Configure(p)
		time.Sleep(100 * time.Millisecond)
		packets, _ := received(t, b.rtp)
		assert.Equal(t, uint8(0), packets[1].PayloadType)
		assert.Equal(t, uint8(8), packets[2].PayloadType)
		assert.Equal(t, byte(0xD5), packets[2].Payload[0], "silence in A-law")
		assert.Len(t, packets[2].Payload, 240)
		assert.Equal(t, packets[1].Timestamp+160, packets[2].Timestamp)
		assert.Equal(t, packets[2].Timestamp+240, packets[3].Timestamp)
		assert.False(t, packets[2].Marker)
	})
}

func TestNothingIsSentToAnAddressOfHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		p := params()
		p.Remote = netip.MustParseAddrPort("0.0.0.0:4000")
		b.Configure(p)
		time.Sleep(100 * time.Millisecond)
		assert.Empty(t, b.rtp.waiting())
	})
}
