package media

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eventPacket is a packet of an event as a phone sends it.
type eventPacket struct {
	sequence  uint16
	timestamp uint32
	code      byte
	duration  uint16
	end       bool
	marker    bool
	ssrc      uint32
}

func (p eventPacket) header() *rtp.Header {
	return &rtp.Header{Version: 2, PayloadType: 101, SequenceNumber: p.sequence, Timestamp: p.timestamp, Marker: p.marker, SSRC: p.ssrc}
}

func (p eventPacket) payload() []byte {
	flags := byte(10)
	if p.end {
		flags |= 0x80
	}
	return binary.BigEndian.AppendUint16([]byte{p.code, flags}, p.duration)
}

// pressed are the packets of keys that are pressed one after the other, each for so many frames of 20 ms and with as
// long a pause behind it: one every 20 ms, the last three times. What is longer than an event can say goes on in another.
func pressed(keys string, frames int) (packets []eventPacket) {
	sequence, timestamp := uint16(65530), uint32(1<<32-500)
	for _, key := range keys {
		code := byte(slices.Index([]byte(Digits), byte(key)))
		began, told := timestamp, 0
		for frame := 1; frame <= frames; frame++ {
			told += 160
			if told > segmentLength {
				last := &packets[len(packets)-1]
				last.duration = segmentLength
				began, told = began+segmentLength, told-segmentLength
			}
			p := eventPacket{sequence, began, code, uint16(told), frame == frames, frame == 1, 7}
			packets = append(packets, p)
			sequence++
		}
		for range 2 {
			p := packets[len(packets)-1]
			p.sequence = sequence
			packets = append(packets, p)
			sequence++
		}
		timestamp += uint32(2 * frames * 160)
	}
	return packets
}

func TestAKeyCountsOnceWhateverBecomesOfItsPackets(t *testing.T) {
	t.Parallel()
	without := func(gone func(i int, p eventPacket) bool) func([]eventPacket) []eventPacket {
		return func(all []eventPacket) (left []eventPacket) {
			for i, p := range all {
				if !gone(i, p) {
					left = append(left, p)
				}
			}
			return left
		}
	}
	for name, tc := range map[string]struct {
		keys   string
		frames int // of each key; 0: 5
		way    func([]eventPacket) []eventPacket
		want   string // "": keys
	}{
		"as sent":                      {keys: Digits},
		"the same key again and again": {keys: "1111"},
		"40 ms tones":                  {keys: "12##3", frames: 2},
		"tones in one packet":          {keys: "12##3", frames: 1},
		"a long tone":                  {keys: "5", frames: 400},
		"longer than an event can be":  {keys: "55", frames: 50 * 30},
		"every packet twice":           {keys: "122", way: func(all []eventPacket) (twice []eventPacket) { return twicePackets(all) }},
		"no end packet arrives":        {keys: "122", way: without(func(_ int, p eventPacket) bool { return p.end })},
		"only end packets arrive":      {keys: "122", way: without(func(_ int, p eventPacket) bool { return !p.end })},
		"only the last one arrives":    {keys: "122", way: without(func(i int, _ eventPacket) bool { return i%7 != 6 })},
		"only the first one arrives":   {keys: "122", way: without(func(i int, _ eventPacket) bool { return i%7 != 0 })},
		"every other one is lost":      {keys: "1223", way: without(func(i int, _ eventPacket) bool { return i%2 == 1 })},
		"a segment begins unheard":     {keys: "55", frames: 500, way: without(func(i int, _ eventPacket) bool { return i > 405 && i < 415 })},
		"neighbours change places":     {keys: "122334", way: swapped},
		"no marker":                    {keys: "122", way: each(func(p *eventPacket) { p.marker = false })},
		"no marker, and no end arrives": {keys: "1223", way: func(all []eventPacket) []eventPacket {
			return each(func(p *eventPacket) { p.marker = false })(without(func(_ int, p eventPacket) bool { return p.end })(all))
		}},
		"another source": {keys: "11", want: "111", way: func(all []eventPacket) []eventPacket {
			return append(all, eventPacket{sequence: 1, timestamp: all[0].timestamp, code: 1, duration: 160, ssrc: 8})
		}},
		"flash and the tones of a fax": {keys: "12", want: "2", way: each(func(p *eventPacket) {
			if p.code == 1 {
				p.code = 16
			}
		})},
		"sequence and clock begin anew": {keys: "11", want: "1111", way: func(all []eventPacket) []eventPacket {
			return append(slices.Clone(all), each(func(p *eventPacket) { p.sequence += 20000; p.timestamp -= 1 << 20 })(all)...)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frames := tc.frames
			if frames == 0 {
				frames = 5
			}
			packets := pressed(tc.keys, frames)
			if tc.way != nil {
				packets = tc.way(packets)
			}
			want := tc.want
			if want == "" {
				want = tc.keys
			}
			var e events
			var got []byte
			for _, p := range packets {
				if key, begins := e.packet(PCMU, p.header(), p.payload()); begins {
					got = append(got, key)
				}
			}
			assert.Equal(t, want, string(got))
		})
	}
}

func twicePackets(all []eventPacket) (twice []eventPacket) {
	for _, p := range all {
		twice = append(twice, p, p)
	}
	return twice
}

func swapped(all []eventPacket) []eventPacket {
	for i := 1; i+1 < len(all); i += 2 {
		all[i], all[i+1] = all[i+1], all[i]
	}
	return all
}

func each(change func(*eventPacket)) func([]eventPacket) []eventPacket {
	return func(all []eventPacket) []eventPacket {
		all = slices.Clone(all)
		for i := range all {
			change(&all[i])
		}
		return all
	}
}

// FuzzDTMF reads packets of events, eight bytes each: sequence number, timestamp, event. Nothing panics, every digit is
// a key, and no packet repeated makes another digit.
func FuzzDTMF(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 5, 10, 0, 160, 0, 2, 0, 0, 5, 0x8A, 0, 240}, false)
	f.Add([]byte{0, 1, 0, 0, 5, 10, 255, 255, 0, 2, 255, 255, 5, 10, 0, 160}, true)
	f.Add([]byte{255, 255, 0, 0, 11, 10, 0, 160, 0, 0, 0, 1, 16, 10, 0, 160}, true)
	f.Fuzz(func(t *testing.T, b []byte, marker bool) {
		var e events
		for packet := range slices.Chunk(b, 8) {
			if len(packet) < 4 {
				_, begins := e.packet(PCMU, &rtp.Header{}, packet)
				require.False(t, begins)
				return
			}
			h := rtp.Header{SequenceNumber: binary.BigEndian.Uint16(packet), Timestamp: uint32(binary.BigEndian.Uint16(packet[2:])), Marker: marker}
			if key, begins := e.packet(PCMU, &h, packet[4:]); begins {
				require.Contains(t, Digits, string(key))
			}
			_, again := e.packet(PCMU, &h, packet[4:])
			require.False(t, again)
		}
	})
}
