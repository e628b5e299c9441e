package jitter

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSoundOnASteadyNetworkIsHeardAsItIs(t *testing.T) {
	heard, told, _ := hear(speaker(20, steady), 20)
	begins := silent(heard[1:]) // tone begins with a zero
	assert.InDelta(t, (60-7)*8, begins, 8, "the first packet is held for 60 ms")
	for i, v := range heard[begins:2400] {
		require.Equal(t, tone(i), v, "%d", i)
	}
	assert.Equal(t, tally{}, told)
}

func TestWhatTheNetworkDoesIsEvenedOut(t *testing.T) {
	late := func(which map[int]time.Duration) func(int) time.Duration {
		return func(i int) time.Duration { return which[i] }
	}
	for name, tc := range map[string]struct {
		delay           func(int) time.Duration
		late, concealed int
	}{
		"late, but in time":      {late(map[int]time.Duration{10: 45 * time.Millisecond}), 0, 0},
		"in another order":       {late(map[int]time.Duration{10: 30 * time.Millisecond, 11: 5 * time.Millisecond}), 0, 0},
		"lost":                   {late(map[int]time.Duration{10: lost}), 0, frame},
		"two lost":               {late(map[int]time.Duration{10: lost, 11: lost}), 0, 2 * frame},
		"every other one is not": {late(map[int]time.Duration{10: lost, 12: lost, 14: lost}), 0, 3 * frame},
		"too late":               {late(map[int]time.Duration{10: 110 * time.Millisecond}), 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			heard, told, _ := hear(speaker(30, tc.delay), 26)
			assert.Equal(t, tc.late, told.late)
			if tc.concealed > 0 || tc.late == 0 {
				assert.Equal(t, tc.concealed, told.concealed)
			} else {
				assert.Positive(t, told.concealed)
			}
			for at := 8 * frame; at < len(heard); at += 40 {
				loud := 0.0
				for _, v := range heard[at : at+40] {
					loud = max(loud, math.Abs(float64(v)))
				}
				require.Greater(t, loud, 3000.0, "there is no hole at %d", at)
			}
		})
	}
}

func TestSoundIsHeldForAsLongAsItsDelayVaries(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	varying := func(ms int) func(int) time.Duration {
		return func(int) time.Duration { return time.Duration(random.IntN(ms*1000)) * time.Microsecond }
	}
	for _, ms := range []int{1, 30, 80, 150} {
		_, told, b := hear(speaker(1000, varying(ms)), 1000)
		assert.InDelta(t, ms+25, b.held().Milliseconds(), 61, "%d ms", ms)
		assert.Less(t, told.late, 10, "%d ms: only until it is known", ms)
	}
	t.Run("bounded", func(t *testing.T) {
		_, told, b := hear(speaker(1000, varying(600)), 1000)
		assert.LessOrEqual(t, b.held(), 300*time.Millisecond)
		assert.Greater(t, told.late, 100)
	})
}

func TestAfterTroubleSoundIsHeldShortlyAgain(t *testing.T) {
	trouble := func(i int) time.Duration {
		if i > 100 && i < 150 && i%3 == 0 {
			return 140 * time.Millisecond
		}
		return 0
	}
	_, _, b := hear(speaker(200, trouble), 160)
	assert.Greater(t, b.held(), 140*time.Millisecond, "it grows at once")
	_, _, b = hear(speaker(600, trouble), 600)
	assert.Greater(t, b.held(), 120*time.Millisecond, "what was seen some seconds ago may come again")
	_, told, b := hear(speaker(1500, trouble), 1500)
	assert.Less(t, b.held(), 90*time.Millisecond)
	assert.Less(t, told.late, 4)
}

func TestTheClockOfThePeerMayBeAnother(t *testing.T) {
	for name, off := range map[string]time.Duration{"slower": 10 * time.Microsecond, "faster": -10 * time.Microsecond} { // 500 in a million
		t.Run(name, func(t *testing.T) {
			heard, told, b := hear(speaker(10000, func(i int) time.Duration { return 200*time.Millisecond + time.Duration(i)*off }), 9900) // 100 ms apart in the end
			assert.Less(t, b.held(), 110*time.Millisecond)
			assert.Less(t, told.late, 6)
			assert.Less(t, told.concealed, 20*frame)
			assert.Less(t, silent(heard[len(heard)-frame:]), 10, "it is still heard")
		})
	}
}

func TestAPauseOfThePeerIsSilenceAndNotALoss(t *testing.T) {
	packets := speaker(40, steady)
	for i := range packets[20:] { // RFC 3551 section 4.1: the timestamp goes on, the sequence does not
		packets[20+i].Timestamp += 100 * frame
		packets[20+i].at += 2 * time.Second
	}
	heard, told, _ := hear(packets, 150)
	assert.Equal(t, tally{}, told)
	assert.Equal(t, 80*frame, silent(heard[35*frame:115*frame]))
	assert.Less(t, silent(heard[125*frame:]), 10)

	events := speaker(40, steady) // ten packets of an event in the middle
	var told2 tally
	b := New(func(uint8) Decoder { return linear{} }, &told2)
	start := time.Unix(1000, 0)
	for i, p := range events {
		if i >= 20 && i < 30 {
			b.Skip(p.SSRC, p.Sequence)
		} else {
			b.Put(p.Packet, start.Add(p.at))
		}
		b.Take(make([]int16, frame), start.Add(p.at+7*time.Millisecond))
	}
	assert.Equal(t, tally{}, told2)
}

