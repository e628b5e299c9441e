package media

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// secrets counts what is rejected.
type secrets struct {
	noCounters
	rejected, ok, failed atomic.Int64
}

func (c *secrets) RTPRejected(n int) { c.rejected.Add(int64(n)) }
func (c *secrets) DTLSHandshake(ok bool) {
	if ok {
		c.ok.Add(1)
	} else {
		c.failed.Add(1)
	}
}

// keyOf is a key that is made of one byte.
func keyOf(t *testing.T, s Suite, b byte) Key {
	t.Helper()
	k, ok := NewKey(s, bytes.Repeat([]byte{b}, s.KeyLength()))
	require.True(t, ok)
	return k
}

// far is the peer's side of SRTP, which is another library's context than the session's.
func far(t *testing.T, k Key) *srtp.Context {
	t.Helper()
	key, _ := k.Suite.lengths()
	c, err := srtp.CreateContext(k.Secret()[:key], k.Secret()[key:], k.Suite.profile())
	require.NoError(t, err)
	return c
}

// secured has a bench count, and agrees on keys.
func secured(t *testing.T, x Secure) (*bench, *secrets) {
	t.Helper()
	b, counts := newBench(t), &secrets{}
	b.engine.counters = counts
	p := params()
	p.Secure = x
	b.Configure(p)
	return b, counts
}

func opened(t *testing.T, c *srtp.Context, raw []byte) (p rtp.Packet) {
	t.Helper()
	plain, err := c.DecryptRTP(nil, raw, nil)
	require.NoError(t, err)
	require.NoError(t, p.Unmarshal(plain))
	return p
}

func TestSoundIsProtectedByEverySuite(t *testing.T) {
	for _, suite := range Suites() {
		t.Run(suite.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := keyOf(t, suite, 1), keyOf(t, suite, 2)
				b, counts := secured(t, Secure{Send: ours, Receive: theirs})
				in, out := far(t, ours), far(t, theirs)
				time.Sleep(30 * time.Second)
				for _, d := range b.rtp.waiting() {
					p := opened(t, in, d.b)
					require.Equal(t, bytes.Repeat([]byte{0xFF}, 160), p.Payload, "silence")
					require.NotContains(t, string(d.b), string(p.Payload[:16]), "it is not in the clear")
				}
				reports := b.rtcp.waiting()
				require.NotEmpty(t, reports)
				for _, d := range reports {
					plain, err := in.DecryptRTCP(nil, d.b, nil)
					require.NoError(t, err)
					_, err = rtcp.Unmarshal(plain)
					require.NoError(t, err)
				}

				var heard []int16
				defer b.Listen(func(in, _ []int16) { heard = append(heard, in...) })()
				var keys []byte
				b.OnDigit(func(d Digit) { keys = append(keys, d.Key) })
				phone := newTalker() // its sequence numbers go over 65535 soon (RFC 3711 section 3.3.1)
				var first []byte
				for i := range 50 {
					raw := phone.packet(t)
					sealed, err := out.EncryptRTP(nil, raw, nil)
					require.NoError(t, err)
					if i == 0 {
						first = sealed
					}
					b.rtp.send(sealed, b.local())
					time.Sleep(20 * time.Millisecond)
				}
				h := phone.header
				h.PayloadType = 101
				event, err := (&rtp.Packet{Header: h, Payload: []byte{7, 0x8A, 3, 32}}).Marshal()
				require.NoError(t, err)
				sealed, err := out.EncryptRTP(nil, event, nil)
				require.NoError(t, err)
				b.rtp.send(sealed, b.local())
				time.Sleep(20 * time.Millisecond)
				synctest.Wait()
				assert.Equal(t, "7", string(keys))
				assert.Greater(t, loudness(heard[8*160:40*160]), 5000.0)
				assert.Zero(t, counts.rejected.Load())

				b.rtp.send(first, b.local())
				b.rtp.send(sealed, b.local())
				time.Sleep(20 * time.Millisecond)
				assert.Equal(t, int64(2), counts.rejected.Load(), "played again")
				b.rtp.send(phone.packet(t), b.local())
				wrong, err := far(t, keyOf(t, suite, 3)).EncryptRTP(nil, phone.packet(t), nil)
				require.NoError(t, err)
				b.rtp.send(wrong, b.local())
				b.rtp.send([]byte{0x80, 0}, b.local())
				b.rtcp.send([]byte{0x80, 200, 0, 6, 0, 0, 0, 1}, b.rtcpLocal())
				time.Sleep(20 * time.Millisecond)
				assert.Equal(t, int64(6), counts.rejected.Load(), "in the clear, by another key, cut, RTCP in the clear")
			})
		})
	}
}

