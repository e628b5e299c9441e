package mp3

import "math"

// lines is the number of spectral lines in a granule, and of the samples that they become.
const lines = 576

// maxQuantised is the greatest quantised value: 15 and thirteen bits more.
const maxQuantised = 15 + 1<<13

// power43 is x to the 4/3.
var power43 = func() (t [maxQuantised]float32) {
	for i := range t {
		t[i] = float32(math.Pow(float64(i), 4.0/3))
	}
	return t
}()

// preemphasis is added to the upper scale factors with preflag (table B.6).
var preemphasis = [22]int{11: 1, 12: 1, 13: 1, 14: 1, 15: 2, 16: 2, 17: 3, 18: 3, 19: 3, 20: 2}

// requantise makes the spectrum from its quantised form (section 2.4.3.4.7). Short blocks stay in the order of the stream.
func (g *granule) requantise(h *header, is *[lines]int32, n int, xr *[lines]float32) {
	clear(xr[:])
	longBands, firstShort := g.layout(h)
	for band := range longBands {
		scale := g.scales.long[band]
		if g.preflag {
			scale += preemphasis[band]
		}
		g.expand(h.bands.long[band], min(h.bands.long[band+1], n), g.gain(scale, 0), is, xr)
	}
	for band := firstShort; band < 13; band++ {
		start, width := h.bands.short[band], h.bands.short[band+1]-h.bands.short[band]
		for w := range 3 {
			from := 3*start + w*width
			g.expand(from, min(from+width, n), g.gain(g.scales.short[band][w], g.subblockGain[w]), is, xr)
		}
	}
}

// gain returns the factor of lines with a scale factor.
func (g *granule) gain(scale, subblock int) float32 {
	quarters := g.globalGain - 210 - 8*subblock
	if g.coarse {
		quarters -= 4 * scale
	} else {
		quarters -= 2 * scale
	}
	return float32(math.Exp2(float64(quarters) / 4))
}

func (g *granule) expand(from, to int, gain float32, is *[lines]int32, xr *[lines]float32) {
	for i := from; i < to; i++ {
		if v := is[i]; v < 0 {
			xr[i] = -gain * power43[min(-v, maxQuantised-1)]
		} else {
			xr[i] = gain * power43[min(v, maxQuantised-1)]
		}
	}
}

// reorder puts the lines of short blocks, which come window after window in each band, into the order of frequencies, the
// windows in turn.
func (g *granule) reorder(h *header, xr *[lines]float32) {
	if g.blockType != shortBlock {
		return
	}
	var ordered [lines]float32
	_, firstShort := g.layout(h)
	for band := firstShort; band < 13; band++ {
		start, width := h.bands.short[band], h.bands.short[band+1]-h.bands.short[band]
		for w := range 3 {
			for i := range width {
				ordered[3*(start+i)+w] = xr[3*start+w*width+i]
			}
		}
	}
	from := 3 * h.bands.short[firstShort]
	copy(xr[from:], ordered[from:])
}
