package jitter

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// linear is sound as it is, two bytes a sample.
type linear struct{}

func (linear) Decode(dst []int16, payload []byte) (int, error) {
	if len(payload)%2 != 0 {
		return 0, errors.New("half a sample")
	}
	for i := range len(payload) / 2 {
		dst[i] = int16(binary.BigEndian.Uint16(payload[2*i:]))
	}
	return len(payload) / 2, nil
}

type tally struct{ late, concealed int }

func (t *tally) Late(n int)      { t.late += n }
func (t *tally) Concealed(n int) { t.concealed += n }

const frame = 160

var plain = Format{Clock: sampleRate}

// sent is a packet on its way.
type sent struct {
	Packet
	at time.Duration // when it arrives
}

// speaker makes the packets of a voice that talks at once, one every 20 ms.
func speaker(n int, delay func(i int) time.Duration) (packets []sent) {
	for i := range n {
		p := Packet{Format: plain, SSRC: 1, Sequence: uint16(65500 + i), Timestamp: uint32(1<<32 - 3000 + frame*i)}
		for k := range frame {
			p.Payload = binary.BigEndian.AppendUint16(p.Payload, uint16(tone(i*frame+k)))
		}
		packets = append(packets, sent{p, time.Duration(i)*20*time.Millisecond + delay(i)})
	}
	return packets
}

// tone is a sound of 100 Hz, of the amplitude 8000.
func tone(at int) int16 { return int16(8000 * math.Sin(2*math.Pi*100*float64(at)/sampleRate)) }

func steady(int) time.Duration { return 0 }

const lost = time.Duration(math.MinInt64)

// hear passes packets through a buffer and returns what is heard from the beginning on, for so many frames. The hearer's beat
// is 7 ms off the speaker's.
func hear(packets []sent, frames int) (heard []int16, told tally, b *Buffer) {
	b = New(func(uint8) Decoder { return linear{} }, &told)
	packets = slices.DeleteFunc(slices.Clone(packets), func(p sent) bool { return p.at < 0 })
	slices.SortStableFunc(packets, func(x, y sent) int { return int(x.at - y.at) })
	start := time.Unix(1000, 0)
	for i := range frames {
		now := 7*time.Millisecond + time.Duration(i)*beat
		for len(packets) > 0 && packets[0].at <= now {
			b.Put(packets[0].Packet, start.Add(packets[0].at))
			packets = packets[1:]
		}
		heard = append(heard, make([]int16, frame)...)
		b.Take(heard[i*frame:], start.Add(now))
	}
	return heard, told, b
}

const beat = 20 * time.Millisecond

// held returns for how long sound is held in the end.
func (b *Buffer) held() time.Duration {
	least, _, _ := b.delays.bounds(b.clock)
	return time.Duration(b.clock-least-b.position+int64(b.to-b.from)) * time.Second / sampleRate
}

func silent(pcm []int16) (n int) {
	for _, v := range pcm {
		if v != 0 {
			break
		}
		n++
	}
	return n
}

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

// starved is the delay of packets of a phone that could not send for a while, from the packet `from` on, and then sent all at once.
func starved(from, packets int) func(int) time.Duration {
	return func(i int) time.Duration {
		if i >= from && i < from+packets {
			return time.Duration(from+packets-i) * 20 * time.Millisecond
		}
		return 0
	}
}

// TestWhatAStarvedPhoneSendsAtOnceIsHeard up to a second of it, and late: what was not sent in time cannot be heard in time.
func TestWhatAStarvedPhoneSendsAtOnceIsHeard(t *testing.T) {
	for name, tc := range map[string]struct {
		from, packets int
		late          int // packets at most
	}{
		"at the beginning":                 {0, 50, 0},
		"at the beginning, for long":       {0, 75, 30},
		"in the middle":                    {150, 50, 0},
		"in the middle, for a moment":      {150, 12, 0},
		"in the middle, for long":          {150, 100, 45},
		"in the middle, and a lost one":    {150, 50, 0},
		"right after the network is known": {30, 50, 0},
	} {
		t.Run(name, func(t *testing.T) {
			packets := speaker(1000, starved(tc.from, tc.packets))
			if name == "in the middle, and a lost one" {
				packets[170].at = lost
			}
			levels(packets)
			heard, told, b := hear(packets, 995)
			assert.LessOrEqual(t, told.late, tc.late)
			have := map[int16]bool{}
			for _, v := range heard {
				have[v] = true
			}
			var missing []int
			for i, p := range packets[:970] {
				if p.at >= 0 && !pause(i) && !have[level(i)] {
					missing = append(missing, i)
				}
			}
			assert.LessOrEqual(t, len(missing), tc.late, "%v", missing)
			assert.Less(t, b.held(), 300*time.Millisecond, "it is made up for by and by")
		})
	}
}

// level is the sound of a packet that tells which it is.
func level(i int) int16 { return int16(1000 + 20*i) }

// pause reports whether the speaker is silent: for 0.6 s of every two.
func pause(i int) bool { return i%100 >= 70 }

func levels(packets []sent) {
	for i := range packets {
		for k := range frame {
			binary.BigEndian.PutUint16(packets[i].Payload[2*k:], uint16(level(i)))
		}
		if pause(i) {
			clear(packets[i].Payload)
		}
	}
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
