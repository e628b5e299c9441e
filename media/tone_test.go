package media

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// level returns the amplitude of a frequency in sound.
func level(pcm []int16, hertz float64) float64 {
	var re, im float64
	for i, s := range pcm {
		a := 2 * math.Pi * hertz * float64(i) / SampleRate
		re += float64(s) * math.Cos(a)
		im += float64(s) * math.Sin(a)
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

func TestRingingIsTheNorthAmericanTone(t *testing.T) {
	t.Parallel()
	src := Ringing()
	pcm := make([]int16, 8*SampleRate)
	for rest := pcm; len(rest) > 0; {
		n, err := src.ReadFrame(rest[:min(len(rest), 160)])
		require.NoError(t, err)
		rest = rest[n:]
	}
	for name, on := range map[string][]int16{"first": pcm[:2*SampleRate], "after six seconds": pcm[6*SampleRate:]} {
		assert.InDelta(t, ringLevel, level(on, 440), 10, name)
		assert.InDelta(t, ringLevel, level(on, 480), 10, name)
		assert.InDelta(t, 0, level(on, 1000), 10, name)
	}
	assert.Equal(t, make([]int16, 4*SampleRate), pcm[2*SampleRate:6*SampleRate], "a pause of four seconds")
	require.NoError(t, src.Close())
}
