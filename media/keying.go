package media

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"time"
)

// Stroke is a key that is pressed here, and the silence behind it.
type Stroke struct {
	Key           byte // one of [Digits]; 0: none, there is only silence
	Length, Pause time.Duration
}

// SendDigits presses keys for the peer to hear, one after the other, and returns as [Session.Play] does, whose turns it
// shares: as telephone events where those were agreed on (RFC 4733 section 2.5), else as tones in the sound. What is on its way when ctx ends is not told to end.
func (s *Session) SendDigits(ctx context.Context, strokes []Stroke) error {
	select {
	case <-s.started: // now it is known what was agreed on
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closing:
		return ErrClosed
	}
	s.mu.Lock()
	events := s.params.EventType != 0
	s.mu.Unlock()
	return s.Play(ctx, &strokeTones{strokes: strokes, silent: events})
}

// The levels of the tones that are sent: -10 and -8 dBm0, as lines weaken high frequencies more.
const (
	lowAmplitude  = 7050
	highAmplitude = 8880
)

// strokeTones is the sound of strokes: tones, or silence of the same length beside which events are sent.
type strokeTones struct {
	strokes []Stroke
	silent  bool
	at      int // samples of the first stroke that were read
}

func (k *strokeTones) ReadFrame(dst []int16) (n int, err error) {
	for ; n < len(dst); n++ {
		for len(k.strokes) > 0 && k.at >= k.strokes[0].samples() {
			k.strokes, k.at = k.strokes[1:], 0
		}
		if len(k.strokes) == 0 {
			return n, io.EOF
		}
		dst[n] = 0
		if !k.silent {
			dst[n] = k.strokes[0].sample(k.at)
		}
		k.at++
	}
	return n, nil
}

// Close does nothing: tones never wait.
func (k *strokeTones) Close() error { return nil }

func (k Stroke) samples() int { return samplesIn(k.Length) + samplesIn(k.Pause) }

func (k Stroke) sample(at int) int16 {
	i := strings.IndexByte(toneKeys, k.Key)
	if k.Key == 0 || i < 0 || at >= samplesIn(k.Length) {
		return 0
	}
	t := 2 * math.Pi * float64(at) / SampleRate
	return int16(lowAmplitude*math.Sin(lowTones[i/4]*t) + highAmplitude*math.Sin(highTones[i%4]*t))
}

// endCopies is how often the end of an event is told, as a lost one must not make the key stick (RFC 4733 section 2.5.1.4).
const endCopies = 3

// event is the payload of a packet that tells of a key (RFC 4733 section 2.3).
type event [4]byte

// keying makes events of strokes, beside the silence that keeps their time. It is the sender's.
type keying struct {
	strokes []Stroke
	at      int    // samples that went before the next frame
	begins  int    // where the first stroke begins
	running bool   // its event has begun
	stamp   uint32 // of that, or of its newest segment
	told    int    // ticks of the segments before
}

// frame returns the event of the next frame, which has so many samples and a timestamp, by what was agreed on; times is how
// often it is sent, 0: not at all.
func (k *keying) frame(p Params, samples int, timestamp uint32) (ev event, stamp uint32, first bool, times int) {
	end := k.at + samples
	defer func() { k.at = end }()
	for len(k.strokes) > 0 && !k.running && (k.strokes[0].Key == 0 || k.strokes[0].Length <= 0) && k.begins+k.strokes[0].samples() <= end {
		k.done()
	}
	if len(k.strokes) == 0 || k.strokes[0].Key == 0 || k.begins >= end {
		return ev, 0, false, 0
	}
	stroke := k.strokes[0]
	if !k.running {
		k.running, k.stamp, k.told, first = true, timestamp+uint32(p.Codec.ticks(k.begins-k.at)), 0, true
	}
	const volume = 10 // -10 dBm0
	length, pressed := samplesIn(stroke.Length), end-k.begins
	ev[0], ev[1], times = byte(strings.IndexByte(Digits, stroke.Key)), volume, 1
	// RFC 4733 section 2.5.1.3: what is longer than an event can say goes on in another, which begins where that ends.
	clock := p.eventClock()
	lasts := min(pressed, length)*(clock/SampleRate) - k.told
	for ; lasts > segmentLength; lasts -= segmentLength {
		k.stamp += uint32(segmentLength * p.Codec.Clock() / clock)
		k.told += segmentLength
	}
	stamp = k.stamp
	if pressed >= length {
		ev[1] |= 0x80
		times = endCopies
		k.done()
	}
	binary.BigEndian.PutUint16(ev[2:], uint16(lasts))
	return ev, stamp, first, times
}

// done goes on to the next stroke.
func (k *keying) done() {
	k.begins += k.strokes[0].samples()
	k.strokes, k.running = k.strokes[1:], false
}
