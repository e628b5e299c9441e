package scenario

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestG711(t *testing.T) {
	t.Parallel()
	// Values of ITU-T G.711, tables 1 and 2.
	for b, want := range map[byte]int16{0xff: 0, 0x7f: 0, 0x80: 32124, 0x00: -32124, 0xf0: 120, 0xfe: 8} {
		assert.Equal(t, want, decodeULaw(b), "mu-law %#x", b)
	}
	for b, want := range map[byte]int16{0xd5: 8, 0x55: -8, 0xaa: 32256, 0x2a: -32256, 0xd4: 24} {
		assert.Equal(t, want, decodeALaw(b), "A-law %#x", b)
	}
	for b := range 256 {
		if b != 0x7f { // the negative zero
			assert.Equal(t, byte(b), encodeULaw(decodeULaw(byte(b))))
		}
	}
	for _, v := range []int16{math.MinInt16, -1, 0, 1, 100, math.MaxInt16} {
		assert.InDelta(t, float64(v), float64(decodeULaw(encodeULaw(v))), 8+math.Abs(float64(v))/16)
	}
}

func TestSessionDescription(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort("192.0.2.1:4000")
	s, ok := ReadSession(describe([]string{"PCMA", "PCMU"}, true, at, SendOnly, 3))
	require.True(t, ok)
	assert.Equal(t, Session{
		Media: at, Payloads: []int{8, 0, 101}, Direction: SendOnly,
		Codecs: map[int]string{8: "PCMA/8000", 0: "PCMU/8000", 101: "telephone-event/8000"},
	}, s)
	s, ok = ReadSession(describe([]string{"PCMU"}, true, netip.MustParseAddrPort("[2001:db8::1]:4000"), Inactive, 1))
	require.True(t, ok)
	assert.Equal(t, "[2001:db8::1]:4000", s.Media.String())
	s, ok = ReadSession([]byte("v=0\nc=IN IP4 192.0.2.1\na=recvonly\nm=video 1 RTP/AVP 99\na=sendonly\nm=audio 0 RTP/AVP 0\nc=IN IP4 192.0.2.9\n"))
	require.True(t, ok)
	assert.True(t, s.Refused)
	assert.Equal(t, RecvOnly, s.Direction, "of the session; the other stream's does not count")
	assert.Equal(t, "192.0.2.9", s.Media.Addr().String())
	for _, body := range []string{"", "v=0\nm=audio 5 RTP/AVP 0\n", "c=IN IP4 192.0.2.1\nm=audio x RTP/AVP 0\n", "c=IN IP4 1.2.3.4\nm=video 1 RTP/AVP 0\n"} {
		_, ok := ReadSession([]byte(body))
		assert.False(t, ok, body)
	}
}

func TestReadPacket(t *testing.T) {
	t.Parallel()
	head := []byte{0x80, 0x88, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4}
	p, ok := readPacket(append(head, 5, 6))
	require.True(t, ok)
	assert.Equal(t, Packet{PayloadType: 8, Marker: true, Sequence: 7, Timestamp: 9, SSRC: 0x01020304, Payload: []byte{5, 6}}, p)
	full := append([]byte(nil), head...)
	full[0] |= 0x20 | 0x10 | 1
	p, ok = readPacket(append(full, 9, 9, 9, 9 /* source */, 0, 0, 0, 1, 8, 8, 8, 8 /* extension */, 5, 6, 0, 2 /* padding */))
	require.True(t, ok)
	assert.Equal(t, []byte{5, 6}, p.Payload)
	for _, b := range [][]byte{nil, head[:11], {0x40, 11: 0}, {0x8f, 11: 0}, {0xa0, 11: 200}} {
		_, ok := readPacket(b)
		assert.False(t, ok, "%v", b)
	}
}

func TestPhonesHearEachOther(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *Script, transport string) {
		_, _, call, leg := pair(s, transport)
		call.SendTone(440, 200*time.Millisecond)
		call.SendTone(0, 100*time.Millisecond)
		heard := leg.Listen(func(s Sound) bool { return s.Length() >= 300*time.Millisecond })
		assert.Equal(t, 300*time.Millisecond, heard.Length())
		assert.Equal(t, 200*time.Millisecond, heard.Loud())
		assert.Greater(t, heard.Tone(440), .95)
		assert.Less(t, heard.Tone(1000), .05)
		assert.GreaterOrEqual(t, heard.Gap(), frameLength/2)
		assert.Less(t, heard.Since(heard.Frames[5].Time).Length(), heard.Length())
		assert.Empty(t, heard.Since(time.Now().Add(time.Hour)).Frames)
		packets := leg.Packets()
		assert.Equal(t, call.media.local(), packets[0].From)
		for i, p := range packets {
			assert.Equal(t, uint16(i), p.Sequence)
			assert.Equal(t, uint32(i*frameSamples), p.Timestamp)
		}
	})
}

func TestSoundOfNothing(t *testing.T) {
	t.Parallel()
	assert.Zero(t, Sound{}.Tone(440))
	assert.Zero(t, Frame{}.Level())
	s := soundOf([]Packet{{PayloadType: 101, Payload: []byte{1}}, {PayloadType: 8, Payload: []byte{0xd5, 0xd5}}})
	require.Len(t, s.Frames, 1, "telephone events are no sound")
	assert.Zero(t, s.Loud())
}
