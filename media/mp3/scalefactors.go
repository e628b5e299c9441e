package mp3

// scales are the scale factors of a granule, and where directions of intensity stereo are not given.
type scales struct {
	long    [22]int
	short   [13][3]int
	noLong  [22]bool
	noShort [13][3]bool
}

// scaleLengths are the bits of the lower and the upper scale factors, by scaleCompress (MPEG-1, section 2.4.2.7).
var scaleLengths = [16][2]int{
	{0, 0}, {0, 1}, {0, 2}, {0, 3}, {3, 0}, {1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2}, {2, 3}, {3, 1}, {3, 2}, {3, 3}, {4, 2}, {4, 3},
}

// layout returns how many long bands a granule has, and its first short one.
func (g *granule) layout(h *header) (longBands, firstShort int) {
	switch {
	case g.blockType != shortBlock:
		return 22, 13
	case !g.mixed:
		return 0, 0
	case h.mpeg1:
		return 8, 3
	}
	return 6, 3
}

// readScales1 reads the scale factors of MPEG-1. before is the granule before in the same channel, for bands that the
// second one takes over.
func (g *granule) readScales1(r *bitReader, h *header, before *granule, scfsi [4]bool) {
	lower, upper := scaleLengths[g.scaleCompress][0], scaleLengths[g.scaleCompress][1]
	s := &g.scales
	if g.blockType != shortBlock {
		groups := [5]int{0, 6, 11, 16, 21}
		for i := range 4 {
			bits := lower
			if i >= 2 {
				bits = upper
			}
			for band := groups[i]; band < groups[i+1]; band++ {
				if before != nil && scfsi[i] {
					s.long[band] = before.scales.long[band]
				} else {
					s.long[band] = r.bits(bits)
				}
			}
		}
		s.long[21] = 0
		return
	}
	longBands, firstShort := g.layout(h)
	for band := range longBands {
		s.long[band] = r.bits(lower)
	}
	for band := firstShort; band < 12; band++ {
		bits := lower
		if band >= 6 {
			bits = upper
		}
		for w := range 3 {
			s.short[band][w] = r.bits(bits)
		}
	}
	s.short[12] = [3]int{}
}

// groupSizes are the scale factors that share a length, by the form of scaleCompress and the kind of blocks: long, short,
// mixed (ISO/IEC 13818-3 section 2.4.3.2). The last three forms are those of an intensity coded right channel.
var groupSizes = [6][3][4]int{
	{{6, 5, 5, 5}, {9, 9, 9, 9}, {6, 9, 9, 9}},
	{{6, 5, 7, 3}, {9, 9, 12, 6}, {6, 9, 12, 6}},
	{{11, 10, 0, 0}, {18, 18, 0, 0}, {15, 18, 0, 0}},
	{{7, 7, 7, 0}, {12, 12, 12, 0}, {6, 15, 12, 0}},
	{{6, 6, 6, 3}, {12, 9, 9, 6}, {6, 12, 9, 6}},
	{{8, 8, 5, 0}, {15, 12, 9, 0}, {6, 18, 9, 0}},
}

// groupLengths takes scaleCompress apart.
func (g *granule) groupLengths(directed bool) (form int, bits [4]int) {
	c := g.scaleCompress
	if directed {
		g.intensityScale = c&1 == 1
		switch c >>= 1; {
		case c < 180:
			return 3, [4]int{c / 36, c % 36 / 6, c % 6, 0}
		case c < 244:
			c -= 180
			return 4, [4]int{c >> 4 & 3, c >> 2 & 3, c & 3, 0}
		}
		c -= 244
		return 5, [4]int{c / 3, c % 3, 0, 0}
	}
	switch {
	case c < 400:
		return 0, [4]int{(c >> 4) / 5, (c >> 4) % 5, c >> 2 & 3, c & 3}
	case c < 500:
		c -= 400
		return 1, [4]int{(c >> 2) / 5, (c >> 2) % 5, c & 3, 0}
	}
	g.preflag = true
	c -= 500
	return 2, [4]int{c / 3, c % 3, 0, 0}
}

// readScales2 reads the scale factors of low sampling frequencies. directed: it is the right channel of intensity stereo.
func (g *granule) readScales2(r *bitReader, h *header, directed bool) {
	form, bits := g.groupLengths(directed)
	longBands, firstShort := g.layout(h)
	kind := 0
	if g.blockType == shortBlock {
		kind = 1
		if g.mixed {
			kind = 2
		}
	}
	s := &g.scales
	*s = scales{}
	at := 0
	for i, n := range groupSizes[form][kind] {
		for range n {
			v := r.bits(bits[i])
			none := directed && v == 1<<bits[i]-1
			if at < longBands {
				s.long[at], s.noLong[at] = v, none
			} else if k := at - longBands; firstShort+k/3 < len(s.short) {
				s.short[firstShort+k/3][k%3], s.noShort[firstShort+k/3][k%3] = v, none
			}
			at++
		}
	}
}
