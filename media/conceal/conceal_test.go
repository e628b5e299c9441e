package conceal

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// voice is a sound of the given pitch with some harmonics, of the level 8000.
func voice(hertz float64, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		t := 2 * math.Pi * hertz * float64(i) / 8000
		pcm[i] = int16(4000*math.Sin(t) + 2500*math.Sin(2*t+1) + 1500*math.Sin(5*t+2))
	}
	return pcm
}

// power returns the mean square.
func power(pcm []int16) (p float64) {
	for _, v := range pcm {
		p += float64(v) * float64(v)
	}
	return p / float64(len(pcm))
}

// apart returns how far two sounds differ, in decibels below the first.
func apart(is, should []int16) float64 {
	var noise float64
	for i := range is {
		d := float64(is[i]) - float64(should[i])
		noise += d * d
	}
	return 10 * math.Log10(power(should)*float64(len(is))/max(noise, 1e-9))
}

// steepest returns the greatest step between two samples.
func steepest(pcm []int16) (most int) {
	for i := 1; i < len(pcm); i++ {
		most = max(most, max(int(pcm[i])-int(pcm[i-1]), int(pcm[i-1])-int(pcm[i])))
	}
	return most
}

func TestALostPacketOfAVoiceIsMadeUpFromItsPeriod(t *testing.T) {
	for _, hertz := range []float64{80, 100, 125, 160, 195} {
		whole := voice(hertz, 1600)
		var c Concealer
		heard := append([]int16(nil), whole...)
		for at := 0; at < 800; at += 160 {
			c.Heard(heard[at : at+160])
		}
		c.Conceal(heard[800:960])
		for at := 960; at < 1600; at += 160 {
			c.Heard(heard[at : at+160])
		}
		assert.Greater(t, apart(heard[800:880], whole[800:880]), 12.0, "%v Hz: the first 10 ms are as they were", hertz)
		assert.Greater(t, apart(heard[800:960], whole[800:960]), 6.0, "%v Hz", hertz)
		assert.Equal(t, whole[1120:], heard[1120:], "what came is not touched, its beginning aside")
		assert.LessOrEqual(t, steepest(heard), steepest(whole)*3/2, "%v Hz: no click", hertz)
	}
}

func TestWhatIsMadeUpFadesOut(t *testing.T) {
	var c Concealer
	c.Heard(voice(120, 800))
	made := make([]int16, 960)
	c.Conceal(made)
	last := math.Inf(1)
	for at := 80; at < 480; at += 80 {
		now := power(made[at : at+80])
		assert.Less(t, now, last, "%d ms", at/8)
		last = now
	}
	assert.Equal(t, make([]int16, 960-Faded), made[Faded:], "60 ms are enough to make up")
	back := voice(120, 160)
	c.Heard(back)
	assert.Less(t, int(back[0]), 1000, "and it does not begin with a click")
}

func TestThereIsSilenceInPlaceOfSilence(t *testing.T) {
	var c Concealer
	made := make([]int16, 320)
	c.Conceal(made)
	assert.Equal(t, make([]int16, 320), made, "nothing came yet")
	c.Heard(make([]int16, 160))
	c.Conceal(made)
	assert.Equal(t, make([]int16, 320), made)
}

func TestPeriodsAreFound(t *testing.T) {
	for _, lag := range []int{40, 57, 80, 100, 120} {
		found, likeness := Period(voice(8000/float64(lag), 480), shortest, longest, compared)
		// A period's multiple is as good.
		assert.Zero(t, found%lag, "%d: %d", lag, found)
		assert.Greater(t, likeness, 0.95)
	}
	noise := make([]int16, 480)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = int16(random.IntN(8000) - 4000)
	}
	_, likeness := Period(noise, shortest, longest, compared)
	assert.Less(t, likeness, 0.5)
	_, likeness = Period(make([]int16, 480), shortest, longest, compared)
	assert.Zero(t, likeness)
}

func TestConcealingAllocatesNothing(t *testing.T) {
	var c Concealer
	pcm := voice(100, 160)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		c.Heard(pcm)
		c.Conceal(pcm)
	}))
}

func BenchmarkConceal(b *testing.B) {
	var c Concealer
	sound, made := voice(100, 160), make([]int16, 160)
	b.ReportAllocs()
	for b.Loop() {
		c.Heard(sound)
		c.Conceal(made)
	}
}
