package transcribe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stretches returns where a detector hears somebody speak, in frames.
func stretches(samples []int16) (found [][2]int) {
	var d Detector
	for i := 0; (i+1)*frameLen <= len(samples); i++ {
		switch d.next(samples[i*frameLen : (i+1)*frameLen]) {
		case began:
			found = append(found, [2]int{i, -1})
		case ended:
			found[len(found)-1][1] = i
		}
	}
	return found
}

func TestAnUtteranceBeginsWithVoiceAndEndsWithAPause(t *testing.T) {
	for name, tc := range map[string]struct {
		sound []int16
		want  int // utterances
	}{
		"silence":                              {make([]int16, 5*SampleRate), 0},
		"noise of the line":                    {noise(5000, -55), 0},
		"loud noise that is always there":      {noise(5000, -42), 0},
		"a word":                               {joined(noise(1000, -60), voice(400, -25), noise(1500, -60)), 1},
		"a word in noise":                      {joined(noise(1000, -45), voice(400, -25), noise(1500, -45)), 1},
		"a faint word":                         {joined(noise(1000, -70), voice(400, -44), noise(1500, -70)), 1},
		"a click":                              {joined(noise(1000, -60), voice(60, -10), noise(1500, -60)), 0},
		"two words with a short pause":         {joined(noise(500, -60), voice(400, -25), noise(300, -60), voice(400, -25), noise(1500, -60)), 1},
		"two words with a long pause":          {joined(noise(500, -60), voice(400, -25), noise(1200, -60), voice(400, -25), noise(1500, -60)), 2},
		"one who speaks from the first sample": {joined(voice(800, -25), noise(1500, -60)), 1},
	} {
		t.Run(name, func(t *testing.T) {
			found := stretches(tc.sound)
			require.Len(t, found, tc.want)
			for _, f := range found {
				assert.Positive(t, f[1], "it ends")
			}
		})
	}
}

func TestAnUtteranceThatDoesNotEndIsCut(t *testing.T) {
	found := stretches(joined(noise(500, -60), voice(50_000, -25)))
	require.GreaterOrEqual(t, len(found), 2)
	assert.InDelta(t, longest, found[0][1]-found[0][0], 1)
	// After a while, a short pause is enough.
	found = stretches(joined(noise(500, -60), voice(13_000, -25), noise(300, -60), voice(2000, -25), noise(1500, -60)))
	assert.Len(t, found, 2)
}

func TestNoiseThatBeginsIsTakenForVoiceOnlyForSomeSeconds(t *testing.T) {
	found := stretches(joined(make([]int16, SampleRate), noise(30_000, -40)))
	require.Len(t, found, 1)
	assert.Less(t, found[0][1]-found[0][0], 10*50)
}

func TestTheBeginningOfAnUtteranceIsNotLost(t *testing.T) {
	sound := joined(noise(1000, -60), voice(400, -25), noise(1500, -60))
	found := stretches(sound)
	require.Len(t, found, 1)
	assert.Less(t, found[0][0]+1-before, 50-5, "a tenth of a second before the voice, and more")
}

func TestADetectorTakesSamplesOfAnyNumber(t *testing.T) {
	sound := joined(noise(1000, -60), voice(400, -25), noise(1500, -60))
	for _, size := range []int{1, 97, 160, 1000} {
		var d Detector
		spoke, quiet := false, true
		for i := 0; i < len(sound); i += size {
			heard := d.Hear(sound[i:min(i+size, len(sound))])
			spoke = spoke || heard
			quiet = !heard
		}
		assert.True(t, spoke, size)
		assert.True(t, quiet, size)
	}
}
