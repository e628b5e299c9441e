package media

import (
	"math"

	"github.com/callengine/callengine/media/jitter"
)

// The limits of a tone that is taken for a digit. ITU-T Q.24 lets administrations choose; these are within what it
// reports of them, and hold speech off.
const (
	toneWindow = 102 // samples: 12.75 ms, in which the frequencies of one group are told apart
	toneHop    = 34  // a window begins every 4.25 ms

	toneBegins = 5 // windows in a row, 30 ms: 40 ms are enough wherever they begin
	toneEnds   = 8 // windows in a row without it: 20 ms that are missing do not end it, 40 ms do

	leastTone    = 360                 // amplitude of the weaker frequency: -36 dBm0
	normalTwist  = 6.31                // how much stronger the low frequency may be, which lines weaken less: 8 dB
	reverseTwist = 2.51                // how much stronger the high one: 4 dB
	standsOut    = 6.31                // from the other frequencies of its group: 8 dB
	partOfAll    = 0.72                // of the sound's power that the two must have
	mostMissing  = 3 * SampleRate / 50 // samples that were lost and count as silence; after more the detector starts anew
)

// The frequencies of ITU-T Q.23, low and high group, and the keys where they meet.
var (
	lowTones  = [4]float64{697, 770, 852, 941}
	highTones = [4]float64{1209, 1336, 1477, 1633}
)

const toneKeys = "123A456B789C*0#D"

// tones finds the digits of ITU-T Q.23 in sound. Of eight frequencies it measures the power within overlapping windows
// (Goertzel's algorithm); a window holds a digit when one frequency of each group stands out, when the two are about
// equally strong, and when there is little else to be heard, which tells them from speech and music. A digit begins when
// several windows in a row agree.
type tones struct {
	coefficients [8]float64 // of the frequencies, low ones first; all zero: not made yet

	window  [toneWindow]float64
	filled  int
	next    uint32 // timestamp of the next sample
	running bool   // next is set

	candidate byte // of the newest window; 0: none
	hits      int  // windows in a row with it
	key       byte // that is pressed; 0: none
	misses    int  // windows in a row without it
}

// ear hears the tones of one stream. It does not hear what others do: to wait for late packets gains nothing, and what is made
// up in place of lost ones might join two digits.
type ear struct {
	codec   Codec
	decoder decoder
	tones   tones
	pcm     [jitter.MaxPacket]int16
}

func newEar(c Codec) *ear { return &ear{codec: c, decoder: newDecoder(c)} }

// packet takes the sound of a packet, and calls begins for each digit that begins in it.
func (e *ear) packet(codec Codec, timestamp uint32, payload []byte, begins func(key byte)) {
	if codec != e.codec {
		e.codec, e.decoder = codec, newDecoder(codec)
	}
	if n, err := e.decoder.Decode(e.pcm[:], payload); err == nil {
		e.tones.packet(codec, timestamp, e.pcm[:n], begins)
	}
}

// packet takes the samples at a timestamp, and calls begins for each digit that begins in them.
func (t *tones) packet(codec Codec, timestamp uint32, pcm []int16, begins func(key byte)) {
	if ahead := timestamp - t.next; t.running && ahead >= 1<<31 {
		return // late: its time is over
	} else if missing := ahead / uint32(codec.ticks(1)); !t.running || missing > mostMissing {
		*t = tones{coefficients: t.coefficients}
	} else {
		for range missing {
			t.sample(0, begins)
		}
	}
	t.running, t.next = true, timestamp+uint32(codec.ticks(len(pcm)))
	for _, v := range pcm {
		t.sample(float64(v), begins)
	}
}

func (t *tones) sample(v float64, begins func(byte)) {
	t.window[t.filled] = v
	if t.filled++; t.filled < toneWindow {
		return
	}
	t.step(t.measure(), begins)
	t.filled = copy(t.window[:], t.window[toneHop:])
}

// step follows the digits from window to window.
func (t *tones) step(found byte, begins func(byte)) {
	if found == 0 || found != t.candidate {
		t.candidate, t.hits = found, 0
	}
	if found != 0 {
		t.hits++
	}
	switch {
	case t.key != 0 && found == t.key:
		t.misses = 0
	case t.key != 0:
		if t.misses++; t.misses >= toneEnds {
			t.key, t.misses = 0, 0
		}
	}
	if t.hits >= toneBegins && found != t.key {
		t.key, t.misses = found, 0
		begins(found)
	}
}

// measure returns the digit that the window holds; 0: none.
func (t *tones) measure() byte {
	if t.coefficients[0] == 0 {
		for i, f := range append(lowTones[:], highTones[:]...) {
			t.coefficients[i] = 2 * math.Cos(2*math.Pi*f/SampleRate)
		}
	}
	total := 0.0
	for _, v := range t.window {
		total += v * v
	}
	// A sine of amplitude a has the power (a·n/2)² here, and n·a²/2 in the total.
	const least = (leastTone * toneWindow / 2) * (leastTone * toneWindow / 2)
	if total < leastTone*leastTone*toneWindow/2 {
		return 0
	}
	lowPower, highPower := t.powers([4]float64(t.coefficients[:4])), t.powers([4]float64(t.coefficients[4:]))
	low, l := strongest(lowPower[:])
	high, h := strongest(highPower[:])
	switch {
	case low < 0 || high < 0, l < least, h < least, l > h*normalTwist, h > l*reverseTwist,
		(l+h)*2/toneWindow < partOfAll*total:
		return 0
	}
	return toneKeys[4*low+high]
}

// powers returns the power of four frequencies in the window. Each sample's step waits for the one before: four at a time
// wait no longer than one.
func (t *tones) powers(c [4]float64) [4]float64 {
	var a1, a2, b1, b2, c1, c2, d1, d2 float64
	for _, v := range t.window {
		a1, a2 = v+c[0]*a1-a2, a1
		b1, b2 = v+c[1]*b1-b2, b1
		c1, c2 = v+c[2]*c1-c2, c1
		d1, d2 = v+c[3]*d1-d2, d1
	}
	return [4]float64{
		a1*a1 + a2*a2 - c[0]*a1*a2, b1*b1 + b2*b2 - c[1]*b1*b2, c1*c1 + c2*c2 - c[2]*c1*c2, d1*d1 + d2*d2 - c[3]*d1*d2,
	}
}

// strongest returns which frequency of a group stands out, and its power; -1: none.
func strongest(power []float64) (which int, p float64) {
	for i, v := range power {
		if v > power[which] {
			which = i
		}
	}
	p = power[which]
	for i, v := range power {
		if i != which && v*standsOut > p {
			return -1, p
		}
	}
	return which, p
}
