package mp3

// sideInfo says how the main data of a frame is coded (ISO/IEC 11172-3 section 2.4.1.7).
type sideInfo struct {
	mainBegin int // bytes that the main data begins before this frame
	scfsi     [2][4]bool
	granule   [2][2]granule // by granule and channel
}

// granule is 576 spectral lines of one channel.
type granule struct {
	length         int // bits of scale factors and spectral lines
	bigValues      int // pairs
	globalGain     int
	scaleCompress  int
	blockType      int
	mixed          bool
	tables         [3]int
	subblockGain   [3]int
	regionEnd      [2]int // spectral lines
	preflag        bool
	coarse         bool // scale factors count whole steps, not halves
	quadsB         bool
	intensityScale bool // low sampling frequencies: directions in whole steps
	scales         scales
}

// Block types.
const (
	longBlock  = 0
	startBlock = 1
	shortBlock = 2
	stopBlock  = 3
)

func (s *sideInfo) read(r *bitReader, h *header) {
	if h.mpeg1 {
		s.mainBegin = r.bits(9)
		r.bits(map[int]int{1: 5, 2: 3}[h.channels]) // private
		for ch := range h.channels {
			for band := range s.scfsi[ch] {
				s.scfsi[ch][band] = r.bit() == 1
			}
		}
	} else {
		s.mainBegin = r.bits(8)
		r.bits(h.channels) // private
	}
	for gr := range h.granules() {
		for ch := range h.channels {
			s.granule[gr][ch].read(r, h)
		}
	}
}

func (g *granule) read(r *bitReader, h *header) {
	g.length = r.bits(12)
	g.bigValues = min(r.bits(9), lines/2)
	g.globalGain = r.bits(8)
	if h.mpeg1 {
		g.scaleCompress = r.bits(4)
	} else {
		g.scaleCompress = r.bits(9)
	}
	g.blockType, g.mixed, g.subblockGain = longBlock, false, [3]int{}
	if r.bit() == 1 {
		g.switched(r, h)
	} else {
		for i := range g.tables {
			g.tables[i] = r.bits(5)
		}
		region0 := r.bits(4) + 1
		region1 := region0 + r.bits(3) + 1
		g.regionEnd = [2]int{h.bands.long[region0], h.bands.long[min(region1, len(h.bands.long)-1)]}
	}
	g.preflag = h.mpeg1 && r.bit() == 1
	g.coarse = r.bit() == 1
	g.quadsB = r.bit() == 1
}

// switched reads the form for other than long blocks. The first region is then nine bands of a short window, or eight long
// bands, and the second is the rest.
func (g *granule) switched(r *bitReader, h *header) {
	g.blockType = r.bits(2)
	g.mixed = r.bit() == 1 && g.blockType == shortBlock
	g.tables = [3]int{r.bits(5), r.bits(5), 0}
	for w := range g.subblockGain {
		g.subblockGain[w] = r.bits(3)
	}
	g.regionEnd = [2]int{h.bands.long[8], lines}
	if g.blockType == shortBlock {
		g.regionEnd[0] = 3 * h.bands.short[3]
	}
}
