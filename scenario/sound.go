package scenario

import (
	"math"
	"time"
)

// Sound is what a phone has heard: the frames of the audio packets in the order of their arrival.
type Sound struct {
	Frames []Frame
}

// Frame is the sound of one packet.
type Frame struct {
	Time    time.Time // of its arrival
	Samples []int16   // 8 kHz
}

func soundOf(packets []Packet) Sound {
	var s Sound
	for _, p := range packets {
		decode := decodeULaw
		switch int(p.PayloadType) {
		case payloadTypes["PCMU"]:
		case payloadTypes["PCMA"]:
			decode = decodeALaw
		default:
			continue
		}
		f := Frame{Time: p.Time, Samples: make([]int16, len(p.Payload))}
		for i, b := range p.Payload {
			f.Samples[i] = decode(b)
		}
		s.Frames = append(s.Frames, f)
	}
	return s
}

// loudness is the root mean square from which a frame is not silent: some 50 dB below full scale.
const loudness = 100

// Level is the root mean square of a frame's samples; full scale is 32767.
func (f Frame) Level() float64 {
	if len(f.Samples) == 0 {
		return 0
	}
	var sum float64
	for _, s := range f.Samples {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(len(f.Samples)))
}

func (f Frame) length() time.Duration {
	return time.Duration(len(f.Samples)) * time.Second / sampleRate
}

// Length is how long the sound is, silence included.
func (s Sound) Length() (d time.Duration) {
	for _, f := range s.Frames {
		d += f.length()
	}
	return d
}

// Loud is how much of the sound is not silence.
func (s Sound) Loud() (d time.Duration) {
	for _, f := range s.Frames {
		if f.Level() >= loudness {
			d += f.length()
		}
	}
	return d
}

// Since returns the sound that arrived at t or later.
func (s Sound) Since(t time.Time) Sound {
	for i, f := range s.Frames {
		if !f.Time.Before(t) {
			return Sound{s.Frames[i:]}
		}
	}
	return Sound{}
}

// Gap is the longest time between two frames.
func (s Sound) Gap() (longest time.Duration) {
	for i := 1; i < len(s.Frames); i++ {
		longest = max(longest, s.Frames[i].Time.Sub(s.Frames[i-1].Time))
	}
	return longest
}

// Tone is the share, from 0 to 1, that a frequency has in the energy of the sound (Goertzel's algorithm, frame by frame).
func (s Sound) Tone(hertz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hertz/sampleRate)
	var tone, all float64
	for _, f := range s.Frames {
		var s1, s2 float64
		for _, v := range f.Samples {
			s1, s2 = float64(v)+k*s1-s2, s1
			all += float64(v) * float64(v)
		}
		if n := float64(len(f.Samples)); n > 0 {
			tone += (s1*s1 + s2*s2 - k*s1*s2) * 2 / n
		}
	}
	if all == 0 {
		return 0
	}
	return min(tone/all, 1)
}
