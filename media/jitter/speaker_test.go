package jitter

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
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