func TestAnotherStreamBeginsAnew(t *testing.T) {
	change := func(f func(p *Packet)) []sent {
		packets := speaker(60, steady)
		for i := range packets[30:] {
			f(&packets[30+i].Packet)
		}
		return packets
	}
	for name, packets := range map[string][]sent{
		"another source":         change(func(p *Packet) { p.SSRC, p.Sequence, p.Timestamp = 2, p.Sequence+9000, p.Timestamp+12345678 }),
		"another sequence":       change(func(p *Packet) { p.Sequence += 20000 }),
		"another clock":          change(func(p *Packet) { p.Timestamp += 1 << 30 }),
		"a clock that went back": change(func(p *Packet) { p.Timestamp -= 1 << 20 }),
	} {
		t.Run(name, func(t *testing.T) {
			heard, told, _ := hear(packets, 58)
			assert.LessOrEqual(t, told.late, 1)
			assert.LessOrEqual(t, told.concealed, 6*frame)
			for at := 40 * frame; at < len(heard); at += frame {
				assert.Less(t, silent(heard[at:at+frame]), 10, "%d", at/frame)
			}
		})
	}
}

func TestStrayAndRepeatedPacketsChangeNothing(t *testing.T) {
	packets := speaker(40, steady)
	want, _, _ := hear(packets, 40)
	again := append(slices.Clone(packets), packets[10], packets[11])
	again[40].at += 5 * time.Millisecond
	again[41].at += 200 * time.Millisecond
	stray := packets[15]
	stray.Sequence += 30000
	heard, told, _ := hear(append(again, stray), 40)
	require.True(t, slices.Equal(want, heard))
	assert.Equal(t, tally{}, told)
}

func TestAPacketThatCannotBeReadIsMadeUp(t *testing.T) {
	packets := speaker(40, steady)
	packets[15].Payload = packets[15].Payload[1:]
	heard, told, _ := hear(packets, 40)
	assert.Equal(t, tally{concealed: frame}, told)
	assert.Zero(t, silent(heard[19*frame+1:]))
}

func TestPacketsOfOtherLengths(t *testing.T) {
	for _, n := range []int{80, 240, 320, 480} {
		var told tally
		b := New(func(uint8) Decoder { return linear{} }, &told)
		start, at, put := time.Unix(1000, 0), 0, 0
		var heard []int16
		for i := range 50 {
			for ; put+n <= i*frame; put += n {
				p := Packet{Format: plain, Sequence: uint16(put / n), Timestamp: uint32(put)}
				for k := range n {
					p.Payload = binary.BigEndian.AppendUint16(p.Payload, uint16(tone(put+k)))
				}
				b.Put(p, start.Add(time.Duration(put+n)*time.Second/sampleRate))
			}
			pcm := make([]int16, frame)
			b.Take(pcm, start.Add(time.Duration(i)*20*time.Millisecond))
			heard = append(heard, pcm...)
		}
		at = silent(heard[1:])
		assert.Equal(t, tally{}, told, "%d", n)
		for i, v := range heard[at:4000] {
			require.Equal(t, tone(i), v, "%d: %d", n, i)
		}
	}
}

func TestTheBufferAllocatesNothingPerPacket(t *testing.T) {
	var told tally
	b := New(func(uint8) Decoder { return linear{} }, &told)
	packets, now, pcm := speaker(1, steady), time.Unix(1000, 0), make([]int16, frame)
	p := packets[0].Packet
	round := func() {
		b.Put(p, now)
		b.Take(pcm, now)
		p.Sequence, p.Timestamp, now = p.Sequence+1, p.Timestamp+frame, now.Add(20*time.Millisecond)
	}
	for range 2 * room {
		round()
	}
	assert.Zero(t, testing.AllocsPerRun(100, round))
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 160, 20, 1, 0, 2, 1, 64, 20, 2, 0, 3, 2, 0, 20})
	f.Fuzz(func(t *testing.T, script []byte) {
		var told tally
		b := New(func(uint8) Decoder { return linear{} }, &told)
		now, pcm := time.Unix(1000, 0), make([]int16, frame)
		for ; len(script) >= 6; script = script[6:] {
			p := Packet{
				Format: Format{Clock: []int{8000, 48000}[script[0]>>7], Codec: script[0] >> 6 & 1}, SSRC: uint32(script[0] & 1),
				Sequence: uint16(script[1])<<8 | uint16(script[2]), Timestamp: uint32(script[3])<<24 | uint32(script[4])<<8,
				Payload: make([]byte, int(script[5])*4%(2*MaxPacket)),
			}
			now = now.Add(time.Duration(script[5]) * time.Millisecond)
			if script[0]&2 != 0 {
				b.Skip(p.SSRC, p.Sequence)
			} else {
				b.Put(p, now)
			}
			b.Take(pcm, now)
		}
	})
}

func BenchmarkBuffer(b *testing.B) {
	var told tally
	buffer := New(func(uint8) Decoder { return linear{} }, &told)
	p, now, pcm := speaker(1, steady)[0].Packet, time.Unix(1000, 0), make([]int16, frame)
	b.ReportAllocs()
	for b.Loop() {
		buffer.Put(p, now)
		buffer.Take(pcm, now)
		p.Sequence, p.Timestamp, now = p.Sequence+1, p.Timestamp+frame, now.Add(20*time.Millisecond)
	}
}
