package media

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stalling is a network whose sockets are not read for a while: what comes waits in them.
type stalling struct {
	*memory
	mu   sync.Mutex
	read chan struct{} // closed: they are
}

type stallingConn struct {
	net.PacketConn
	n *stalling
}

func (n *stalling) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := n.memory.ListenPacket(ctx, network, address)
	return stallingConn{c, n}, err
}

func (n *stalling) stall() (goOn func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	read := make(chan struct{})
	n.read = read
	return func() { close(read) }
}

func (c stallingConn) ReadFrom(b []byte) (int, net.Addr, error) {
	size, from, err := c.PacketConn.ReadFrom(b)
	c.n.mu.Lock()
	read := c.n.read
	c.n.mu.Unlock()
	if read != nil {
		<-read
	}
	return size, from, err
}

// numbered returns a packet whose 20 ms are one level, which tells its number: the levels of μ-law, each side's loudest 100.
func numbered(t *testing.T, n int) []byte {
	t.Helper()
	p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(160 * n), SSRC: 42}}
	p.Payload = slices.Repeat([]byte{levelOf(n)}, 160)
	raw, err := p.Marshal()
	require.NoError(t, err)
	return raw
}

// levelOf is the octet of a packet's level.
func levelOf(n int) byte { return byte(n%100 + 128*(n/100%2)) }

// audible is sound without its silent samples.
func audible(pcm []int16) []int16 {
	return slices.DeleteFunc(slices.Clone(pcm), func(v int16) bool { return v == 0 })
}

// TestWhatCameWhileTheMachineStoodStillIsHeard has neither the clock nor the sockets served for a while, and then either
// first: who listens hears for as long as it was, and what the packets say that had come.
func TestWhatCameWhileTheMachineStoodStillIsHeard(t *testing.T) {
	const all = 150 // packets
	for name, tc := range map[string]struct {
		stall, sooner time.Duration // the sockets are read so much sooner than the clock goes on
		missing       int           // packets at most
	}{
		"not at all":                {0, 0, 0},
		"a hiccup, sockets first":   {100 * time.Millisecond, 2 * time.Millisecond, 0},
		"a hiccup, the clock first": {100 * time.Millisecond, -2 * time.Millisecond, 0},
		"for long, sockets first":   {600 * time.Millisecond, 2 * time.Millisecond, 0},
		"for long, the clock first": {600 * time.Millisecond, -2 * time.Millisecond, 0},
		"a second, sockets first":   {time.Second, 2 * time.Millisecond, 0},
		"a second, the clock first": {time.Second, -2 * time.Millisecond, 0},
		"too long, sockets first":   {2 * time.Second, 2 * time.Millisecond, 60},
		"too long, the clock first": {2 * time.Second, -2 * time.Millisecond, 60},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &stalling{memory: newMemory()}
				e, err := New(Config{Ports: PortRange{20000, 20009}, BindIP: netip.MustParseAddr("192.0.2.1")}, WithListenPacket(network.ListenPacket))
				require.NoError(t, err)
				defer func() { assert.NoError(t, e.Close()) }()
				s, err := e.Open("c-1")
				require.NoError(t, err)
				peer := network.peer(phone.String())
				began := time.Now()
				var in, out []int16
				stalled := tc.stall == 0
				stop := s.Listen(func(i, o []int16) {
					if !stalled && time.Since(began) > 800*time.Millisecond {
						stalled = true
						goOn := network.stall()
						time.AfterFunc(tc.stall-tc.sooner, goOn)
						time.Sleep(tc.stall)
					}
					in, out = append(in, i...), append(out, o...)
				})
				s.Configure(params())
				played := make(chan error, 1)
				go func() { played <- s.Play(t.Context(), &ramp{length: 4 * SampleRate}) }()
				time.Sleep(7 * time.Millisecond) // off the clock's beat
				for n := range all {
					peer.send(numbered(t, n), netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(s.Port())))
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(500 * time.Millisecond)
				synctest.Wait()
				took := time.Since(began)
				stop()
				require.NoError(t, s.Close())
				assert.ErrorIs(t, <-played, ErrClosed)
				assert.InDelta(t, took.Seconds(), float64(len(in))/SampleRate, 0.045, "it is as long as it took")
				require.Len(t, out, len(in))
				said := audible(out)
				ramped := make([]int16, 4*SampleRate)
				for i := range ramped {
					ramped[i] = rampSample(i)
				}
				assert.True(t, slices.Equal(said, audible(ramped)[:len(said)]), "what was said is heard in its order, and all of it")
				heard := map[int16]bool{}
				for _, v := range in {
					heard[v] = true
				}
				var missing []int
				for n := range all {
					if !heard[muLawToLinear(levelOf(n))] {
						missing = append(missing, n)
					}
				}
				assert.LessOrEqual(t, len(missing), tc.missing, "packets %v are missing", missing)
			})
		})
	}
}

// TestWhatIsHeldIsToldAtTheEnd: a session that is closed right after the machine stood still.
func TestWhatIsHeldIsToldAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		heard, stalled := 0, false
		b.Listen(func(in, _ []int16) {
			if heard += len(in); !stalled && heard >= SampleRate {
				stalled = true
				time.Sleep(time.Second)
			}
		})
		b.Configure(params())
		time.Sleep(2*time.Second - 10*time.Millisecond) // the clock has gone on, and not ticked since
		require.NoError(t, b.Close())
		assert.Equal(t, 2*SampleRate, heard)
	})
}

// TestWhatAStarvedPhoneSendsAtOnceIsHeard: a phone that could not send for a second sends fifty packets in one instant, when somebody
// has just begun to listen or has listened for a while. Whoever listens hears all of them.
func TestWhatAStarvedPhoneSendsAtOnceIsHeard(t *testing.T) {
	const all, burst = 190, 50 // packets
	for name, tc := range map[string]struct {
		begin int // packet before which the listening begins
		from  int // first packet of the burst
	}{
		"right after the listening has begun": {50, 50},
		"soon after that":                     {45, 50},
		"while there is nothing":              {80, 50},
		"of one who says nothing before":      {0, 0},
		"in the middle":                       {0, 70},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				var in []int16
				listen := func() { b.Listen(func(i, _ []int16) { in = append(in, i...) }) }
				b.Configure(params())
				time.Sleep(7 * time.Millisecond) // off the clock's beat
				for n := range all {
					if n == tc.begin {
						listen()
						time.Sleep(time.Millisecond)
					}
					switch {
					case n < tc.from, n >= tc.from+burst:
						b.rtp.send(numbered(t, n), b.local())
					case n == tc.from+burst-1:
						for late := range burst {
							b.rtp.send(numbered(t, tc.from+late), b.local())
						}
					}
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(2 * time.Second)
				require.NoError(t, b.Close())
				heard := map[int16]bool{}
				for _, v := range in {
					heard[v] = true
				}
				first := tc.begin
				if tc.begin > tc.from && tc.begin < tc.from+burst {
					first = tc.from
				}
				var missing []int
				for n := first; n < all; n++ {
					if !heard[muLawToLinear(levelOf(n))] {
						missing = append(missing, n)
					}
				}
				assert.Empty(t, missing)
			})
		})
	}
}
