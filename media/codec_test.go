package media

import (
	"bytes"
	"encoding/binary"
	"math"
	"os/exec"
	"testing"

	"github.com/callengine/callengine/media/jitter"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// speech is some seconds of a voice.
func speechOf(t testing.TB, text string) (pcm []int16) {
	t.Helper()
	src, err := (&espeak{log: zap.NewNop()}).Synthesize(t.Context(), Utterance{Text: text, Speaker: "en-us+m3"})
	require.NoError(t, err)
	defer src.Close()
	buf := make([]int16, 1600)
	for {
		n, err := src.ReadFrame(buf)
		pcm = append(pcm, buf[:n]...)
		if err != nil {
			return pcm
		}
	}
}

// through passes sound through a codec, 20 ms at a time.
func through(t testing.TB, c Codec, pcm []int16) (heard []int16) {
	t.Helper()
	to, from := newEncoder(c), newDecoder(c)
	payload, sound := make([]byte, maxPayload), make([]int16, jitter.MaxPacket)
	for ; len(pcm) >= 160; pcm = pcm[160:] {
		n := to.encode(payload, pcm[:160])
		require.Positive(t, n)
		n, err := from.Decode(sound, payload[:n])
		require.NoError(t, err)
		require.Equal(t, 160, n)
		heard = append(heard, sound[:n]...)
	}
	return heard
}

// like returns how much one sound is like another, up to 1, and by how many samples it is later.
func like(is, should []int16) (likeness float64, later int) {
	n := min(len(is), len(should), 2*SampleRate) - 400
	for lag := range 100 {
		var product, a, b float64
		for i := range n {
			x, y := float64(is[i+lag]), float64(should[i])
			product, a, b = product+x*y, a+x*x, b+y*y
		}
		if score := product / math.Sqrt(a*b); score > likeness {
			likeness, later = score, lag
		}
	}
	return likeness, later
}

const sentence = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."

func TestSpeechPassesThroughEveryCodec(t *testing.T) {
	t.Parallel()
	spoken := speechOf(t, sentence)
	for codec, want := range map[Codec]float64{PCMU: 0.999, PCMA: 0.999, G722: 0.98, Opus: 0.9} {
		heard := through(t, codec, spoken)
		likeness, later := like(heard, spoken)
		assert.Greater(t, likeness, want, "%v", codec)
		assert.Less(t, later, 100, "%v", codec)
		t.Logf("%v: %.4f, %d samples later", codec, likeness, later)
	}
}

// ffmpeg converts sound.
func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	require.NoError(t, err, failure.String())
	return out
}

func bytesOf(pcm []int16) (b []byte) {
	for _, v := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func samplesOf(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return pcm
}

// TestG722IsThatOfOthers compares with an implementation that has nothing in common with ours.
func TestG722IsThatOfOthers(t *testing.T) {
	t.Parallel()
	spoken := speechOf(t, sentence)
	spoken = spoken[:len(spoken)/160*160]
	t.Run("theirs is heard", func(t *testing.T) {
		theirs := ffmpeg(t, bytesOf(spoken), "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-", "-ar", "16000", "-c:a", "g722", "-f", "g722", "-")
		d, sound, heard := newG722Decoder(), make([]int16, jitter.MaxPacket), []int16(nil)
		for ; len(theirs) >= 160; theirs = theirs[160:] {
			n, err := d.Decode(sound, theirs[:160])
			require.NoError(t, err)
			heard = append(heard, sound[:n]...)
		}
		likeness, _ := like(heard, spoken)
		assert.Greater(t, likeness, 0.98)
		assert.InDelta(t, 1, loudness(heard)/loudness(spoken), 0.1, "as loud")
	})
	t.Run("ours is heard", func(t *testing.T) {
		var ours []byte
		e, payload := newG722Encoder(), make([]byte, maxPayload)
		for pcm := spoken; len(pcm) > 0; pcm = pcm[160:] {
			ours = append(ours, payload[:e.encode(payload, pcm[:160])]...)
		}
		heard := samplesOf(ffmpeg(t, ours, "-f", "g722", "-i", "-", "-ar", "8000", "-f", "s16le", "-"))
		likeness, _ := like(heard, spoken)
		assert.Greater(t, likeness, 0.98)
		assert.InDelta(t, 1, loudness(heard)/loudness(spoken), 0.1, "as loud")
	})
}

func loudness(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}

func sineOf(hertz, rate float64, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(10000 * math.Sin(2*math.Pi*hertz*float64(i)/rate))
	}
	return pcm
}