// TestSequenceNumbersOfOursGoRoundUnderOneKey holds RFC 3711 section 3.3.1.
func TestSequenceNumbersOfOursGoRoundUnderOneKey(t *testing.T) {
	for _, suite := range Suites() {
		k := keyOf(t, suite, 1)
		var g guard
		out, err := k.context()
		require.NoError(t, err)
		g.use(out, nil)
		in := far(t, k)
		for n := range 3 << 16 {
			raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1, SequenceNumber: uint16(n)}, Payload: []byte{1, 2, 3}}).Marshal()
			require.NoError(t, err)
			sealed := g.seal(raw)
			if uint16(n) < 10 || uint16(n) > 65525 || n%1000 == 0 {
				opened(t, in, sealed)
			}
		}
		roc, _ := in.ROC(1)
		assert.Equal(t, uint32(2), roc)
	}
}

// TestNumbersOfPacketsGoOnWithTheSameKey holds that a re-INVITE that changes nothing begins nothing anew, and one that changes a
// key no more than that.
func TestNumbersOfPacketsGoOnWithTheSameKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := keyOf(t, AES128SHA80, 1), keyOf(t, AES128SHA80, 2)
		b, _ := secured(t, Secure{Send: ours, Receive: theirs})
		in := far(t, ours)
		time.Sleep(5 * time.Millisecond)
		before := b.guards
		for round := range 3 {
			time.Sleep(400 * time.Millisecond)
			packets := b.rtp.waiting()
			require.GreaterOrEqual(t, len(packets), 20)
			for _, d := range packets {
				opened(t, in, d.b)
			}
			p := params()
			p.Secure = Secure{Send: ours, Receive: keyOf(t, AES128SHA80, byte(2+round))}
			b.Configure(p)
			assert.Same(t, before, b.guards)
		}
		p := params()
		p.Secure = Secure{Send: keyOf(t, AES256GCM, 9), Receive: theirs}
		b.Configure(p)
		time.Sleep(400 * time.Millisecond)
		in = far(t, p.Secure.Send)
		for _, d := range b.rtp.waiting() {
			opened(t, in, d.b)
		}
		p.Secure = Secure{}
		b.Configure(p)
		time.Sleep(100 * time.Millisecond)
		packets, _ := received(t, b.rtp)
		assert.Equal(t, bytes.Repeat([]byte{0xFF}, 160), packets[0].Payload, "and in the clear, if that is agreed on")
	})
}

func TestKeysDoNotPrintTheirSecret(t *testing.T) {
	k, ok := NewKey(AES128SHA80, []byte("0123456789abcdef0123456789abcd"))
	require.True(t, ok)
	p := params()
	p.Secure.Send = k
	assert.Equal(t, "AES_CM_128_HMAC_SHA1_80", k.String())
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(format, k), "0123456789", format)
		assert.NotContains(t, fmt.Sprintf(format, p), "0123456789", format)
	}
	_, ok = NewKey(AES128SHA80, []byte("too short"))
	assert.False(t, ok)
}

func BenchmarkSRTP(b *testing.B) {
	for _, suite := range Suites() {
		b.Run(suite.String(), func(b *testing.B) {
			k, _ := NewKey(suite, make([]byte, suite.KeyLength()))
			var g guard
			out, err := k.context()
			require.NoError(b, err)
			g.use(out, nil)
			p := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}, Payload: make([]byte, 160)}
			raw, err := p.Marshal()
			require.NoError(b, err)
			b.ReportAllocs()
			for n := uint16(0); b.Loop(); n++ {
				raw[2], raw[3] = byte(n>>8), byte(n)
				g.seal(raw)
			}
		})
	}
}
