package media

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/callengine/callengine/media/jitter"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
)

// bands are the levels of a piece of sound in some bands, in decibels.
func bands(pcm []int16) (of [16]float64) {
	for band := range of {
		power := 1.0
		for _, hertz := range []float64{120 + 230*float64(band), 235 + 230*float64(band)} {
			var re, im float64
			for i, v := range pcm {
				w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
				re += w * float64(v) * math.Cos(2*math.Pi*hertz*float64(i)/SampleRate)
				im += w * float64(v) * math.Sin(2*math.Pi*hertz*float64(i)/SampleRate)
			}
			power += re*re + im*im
		}
		of[band] = 10 * math.Log10(power)
	}
	return of
}

// distance is how much the spectra of two sounds differ on average, in decibels (log-spectral distance), where there is something
// to be heard and the packets of 20 ms are in question.
func distance(is, should []int16, which []bool) float64 {
	sum, n := 0.0, 0
	for i, in := range which {
		if (i+1)*160 > min(len(is), len(should)) || !in || loudness(should[i*160:(i+1)*160]) < 200 {
			continue
		}
		a, b := bands(is[i*160:(i+1)*160]), bands(should[i*160:(i+1)*160])
		square := 0.0
		for band := range a {
			square += (a[band] - b[band]) * (a[band] - b[band])
		}
		sum += math.Sqrt(square / float64(len(a)))
		n++
	}
	return sum / float64(n)
}

// TestSpeechWithLossIsNearerToWhatWasSaidThanWithSilence loses 5 % of the packets of a voice.
func TestSpeechWithLossIsNearerToWhatWasSaidThanWithSilence(t *testing.T) {
	t.Parallel()
	spoken := speechOf(t, sentence+" Four hours of steady work faced us. A large size in stockings is hard to sell. The boy was there when the sun rose.")
	for _, codec := range Codecs() {
		random := rand.New(rand.NewPCG(5, 6))
		h := newHearing(noCounters{})
		e, payload := newEncoder(codec), make([]byte, maxPayload)
		start := time.Unix(1000, 0)
		var heard []int16
		lost := make([]bool, len(spoken)/160)
		for i := range lost {
			now := start.Add(time.Duration(i) * 20 * time.Millisecond)
			n := e.encode(payload, spoken[i*160:(i+1)*160])
			lost[i] = random.IntN(100) < 5
			if !lost[i] {
				h.put(codec, &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(i), Timestamp: uint32(codec.ticks(160 * i)), SSRC: 1}, Payload: payload[:n]}, now)
			}
			pcm := make([]int16, 160)
			h.take(pcm, now)
			heard = append(heard, pcm...)
		}
		whole := through(t, codec, spoken)
		heard = heard[jitter.First:]
		silenced := append([]int16(nil), whole...)
		for i, gone := range lost {
			if gone {
				clear(silenced[i*160 : (i+1)*160])
			}
		}
		got, silence := distance(heard, whole, lost), distance(silenced, whole, lost)
		t.Logf("%v: %.1f dB from what was said, silence %.1f dB", codec, got, silence)
		assert.Less(t, got, silence/2, "%v", codec)
		assert.InDelta(t, 1, loudness(heard)/loudness(whole), 0.15, "%v", codec)
	}
}
