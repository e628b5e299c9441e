package mp3

import "math"

// direction says how much of a sound goes to the left and to the right.
type direction struct{ left, right float32 }

// directions1 are those of MPEG-1 (section 2.4.3.4.9.3).
var directions1 = func() (d [7]direction) {
	for i := range d {
		ratio := math.Tan(float64(i) * math.Pi / 12)
		d[i] = direction{float32(ratio / (1 + ratio)), float32(1 / (1 + ratio))}
	}
	d[6] = direction{1, 0} // the tangent has no end there
	return d
}()

// directed returns the direction that a scale factor of the right channel means; false: none.
func (g *granule) directed(h *header, scale int, none bool) (direction, bool) {
	if h.mpeg1 {
		if scale >= len(directions1) {
			return direction{}, false
		}
		return directions1[scale], true
	}
	if none {
		return direction{}, false
	}
	step := -0.25 // ISO/IEC 13818-3 section 2.4.3.2
	if g.intensityScale {
		step = -0.5
	}
	lower := float32(math.Exp2(step * float64((scale+1)/2)))
	if scale%2 == 1 {
		return direction{lower, 1}, true
	}
	return direction{1, lower}, true
}

// unjoin makes left and right of joint stereo, in place.
func unjoin(h *header, right *granule, l, r *[lines]float32) {
	joint := lines // lines below are not intensity coded
	if h.intensity {
		joint = right.intensity(h, l, r)
		if right.blockType == shortBlock {
			return // it has done all bands
		}
	}
	if h.midSide {
		midSide(l[:joint], r[:joint])
	}
}

func midSide(l, r []float32) {
	for i := range l {
		m, s := l[i], r[i]
		l[i], r[i] = (m+s)*(math.Sqrt2/2), (m-s)*(math.Sqrt2/2)
	}
}

// intensity does the bands above the last line of the right channel, and returns where they begin. Of short blocks, where
// they begin elsewhere in each window, it does the mid-side ones as well.
func (g *granule) intensity(h *header, l, r *[lines]float32) int {
	longBands, firstShort := g.layout(h)
	shorts := g.intensityShort(h, firstShort, l, r)
	from := h.bands.long[longBands]
	for band := longBands - 1; band >= 0 && shorts; band-- {
		start, end := h.bands.long[band], h.bands.long[band+1]
		if !silent(r[start:end]) {
			break
		}
		source := min(band, 20) // the last band has no scale factor of its own
		g.direct(h, g.scales.long[source], g.scales.noLong[source], l[start:end], r[start:end])
		from = start
	}
	if g.blockType == shortBlock && h.midSide {
		midSide(l[:from], r[:from])
	}
	return from
}

// intensityShort does the short bands, and reports whether all of the right channel's are silent.
func (g *granule) intensityShort(h *header, first int, l, r *[lines]float32) bool {
	all := true
	for w := range 3 {
		above := true
		for band := 12; band >= first; band-- {
			start, width := h.bands.short[band], h.bands.short[band+1]-h.bands.short[band]
			from := 3*start + w*width
			left, right := l[from:from+width], r[from:from+width]
			if above = above && silent(right); above {
				source := min(band, 11)
				g.direct(h, g.scales.short[source][w], g.scales.noShort[source][w], left, right)
			} else if h.midSide {
				midSide(left, right)
			}
		}
		all = all && above
	}
	return all
}

// direct shares the left channel out.
func (g *granule) direct(h *header, scale int, none bool, l, r []float32) {
	d, ok := g.directed(h, scale, none)
	if !ok {
		if h.midSide {
			midSide(l, r)
		}
		return
	}
	for i := range l {
		l[i], r[i] = l[i]*d.left, l[i]*d.right
	}
}

func silent(x []float32) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}
