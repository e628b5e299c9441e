package media

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rtpPacket returns a packet as a phone sends it.
func rtpPacket(t testing.TB, payloadType uint8, sequence uint16, timestamp uint32) []byte {
	t.Helper()
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: payloadType, SequenceNumber: sequence, Timestamp: timestamp, SSRC: 42}, Payload: make([]byte, 160)}
	raw, err := p.Marshal()
	require.NoError(t, err)
	return raw
}

func TestSymmetricRTP(t *testing.T) {
	nat := netip.MustParseAddrPort("198.51.100.9:31000")
	other := netip.MustParseAddrPort("203.0.113.66:5555")
	for name, tc := range map[string]struct {
		send   func(t *testing.T, b *bench, nat, other *memoryConn)
		change func(*Params)
		want   netip.AddrPort
	}{
		"follows two packets in sequence": {
			send: func(t *testing.T, b *bench, nat, _ *memoryConn) {
				nat.send(rtpPacket(t, 0, 7, 0), b.local())
				nat.send(rtpPacket(t, 0, 8, 160), b.local())
			},
			want: nat,
		},
		"not a single packet": {
			send: func(t *testing.T, b *bench, nat, _ *memoryConn) { nat.send(rtpPacket(t, 0, 7, 0), b.local()) },
			want: phone,
		},
		"not another payload type": {
			send: func(t *testing.T, b *bench, nat, _ *memoryConn) {
				nat.send(rtpPacket(t, 18, 7, 0), b.local())
				nat.send(rtpPacket(t, 18, 8, 0), b.local())
			},
			want: phone,
		},
		"events count": {
			send: func(t *testing.T, b *bench, nat, _ *memoryConn) {
				nat.send(rtpPacket(t, 101, 7, 0), b.local())
				nat.send(rtpPacket(t, 101, 8, 0), b.local())
			},
			want: nat,
		},
		"the first wins": {
			send: func(t *testing.T, b *bench, nat, other *memoryConn) {
				for i := range uint16(2) {
					nat.send(rtpPacket(t, 0, 7+i, 0), b.local())
				}
				synctest.Wait()
				for i := range uint16(100) {
					other.send(rtpPacket(t, 0, 9+i, 0), b.local())
				}
			},
			want: nat,
		},
		"one packet from the signalled address is enough": {
			send: func(t *testing.T, b *bench, nat, _ *memoryConn) {
				b.rtp.send(rtpPacket(t, 0, 1, 0), b.local())
				synctest.Wait()
				nat.send(rtpPacket(t, 0, 7, 0), b.local())
				nat.send(rtpPacket(t, 0, 8, 0), b.local())
			},
			want: phone,
		},
		"a new remote address starts over": {
			send: func(t *testing.T, b *bench, nat, _ *memoryConn) {
				nat.send(rtpPacket(t, 0, 7, 0), b.local())
				nat.send(rtpPacket(t, 0, 8, 0), b.local())
			},
			change: func(p *Params) { p.Remote = other },
			want:   other,
		},
		"the same remote address does not": {
			send: func(t *testing.T, b *bench, nat, _ *memoryConn) {
				nat.send(rtpPacket(t, 0, 7, 0), b.local())
				nat.send(rtpPacket(t, 0, 8, 0), b.local())
			},
			change: func(p *Params) { p.Codec, p.PayloadType = PCMA, 8 },
			want:   nat,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.engine.latching.mode = LatchAny
				b.Configure(params())
				natConn, otherConn := b.network.peer(nat.String()), b.network.peer(other.String())
				tc.send(t, b, natConn, otherConn)
				synctest.Wait()
				if tc.change != nil {
					p := params()
					tc.change(&p)
					b.Configure(p)
				}
				time.Sleep(time.Millisecond)
				for _, c := range []*memoryConn{b.rtp, natConn, otherConn} {
					c.waiting()
				}
				time.Sleep(20 * time.Millisecond)
				for _, c := range []*memoryConn{b.rtp, natConn, otherConn} {
					packets, _ := received(t, c)
					assert.Equal(t, c.local == tc.want, len(packets) == 1, "packets to %v", c.local)
				}
			})
		})
	}
}
