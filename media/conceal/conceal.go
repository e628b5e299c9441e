// Package conceal makes up sound in place of what was lost, so that speech goes on instead of clicking. It goes by the idea of
// ITU-T G.711 Appendix I: the last period of the voice is repeated, with more and more of what came before it, and
// faded out; where sound comes again it is blended in. Unlike there, no delay is added.
package conceal

import "math"

// The sound is mono with 8000 samples a second.
const (
	shortest = 40  // samples of the shortest period that is looked for: 200 Hz
	longest  = 120 // of the longest: 66 Hz
	compared = 160 // samples by which periods are compared: 20 ms
	step     = 80  // samples after which one more period is repeated: 10 ms
	kept     = 3*longest + longest/4

	// Faded is how many samples are made up before there is silence: 60 ms.
	Faded = 6 * step
)

// Concealer follows the sound of one direction of a call. The zero value is ready. One goroutine uses it at a time.
type Concealer struct {
	history [kept]int16 // newest last
	made    int         // samples made up since the last that came
	lag     int         // period of the voice before them
	waves   int         // periods that are repeated now
	wave    [3 * longest]float32
	at      int     // of the next sample in wave
	jump    float32 // between the last sample and where the wave begins
}

// Heard takes note of sound that came. If some was made up before it, its beginning is blended with how that would go on.
func (c *Concealer) Heard(pcm []int16) {
	if c.made > 0 {
		// The longer the gap, the further the two have come apart: 4 ms more for each 10 ms.
		over := min(c.lag/4+32*(c.made/step), step, len(pcm))
		for i := range pcm[:over] {
			w := float32(i+1) / float32(over+1)
			pcm[i] = clip(float32(pcm[i])*w + c.next()*(1-w))
		}
		c.made = 0
	}
	c.keep(pcm)
}

// Conceal writes sound to dst that goes on from what came last. After [Faded] samples it is silence.
func (c *Concealer) Conceal(dst []int16) {
	if c.made == 0 {
		c.begin()
	}
	for i := range dst {
		dst[i] = clip(c.next())
	}
}

// keep moves the newest samples into the history.
func (c *Concealer) keep(pcm []int16) {
	if len(pcm) >= kept {
		copy(c.history[:], pcm[len(pcm)-kept:])
		return
	}
	copy(c.history[:], c.history[len(pcm):])
	copy(c.history[kept-len(pcm):], pcm)
}

// begin looks for the period of the voice.
func (c *Concealer) begin() {
	c.lag, _ = Period(c.history[:], shortest, longest, compared)
	c.waves, c.at = 1, 0
	c.cut()
	c.jump = float32(c.history[kept-1]) - float32(c.history[kept-1-c.lag])
}

// cut takes the last periods of the history as the wave. Its end is blended with what was before its beginning, so that it
// can be repeated without a click.
func (c *Concealer) cut() {
	n, blend := c.waves*c.lag, c.lag/4
	for i := range n {
		c.wave[i] = float32(c.history[kept-n+i])
	}
	for i := range blend {
		w := float32(i+1) / float32(blend+1)
		at := n - blend + i
		c.wave[at] = c.wave[at]*(1-w) + float32(c.history[kept-n-blend+i])*w
	}
}

// next returns one more sample that is made up.
func (c *Concealer) next() float32 {
	if c.made >= Faded {
		c.made++
		return 0
	}
	if c.made > 0 && c.made%step == 0 && c.waves < 3 {
		c.waves++
		c.at %= c.lag
		before := c.wave[c.at]
		c.cut()
		c.jump += before - c.wave[c.at]
	}
	v := c.wave[c.at]
	if c.at++; c.at == c.waves*c.lag {
		c.at = 0
	}
	v += c.jump
	c.jump *= 1 - 4/float32(c.lag)
	if c.made > step {
		v *= 1 - float32(c.made-step)/(Faded-step)
	}
	c.made++
	return v
}

// Period returns after how many samples, from least to most, the end of pcm is most like itself, by so many samples, and
// how much that is: 1 for a tone, about 0 for noise. pcm holds at least most+over samples.
func Period(pcm []int16, least, most, over int) (lag int, likeness float64) {
	lag = most
	end := pcm[len(pcm)-over:]
	best := math.Inf(-1)
	for l := least; l <= most; l++ {
		before := pcm[len(pcm)-over-l:][:over]
		var product, energy float32
		for i, v := range end {
			b := float32(before[i])
			product += float32(v) * b
			energy += b * b
		}
		if energy < 1 {
			continue
		}
		if score := float64(product) / math.Sqrt(float64(energy)); score > best {
			best, lag = score, l
		}
	}
	var power float64
	for _, v := range end {
		power += float64(v) * float64(v)
	}
	if power == 0 || math.IsInf(best, 0) {
		return lag, 0
	}
	return lag, best / math.Sqrt(power)
}

func clip(v float32) int16 {
	return int16(math.Round(float64(min(max(v, math.MinInt16), math.MaxInt16))))
}
