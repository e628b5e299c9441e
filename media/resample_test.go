package media

import (
	"fmt"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sine is a tone of some length at a rate, which is read in pieces of at most `piece` samples.
type sine struct {
	hertz, rate, amplitude float64
	at, length, piece      int
}

func (s *sine) ReadFrame(dst []int16) (int, error) {
	if s.at == s.length {
		return 0, io.EOF
	}
	n := min(len(dst), s.length-s.at, s.piece)
	for i := range n {
		dst[i] = int16(math.Round(s.amplitude * math.Sin(2*math.Pi*s.hertz*float64(s.at+i)/s.rate)))
	}
	s.at += n
	return n, nil
}

func readFrames(t testing.TB, src frames) []int16 {
	t.Helper()
	var all []int16
	buf := make([]int16, 160)
	for {
		n, err := src.ReadFrame(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
	}
}

func TestResampleKeepsTheBandAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{6000, 8000, 11025, 22050, 44099, 48000} {
		for _, hertz := range []float64{100, 1000, 3400, 4500, 15000} {
			if hertz > float64(rate)/2*0.9 {
				continue
			}
			t.Run(fmt.Sprintf("%d to 8000/%g Hz", rate, hertz), func(t *testing.T) {
				src := &sine{hertz: hertz, rate: float64(rate), amplitude: 20000, length: rate / 2, piece: 333}
				pcm := readFrames(t, resample(src, rate))
				assert.InDelta(t, SampleRate/2, len(pcm), 2, "half a second stays that")
				middle := pcm[1000:3000] // without the ends, which cut the tone off
				if hertz < 4000 {
					assert.InDelta(t, 20000, level(middle, hertz), 300)
					return
				}
				var power float64
				for _, s := range middle {
					power += float64(s) * float64(s)
				}
				assert.Less(t, math.Sqrt(power/float64(len(middle))), 20.0, "60 dB down")
			})
		}
	}
}

func TestResampleDoesNotOverflow(t *testing.T) {
	t.Parallel()
	square := make([]int16, 4410)
	for i := range square {
		square[i] = 32767
		if i/40%2 == 1 {
			square[i] = -32768
		}
	}
	pcm := readFrames(t, resample(&samples{pcm: square}, 44100))
	for i := 1; i < len(pcm); i++ {
		assert.Less(t, math.Abs(float64(pcm[i])-float64(pcm[i-1])), 65536.0)
	}
	assert.Equal(t, int16(32767), maximum(pcm), "the overshoot is cut off, not wrapped")
}

// samples are frames in memory, ending with err or io.EOF.
type samples struct {
	pcm []int16
	err error
}

func (s *samples) ReadFrame(dst []int16) (int, error) {
	if len(s.pcm) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		return 0, io.EOF
	}
	n := copy(dst, s.pcm)
	s.pcm = s.pcm[n:]
	return n, nil
}

func maximum(pcm []int16) int16 {
	m := int16(math.MinInt16)
	for _, s := range pcm {
		m = max(m, s)
	}
	return m
}

func TestResamplePassesErrorsOn(t *testing.T) {
	t.Parallel()
	r := resample(&samples{pcm: make([]int16, 1000), err: iotest.ErrTimeout}, 16000)
	buf := make([]int16, 4000)
	total := 0
	for {
		n, err := r.ReadFrame(buf)
		total += n
		if err != nil {
			assert.ErrorIs(t, err, iotest.ErrTimeout)
			break
		}
	}
	assert.Greater(t, total, 400)
}
