package mp3

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// No encoder at hand writes intensity stereo, so its rules are tested one by one.
func TestIntensityStereo(t *testing.T) {
	t.Parallel()
	half := math.Sqrt2 / 2
	for name, tc := range map[string]struct {
		mpeg1, midSide bool
		steps          bool // of the low sampling frequencies: whole ones
		scale          int
		none           bool
		left, right    float64
	}{
		"MPEG-1, to the right":          {mpeg1: true, scale: 0, left: 0, right: 1},
		"MPEG-1, in the middle":         {mpeg1: true, scale: 3, left: 0.5, right: 0.5},
		"MPEG-1, to the left":           {mpeg1: true, scale: 6, left: 1, right: 0},
		"MPEG-1, no direction":          {mpeg1: true, scale: 7, left: 1, right: 0},
		"MPEG-1, none but mid and side": {mpeg1: true, midSide: true, scale: 7, left: half, right: half},
		"MPEG-2, in the middle":         {scale: 0, left: 1, right: 1},
		"MPEG-2, a step to the right":   {scale: 1, left: math.Exp2(-0.25), right: 1},
		"MPEG-2, a step to the left":    {scale: 2, left: 1, right: math.Exp2(-0.25)},
		"MPEG-2, two wider ones":        {scale: 4, steps: true, left: 1, right: 0.5},
		"MPEG-2, no direction":          {scale: 7, none: true, left: 1, right: 0},
	} {
		for _, blockType := range []int{longBlock, shortBlock} {
			h := &header{mpeg1: tc.mpeg1, channels: 2, intensity: true, midSide: tc.midSide, bands: &bands44}
			g := &granule{blockType: blockType, intensityScale: tc.steps}
			for band := range g.scales.long {
				g.scales.long[band], g.scales.noLong[band] = tc.scale, tc.none
			}
			for band := range g.scales.short {
				for w := range 3 {
					g.scales.short[band][w], g.scales.noShort[band][w] = tc.scale, tc.none
				}
			}
			var l, r [lines]float32
			for i := range l {
				l[i] = 1
			}
			r[5] = 1 // the first band of the right channel sounds: it is not intensity coded
			unjoin(h, g, &l, &r)
			at := [2]float64{float64(l[300]), float64(r[300])}
			assert.InDeltaSlice(t, []float64{tc.left, tc.right}, at[:], 1e-6, "%s, block type %d", name, blockType)
			low := [2]float64{float64(l[5]), float64(r[5])}
			want := []float64{1, 1}
			if tc.midSide {
				want = []float64{math.Sqrt2, 0}
			}
			assert.InDeltaSlice(t, want, low[:], 1e-6, "%s, below, block type %d", name, blockType)
		}
	}
}

func TestScaleFactorsOfLowSamplingFrequencies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		compress, blockType int
		mixed, directed     bool
		bits                int // that the scale factors take
		preflag             bool
	}{
		"four lengths":        {compress: 0b0111_11_11 + 0, blockType: longBlock, bits: 1*6 + 2*5 + 3*5 + 3*5},
		"three lengths":       {compress: 400 + 0b0111_1, blockType: longBlock, bits: 0*6 + 3*5 + 3*7 + 0*3},
		"two, pre-emphasised": {compress: 500 + 4, blockType: longBlock, bits: 1*11 + 1*10, preflag: true},
		"short":               {compress: 500 + 4, blockType: shortBlock, bits: 1*18 + 1*18, preflag: true},
		"mixed":               {compress: 500 + 4, blockType: shortBlock, mixed: true, bits: 1*15 + 1*18, preflag: true},
		"directed":            {compress: 2*(36+6+1) + 1, blockType: longBlock, directed: true, bits: 7 + 7 + 7},
		"directed, four":      {compress: 2 * (180 + 0b01_01_01), blockType: longBlock, directed: true, bits: 6 + 6 + 6},
		"directed, two":       {compress: 2 * (244 + 4), blockType: longBlock, directed: true, bits: 8 + 8},
	} {
		t.Run(name, func(t *testing.T) {
			h := &header{channels: 2, bands: &bands22}
			g := &granule{scaleCompress: tc.compress, blockType: tc.blockType, mixed: tc.mixed}
			r := bitReader{b: make([]byte, 200)}
			g.readScales2(&r, h, tc.directed)
			assert.Equal(t, tc.bits, r.at)
			assert.Equal(t, tc.preflag, g.preflag)
		})
	}
}