func TestRatesAreChangedWithoutLossOfWhatATelephoneCarries(t *testing.T) {
	t.Parallel()
	for _, hertz := range []float64{100, 300, 1000, 2500, 3400} {
		up, down := newDoubler(), newHalver()
		wide, narrow := make([]int16, 3200), make([]int16, 1600)
		up.double(wide, sineOf(hertz, SampleRate, 1600))
		assert.InDelta(t, 1, loudness(wide[800:])/loudness(sineOf(hertz, wideRate, 2400)), 0.02, "%v Hz up", hertz)
		down.halve(narrow, sineOf(hertz, wideRate, 3200))
		assert.InDelta(t, 1, loudness(narrow[400:])/loudness(sineOf(hertz, SampleRate, 1200)), 0.02, "%v Hz down", hertz)
	}
	for _, hertz := range []float64{4300, 5000, 7000} {
		down, narrow := newHalver(), make([]int16, 1600)
		down.halve(narrow, sineOf(hertz, wideRate, 3200))
		assert.Less(t, loudness(narrow[400:]), 10.0, "%v Hz is not mistaken for another", hertz)
	}
}

func TestPayloadsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, codec := range Codecs() {
		sound := make([]int16, jitter.MaxPacket)
		for _, payload := range [][]byte{make([]byte, 1400), bytes.Repeat([]byte{255}, 1400)} {
			n, err := newDecoder(codec).Decode(sound, payload)
			if err == nil {
				assert.LessOrEqual(t, n, jitter.MaxPacket, "%v", codec)
			}
		}
	}
	_, err := newDecoder(Opus).Decode(make([]int16, jitter.MaxPacket), nil)
	require.ErrorIs(t, err, errPayload)
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(3), []byte{0x08, 1, 2, 3}, []byte{0x68, 1})
	f.Fuzz(func(t *testing.T, codec uint8, first, second []byte) {
		d := newDecoder(Codec(codec % 4))
		sound := make([]int16, jitter.MaxPacket)
		_, _ = d.Decode(sound, first)
		if own, ok := d.(jitter.Concealer); ok {
			own.Conceal(sound[:160], second)
			own.Conceal(sound[:160], nil)
		}
		_, _ = d.Decode(sound, second)
	})
}

func TestCodecsHaveNames(t *testing.T) {
	t.Parallel()
	for _, codec := range Codecs() {
		named, ok := CodecNamed(codec.String())
		assert.True(t, ok)
		assert.Equal(t, codec, named)
	}
	named, ok := CodecNamed("OPUS")
	assert.True(t, ok)
	assert.Equal(t, Opus, named)
	_, ok = CodecNamed("G729")
	assert.False(t, ok)
}

func BenchmarkCodec(b *testing.B) {
	for _, codec := range Codecs() {
		pcm, payload, sound := sineOf(300, SampleRate, 160), make([]byte, maxPayload), make([]int16, jitter.MaxPacket)
		b.Run(codec.String()+"/encode", func(b *testing.B) {
			e := newEncoder(codec)
			b.ReportAllocs()
			for b.Loop() {
				e.encode(payload, pcm)
			}
		})
		b.Run(codec.String()+"/decode", func(b *testing.B) {
			d := newDecoder(codec)
			payload := payload[:newEncoder(codec).encode(payload, pcm)]
			b.ReportAllocs()
			for b.Loop() {
				_, _ = d.Decode(sound, payload)
			}
		})
	}
}
