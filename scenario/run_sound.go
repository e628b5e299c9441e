package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// toneShare is the part of the sound's energy that a tone must have.
const toneShare = 0.8

// straddling is how much of the sound after a moment may still belong to what was before it: a packet.
const straddling = frameLength

// judgeSound compares what the phone has heard, or a part of it, with what it must have.
func (r *run) judgeSound(h *heard) {
	sound, after, ok := r.part(h)
	if !ok {
		return
	}
	loud := sound.Loud()
	audible := sound.audible()
	switch {
	case loud < h.AtLeast:
		r.differ(setting(h.position, "at_least", roughly(loud, 1, 1)), h.position, after, "the phone heard %v of sound%s, and must hear %v at least", loud, h.where(), h.AtLeast)
	case h.AtMost > 0 && loud > h.AtMost:
		r.differ(setting(h.position, "at_most", roughly(loud, 3, 2)), h.position, after, "the phone heard %v of sound%s, and must hear %v at most", loud, h.where(), h.AtMost)
	case h.Silence && loud > 0:
		r.differ(setting(h.position, "silence", false), h.position, after, "the phone heard %v of sound%s, and must hear nothing", loud, h.where())
	case h.Tone > 0 && audible.Tone(float64(h.Tone)) < toneShare:
		r.differ(setting(h.position, "tone", audible.loudest()), h.position, after, "what the phone heard%s is no tone of %d Hz", h.where(), h.Tone)
	case h.Gap > 0 && sound.Gap() > h.Gap:
		r.differ(setting(h.position, "gap", roughly(sound.Gap(), 3, 2)), h.position, after, "the sound paused for %v%s, and must not for more than %v", sound.Gap(), h.where(), h.Gap)
	}
	if len(h.Tones) > 0 {
		if got := audible.tones(h.Tones); !slices.Equal(got, h.Tones) {
			r.differ(nil, h.position, after, "the phone heard %s%s, and must hear %s", hertz(got), h.where(), hertz(h.Tones))
		}
	}
}

// part returns the sound of the part of the call that is meant, and the journal's entry where it ends; false: there is no
// such part, which it has told.
func (r *run) part(h *heard) (Sound, uint64, bool) {
	sound, at, after := r.sound, 0, r.last()
	if h.From != nil {
		i := r.find(&h.From.expectation, 0)
		if i < 0 {
			r.missing(nil, h.From.position, r.last(), "%s did not come, from which the phone must hear something", h.From.name())
			return Sound{}, 0, false
		}
		at = i + 1
		sound = sound.Since(r.journal[i].Time.Add(straddling))
	}
	if h.To != nil {
		i := r.find(&h.To.expectation, at)
		if i < 0 {
			r.missing(nil, h.To.position, r.last(), "%s did not come, until which the phone must hear something", h.To.name())
			return Sound{}, 0, false
		}
		after = r.journal[i].Seq
		sound = sound.until(r.journal[i].Time)
	}
	return sound, after, true
}

// find returns the first entry from i on that is as expected; -1: none is.
func (r *run) find(e *expectation, i int) int {
	for ; i < len(r.journal); i++ {
		if why, same := r.differs(e, i); same && why == "" {
			return i
		}
	}
	return -1
}

// where names the part of the call.
func (h *heard) where() string {
	s := ""
	if h.From != nil {
		s += " from " + h.From.name()
	}
	if h.To != nil {
		s += " to " + h.To.name()
	}
	return s
}

func hertz(tones []int) string {
	if len(tones) == 0 {
		return "no tone"
	}
	return strings.Trim(fmt.Sprint(tones), "[]") + " Hz"
}

// audible is the sound without its silence.
func (s Sound) audible() Sound {
	var loud Sound
	for _, f := range s.Frames {
		if f.Level() >= loudness {
			loud.Frames = append(loud.Frames, f)
		}
	}
	return loud
}

// until returns the sound that arrived until t.
func (s Sound) until(t time.Time) Sound {
	for i, f := range s.Frames {
		if f.Time.After(t) {
			return Sound{s.Frames[:i]}
		}
	}
	return s
}

// unknownTone stands for sound that is none of the tones asked for.
const unknownTone = 0

// tones returns which of some frequencies the sound has, one after the other. A single frame that is none of them is where
// one passes into another.
func (s Sound) tones(of []int) []int {
	var all []int
	for i, f := range s.Frames {
		found := unknownTone
		for _, hertz := range of {
			if (Sound{s.Frames[i : i+1]}).Tone(float64(hertz)) >= toneShare {
				found = hertz
			}
		}
		if len(f.Samples) > 0 {
			all = append(all, found)
		}
	}
	var kept []int
	for i, hertz := range all {
		alone := (i == 0 || all[i-1] != hertz) && (i == len(all)-1 || all[i+1] != hertz)
		if hertz == unknownTone && alone || len(kept) > 0 && kept[len(kept)-1] == hertz {
			continue
		}
		kept = append(kept, hertz)
	}
	return kept
}

// loudest is the frequency, in hertz, that the sound has most of.
func (s Sound) loudest() int {
	best, share := 0, 0.0
	for hertz := 50; hertz < sampleRate/2; hertz += 10 {
		if x := s.Tone(float64(hertz)); x > share {
			best, share = hertz, x
		}
	}
	return best
}
