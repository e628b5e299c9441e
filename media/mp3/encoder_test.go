package mp3

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// encode encodes the samples of all channels.
func encode(t testing.TB, channels int, samples []int16) []byte {
	t.Helper()
	var b bytes.Buffer
	e := NewEncoder(&b, channels)
	for from := 0; from < len(samples); from += 1000 { // not in whole frames
		require.NoError(t, e.Encode(samples[from:min(from+1000, len(samples))]))
	}
	require.NoError(t, e.Close())
	return b.Bytes()
}

// telephone is so many samples of a kind of sound.
func telephone(kind string, n int) []int16 {
	random := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, n)
	for i := range pcm {
		switch at := float64(i) / EncoderRate; kind {
		case "tone":
			pcm[i] = int16(12000 * math.Sin(2*math.Pi*1004*at))
		case "digit":
			pcm[i] = int16(8000*math.Sin(2*math.Pi*697*at) + 8000*math.Sin(2*math.Pi*1209*at))
		case "noise":
			pcm[i] = int16(random.NormFloat64() * 3000)
		case "square": // as loud as can be
			pcm[i] = 32767
			if math.Sin(2*math.Pi*440*at) < 0 {
				pcm[i] = -32768
			}
		case "clicks":
			if i%2000 == 0 {
				pcm[i] = 30000
			}
		}
	}
	return pcm
}

func TestWhatIsEncodedIsDecodedAlike(t *testing.T) {
	t.Parallel()
	for kind, least := range map[string]float64{"tone": 50, "digit": 45, "noise": 15, "square": 18, "clicks": 12} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			want := telephone(kind, 40000)
			got, rate := decode(t, bytes.NewReader(encode(t, 1, want)))
			assert.Equal(t, EncoderRate, rate)
			require.GreaterOrEqual(t, len(got), len(want)+delay, "all of it comes out")
			assert.Less(t, len(got), len(want)+delay+2*FrameSamples)
			assert.Greater(t, likeness(want, got[delay:]), least)
		})
	}
}

func TestSilenceIsDecodedAsSilence(t *testing.T) {
	t.Parallel()
	got, _ := decode(t, bytes.NewReader(encode(t, 2, make([]int16, 8000))))
	for _, v := range got {
		require.Zero(t, v)
	}
}

func TestFramesAreAllOfOneSizeAndStandAlone(t *testing.T) {
	t.Parallel()
	for channels := 1; channels <= 2; channels++ {
		file := encode(t, channels, telephone("noise", 40000*channels))
		size := FrameBytes(channels)
		require.Zero(t, len(file)%size)
		for at := 0; at < len(file); at += size {
			h, ok := parseHeader(file[at:])
			require.True(t, ok)
			assert.Equal(t, size, h.size)
			assert.Equal(t, channels, h.channels)
			assert.Zero(t, file[at+headerSize], "the main data begins in this frame")
		}
		whole, _ := decode(t, bytes.NewReader(file))
		rest, _ := decode(t, bytes.NewReader(file[10*size:]))
		assert.Equal(t, whole[12*FrameSamples:], rest[2*FrameSamples:], "what is before is not needed")
	}
}

func TestEachChannelHasItsSound(t *testing.T) {
	t.Parallel()
	tone, both := telephone("tone", 20000), make([]int16, 40000)
	for i, v := range tone {
		both[2*i] = v
	}
	got, _ := decode(t, bytes.NewReader(encode(t, 2, both))) // mixed down
	half := make([]int16, len(tone))
	for i, v := range tone {
		half[i] = v / 2
	}
	assert.Greater(t, likeness(half, got[delay:]), 45.0)
}

func TestTheWritersErrorIsTold(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	e := NewEncoder(writerFunc(func([]byte) (int, error) { return 0, full }), 1)
	assert.NoError(t, e.Encode(make([]int16, 575)))
	assert.ErrorIs(t, e.Encode(make([]int16, 1)), full)
	assert.ErrorIs(t, e.Close(), full)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func BenchmarkEncode(b *testing.B) {
	pcm := telephone("noise", FrameSamples)
	e := NewEncoder(writerFunc(func(p []byte) (int, error) { return len(p), nil }), 1)
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Encode(pcm)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/72e6, "cores/channel")
}
