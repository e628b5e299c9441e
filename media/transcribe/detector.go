package transcribe

import (
	"math"
	"slices"
)

// The time of a [Detector] goes by frames of 20 ms.
const (
	frameLen = SampleRate / 50

	window     = 8          // frames that are looked at for a beginning,
	enough     = 6          // and how many of them have to be voice
	hangover   = 35         // frames without voice that end an utterance: 0.7 s
	longAfter  = 12 * 50    // frames after which a short pause will do,
	shortPause = 8          // of so many frames,
	longest    = 20 * 50    // and those after which it ends in the middle of a word
	before     = window + 7 // frames that belong to an utterance before its beginning is noticed: 0.3 s
)

// Levels in decibels below full scale.
const (
	quietest   = -60.0 // the noise is never taken to be fainter, since a line that was mute is followed by one that is not,
	loudNoise  = -35.0 // nor louder
	faintVoice = -50.0 // and voice never to be fainter
	overNoise  = 9.0
	noiseClimb = 2.0 / 50 // how fast the noise may seem to grow, for each frame: 2 dB/s
)

// Detector finds out in which stretches of a sound somebody speaks, by their level above the noise. The zero value is ready.
type Detector struct {
	frame  []int16
	noise  float64 // level of what is always there
	heard  bool    // noise is set
	recent uint32  // the newest frames, a bit for each that has voice

	speaking bool
	length   int // frames of the utterance
	pause    int // frames without voice at its end
}

// Hear takes the next samples, and reports whether somebody has begun to speak in them, or speaks still.
func (d *Detector) Hear(samples []int16) bool {
	spoke := d.speaking
	for len(samples) > 0 {
		n := min(len(samples), frameLen-len(d.frame))
		d.frame, samples = append(d.frame, samples[:n]...), samples[n:]
		if len(d.frame) == frameLen {
			d.next(d.frame)
			d.frame = d.frame[:0]
			spoke = spoke || d.speaking
		}
	}
	return spoke
}

// edge is what a frame changes.
type edge int

const (
	same  edge = iota
	began      // with the frames of before, this one included
	ended
)

// next takes the next frame.
func (d *Detector) next(frame []int16) edge {
	voice := d.voiced(level(frame))
	d.recent <<= 1
	if voice {
		d.recent |= 1
	}
	if !d.speaking {
		if voices(d.recent) < enough {
			return same
		}
		d.speaking, d.length, d.pause = true, 0, 0
		return began
	}
	d.length++
	d.pause++
	if voice {
		d.pause = 0
	}
	if d.pause >= hangover || d.length >= longAfter && d.pause >= shortPause || d.length >= longest {
		d.speaking, d.recent = false, 0
		return ended
	}
	return same
}

// voiced reports whether a frame of that level has voice in it, and learns from it what the noise is.
func (d *Detector) voiced(db float64) bool {
	if !d.heard {
		d.heard, d.noise = true, min(db, faintVoice) // somebody may be speaking already
	}
	d.noise = min(d.noise+noiseClimb, max(db, quietest), loudNoise)
	return db > max(d.noise+overNoise, faintVoice)
}

func voices(recent uint32) (n int) {
	for i := range window {
		n += int(recent >> i & 1)
	}
	return n
}

// level returns the level of a frame in decibels below full scale.
func level(frame []int16) float64 {
	sum := 0.0
	for _, s := range frame {
		sum += float64(s) * float64(s)
	}
	if sum == 0 {
		return quietest
	}
	return max(quietest, 10*math.Log10(sum/float64(len(frame))/(1<<30)))
}

// history keeps the newest samples, as far as they may belong to an utterance whose beginning was not noticed yet.
type history struct{ samples []int16 }

func (h *history) add(frame []int16) {
	h.samples = append(h.samples, frame...)
	if over := len(h.samples) - before*frameLen; over > 0 {
		h.samples = slices.Delete(h.samples, 0, over)
	}
}
