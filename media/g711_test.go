package media

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The values are those of the reference implementation of ITU-T G.191 (as in sox and ffmpeg).
func TestG711ReferenceValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		linear    int16
		muLaw     byte
		muLawBack int16
		aLaw      byte
		aLawBack  int16
	}{
		{linear: 0, muLaw: 0xFF, muLawBack: 0, aLaw: 0xD5, aLawBack: 8},
		{linear: -1, muLaw: 0x7F, muLawBack: 0, aLaw: 0x55, aLawBack: -8},
		{linear: 8, muLaw: 0xFE, muLawBack: 8, aLaw: 0xD5, aLawBack: 8},
		{linear: 1000, muLaw: 0xCE, muLawBack: 988, aLaw: 0xFA, aLawBack: 1008},
		{linear: -1000, muLaw: 0x4E, muLawBack: -988, aLaw: 0x7A, aLawBack: -1008},
		{linear: 32767, muLaw: 0x80, muLawBack: 32124, aLaw: 0xAA, aLawBack: 32256},
		{linear: -32768, muLaw: 0x00, muLawBack: -32124, aLaw: 0x2A, aLawBack: -32256},
	} {
		assert.Equal(t, tc.muLaw, linearToMuLaw(tc.linear), "μ-law of %d", tc.linear)
		assert.Equal(t, tc.muLawBack, muLawToLinear(tc.muLaw), "μ-law %#x", tc.muLaw)
		assert.Equal(t, tc.aLaw, linearToALaw(tc.linear), "A-law of %d", tc.linear)
		assert.Equal(t, tc.aLawBack, aLawToLinear(tc.aLaw), "A-law %#x", tc.aLaw)
	}
}

func TestG711CodesSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		code := byte(i)
		assert.Equal(t, code, linearToALaw(aLawToLinear(code)), "A-law %#x", code)
		if code == 0x7F {
			continue // the negative zero comes back as the positive one
		}
		assert.Equal(t, code, linearToMuLaw(muLawToLinear(code)), "μ-law %#x", code)
	}
}

func TestG711KeepsEverySampleNear(t *testing.T) {
	t.Parallel()
	for v := -32768; v <= 32767; v++ {
		s := int16(v)
		size := max(v, -v)
		near := float64(size)/16 + 16 // a mantissa of four bits
		if size > 32256 {
			near = 700 // clipped
		}
		assert.InDelta(t, v, muLawToLinear(linearToMuLaw(s)), near)
		assert.InDelta(t, v, aLawToLinear(linearToALaw(s)), near)
	}
}
