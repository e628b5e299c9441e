package media

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tally counts.
type tally struct {
	noCounters
	received, ignored atomic.Int64
}

func (c *tally) RTPReceived(n int) { c.received.Add(int64(n)) }
func (c *tally) RTPIgnored(n int)  { c.ignored.Add(int64(n)) }

// destination returns where the next packet goes, of these sockets.
func (b *bench) destination(t *testing.T, conns ...*memoryConn) netip.AddrPort {
	t.Helper()
	time.Sleep(3 * time.Millisecond) // off the beat
	for _, c := range conns {
		c.waiting()
	}
	time.Sleep(20 * time.Millisecond)
	var to netip.AddrPort
	for _, c := range conns {
		if packets, _ := received(t, c); len(packets) > 0 {
			assert.False(t, to.IsValid(), "one destination")
			to = c.local
		}
	}
	return to
}

func TestLatching(t *testing.T) {
	const (
		sameNetwork = "192.0.2.200:31000"
		signalling  = "198.51.100.9:31000" // the public address of the phone's NAT
		stranger    = "203.0.113.66:5555"
	)
	for name, tc := range map[string]struct {
		mode  Latching
		time  time.Duration
		from  string
		after time.Duration // since the session description
		want  bool
	}{
		"the signalled network":               {from: sameNetwork, want: true},
		"where the signalling came from":      {from: signalling, want: true},
		"a stranger":                          {from: stranger},
		"a stranger, where any may":           {mode: LatchAny, from: stranger, want: true},
		"where the signalling came from, off": {mode: LatchOff, from: signalling},
		"just in time":                        {from: signalling, after: 5*time.Second - time.Millisecond, want: true},
		"too late":                            {from: signalling, after: 5 * time.Second},
		"any, too late":                       {mode: LatchAny, from: stranger, after: 5 * time.Second},
		"longer":                              {time: time.Minute, from: signalling, after: 59 * time.Second, want: true},
		"other IPv6 network":                  {from: "[2001:db8:0:1::7]:4000"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				counters := &tally{}
				b.engine.counters = counters
				b.engine.latching = newLatching(Config{Latching: tc.mode, LatchingTime: tc.time})
				p := params()
				p.Source = netip.MustParseAddrPort(signalling).Addr()
				b.Configure(p)
				other := b.network.peer(tc.from)
				time.Sleep(tc.after)
				other.send(rtpPacket(t, 0, 7, 0), b.local())
				other.send(rtpPacket(t, 0, 8, 160), b.local())
				want, ignored := phone, int64(2)
				if tc.want {
					want, ignored = other.local, 0
				}
				assert.Equal(t, want, b.destination(t, b.rtp, other))
				assert.Equal(t, ignored, counters.ignored.Load())
			})
		})
	}
}

func TestLatchingIPv6Network(t *testing.T) {
	a := netip.MustParseAddr
	for name, tc := range map[string]struct {
		signalled, from string
		want            bool
	}{
		"same /64":  {"2001:db8::1", "2001:db8::ffff:2", true},
		"other /64": {"2001:db8::1", "2001:db8:0:1::1", false},
		"same /24":  {"192.0.2.1", "192.0.2.255", true},
		"other /24": {"192.0.2.1", "192.0.3.1", false},
		"mixed":     {"192.0.2.1", "2001:db8::1", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := Params{Remote: netip.AddrPortFrom(a(tc.signalled), 4000)}
			assert.Equal(t, tc.want, newLatching(Config{}).permits(a(tc.from), p))
		})
	}
}

// TestAttackerWhoSpraysRTPGetsNothing has strangers send to the port of a call all the time, before its phone does and
// while it does.
func TestAttackerWhoSpraysRTPGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		counters := &tally{}
		b.engine.counters = counters
		nat, attackers := b.network.peer("198.51.100.9:31000"), []*memoryConn{}
		for _, at := range []string{"203.0.113.66:5555", "203.0.113.66:5556", "198.51.100.10:31000"} {
			attackers = append(attackers, b.network.peer(at))
		}
		spray := func(sequence uint16) {
			for _, a := range attackers {
				a.send(rtpPacket(t, 0, sequence, uint32(sequence)*160), b.local())
			}
		}
		p := params()
		p.Source = nat.local.Addr()
		b.Configure(p)
		for i := range uint16(50) {
			spray(i)
			time.Sleep(20 * time.Millisecond)
		}
		assert.Equal(t, phone, b.destination(t, b.rtp, nat), "nobody has been followed")
		for i := range uint16(50) {
			spray(50 + i)
			nat.send(rtpPacket(t, 0, 1000+i, uint32(i)*160), b.local())
			time.Sleep(20 * time.Millisecond)
		}
		assert.Equal(t, nat.local, b.destination(t, b.rtp, nat))
		for _, a := range attackers {
			assert.Empty(t, a.waiting(), "nothing went to %v", a.local)
		}
		assert.EqualValues(t, 300, counters.ignored.Load())
		assert.EqualValues(t, 49, counters.received.Load(), "the phone's, but for the one before it was believed")

		// Another stream from where the phone's came would be the phone's: from elsewhere, even the phone's host, it is not.
		other := b.network.peer("198.51.100.9:31002")
		for i := range uint16(2) {
			other.send(rtpPacket(t, 0, 2000+i, uint32(i)*160), b.local())
		}
		assert.Equal(t, nat.local, b.destination(t, b.rtp, nat, other), "locked")
		assert.EqualValues(t, 302, counters.ignored.Load())
	})
}

func TestRTCPIsLatchedAsRTPIs(t *testing.T) {
	report := func(t *testing.T) []byte {
		raw, err := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: 42, NTPTime: 7 << 16}})
		require.NoError(t, err)
		return raw
	}
	const nat = "198.51.100.9:31000"
	for name, tc := range map[string]struct {
		sound, from string // sound: where the peer's RTP has come from by then; "": none has come
		want        bool
	}{
		"signalled":                        {"", phoneRTCP.String(), true},
		"where the signalling came from":   {"", "198.51.100.9:31001", true},
		"a stranger":                       {"", "203.0.113.66:5555", false},
		"where the sound comes from":       {nat, "198.51.100.9:31001", true},
		"signalled, but the sound is not":  {nat, phoneRTCP.String(), false},
		"a stranger, when there was sound": {nat, "203.0.113.66:5555", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				p := params()
				p.Source = netip.MustParseAddr("198.51.100.9")
				b.Configure(p)
				if tc.sound != "" {
					peer := b.network.peer(tc.sound)
					peer.send(rtpPacket(t, 0, 7, 0), b.local())
					peer.send(rtpPacket(t, 0, 8, 160), b.local())
					synctest.Wait()
				}
				from := b.rtcp
				if tc.from != phoneRTCP.String() {
					from = b.network.peer(tc.from)
				}
				from.send(report(t), netip.AddrPortFrom(b.local().Addr(), b.local().Port()+1))
				synctest.Wait()
				b.mu.Lock()
				defer b.mu.Unlock()
				assert.Equal(t, tc.want, b.control.latched == from.local)
				assert.Equal(t, tc.want, b.report.last != 0)
			})
		})
	}
}
