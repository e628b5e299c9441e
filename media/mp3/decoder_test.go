package mp3

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func audioFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "audio", name))
	require.NoError(t, err)
	return b
}

// decode decodes a whole file.
func decode(t testing.TB, r io.Reader) (pcm []int16, rate int) {
	t.Helper()
	d, err := NewDecoder(r)
	require.NoError(t, err)
	buf := make([]int16, 1000)
	for {
		n, err := d.ReadFrame(buf)
		pcm = append(pcm, buf[:n]...)
		if err == io.EOF {
			return pcm, d.SampleRate()
		}
		require.NoError(t, err)
	}
}

// likeness returns how far the difference of two sounds is below the first, in decibels.
func likeness(want, got []int16) float64 {
	var signal, noise float64
	for i := range want {
		signal += float64(want[i]) * float64(want[i])
		d := float64(want[i]) - float64(got[i])
		noise += d * d
	}
	return 10 * math.Log10(signal/noise)
}

// clicks.wav is what ffmpeg decodes of clicks.mp3: joint stereo, with block types of all kinds.
func TestDecodesAsOthersDo(t *testing.T) {
	t.Parallel()
	wav := audioFile(t, "clicks.wav")
	at := bytes.Index(wav, []byte("data")) + 8
	want := make([]int16, len(wav[at:])/2)
	for i := range want {
		want[i] = int16(binary.LittleEndian.Uint16(wav[at+2*i:]))
	}
	got, rate := decode(t, bytes.NewReader(audioFile(t, "clicks.mp3")))
	assert.Equal(t, 32000, rate)
	require.Len(t, got, len(want))
	assert.Greater(t, likeness(want, got), 80.0)
}

func TestDecodesAllVersionsAndRates(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]int{
		"mpeg1-44k.mp3": 44100, "mpeg1-32k-stereo.mp3": 32000, "mpeg2-22k.mp3": 22050, "mpeg2-16k-stereo.mp3": 16000,
		"mpeg25-12k.mp3": 12000, "mpeg25-8k.mp3": 8000,
	} {
		t.Run(name, func(t *testing.T) {
			pcm, got := decode(t, bytes.NewReader(audioFile(t, name)))
			assert.Equal(t, rate, got)
			assert.InDelta(t, 0.5, float64(len(pcm))/float64(rate), 0.2, "half a second, and what the encoder adds")
			middle := pcm[len(pcm)/2 : len(pcm)/2+rate/20] // 22 periods
			var re, im, power float64
			for i, s := range middle {
				a := 2 * math.Pi * 440 * float64(i) / float64(rate)
				re += float64(s) * math.Cos(a)
				im += float64(s) * math.Sin(a)
				power += float64(s) * float64(s)
			}
			tone := 2 * (re*re + im*im) / float64(len(middle))
			assert.Greater(t, tone/power, 0.999, "a tone of 440 Hz and nothing else")
		})
	}
}

func TestReadsAStreamAsItComes(t *testing.T) {
	t.Parallel()
	file := audioFile(t, "clicks.mp3")
	whole, _ := decode(t, bytes.NewReader(file))
	pieces, _ := decode(t, iotest.OneByteReader(bytes.NewReader(file)))
	assert.Equal(t, whole, pieces)
}

// tag returns an ID3 tag with so many bytes in it.
func tag(size int) []byte {
	return append([]byte{'I', 'D', '3', 4, 0, 0, 0, 0, byte(size >> 7), byte(size & 0x7F)}, make([]byte, size)...)
}

func TestPassesOverWhatIsNoSound(t *testing.T) {
	t.Parallel()
	file := audioFile(t, "mpeg2-16k-stereo.mp3")
	sound := file[bytes.IndexByte(file, 0xFF):] // without the encoder's own tag
	want, _ := decode(t, bytes.NewReader(sound))
	footed := tag(3000)
	footed[5] = 0x10
	for name, around := range map[string][2][]byte{
		"a tag":               {tag(3000), nil},
		"a tag with a footer": {append(footed, make([]byte, 10)...), nil},
		"two tags":            {append(tag(10), tag(200)...), nil},
		"garbage before":      {bytes.Repeat([]byte{0xFF, 0xFB, 0x90, 0}, 3), nil},
		"an old tag behind":   {nil, append([]byte("TAG"), make([]byte, 125)...)},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := decode(t, io.MultiReader(bytes.NewReader(around[0]), bytes.NewReader(sound), bytes.NewReader(around[1])))
			assert.Equal(t, want, got)
		})
	}
}

func TestTakesUpAgainAfterDamage(t *testing.T) {
	t.Parallel()
	file := audioFile(t, "mpeg1-32k-stereo.mp3")
	want, _ := decode(t, bytes.NewReader(file))
	for name, damaged := range map[string][]byte{
		"bytes are lost":    append(append([]byte{}, file[:1500]...), file[1600:]...),
		"bytes are added":   append(append(append([]byte{}, file[:1500]...), bytes.Repeat([]byte{0xFF}, 999)...), file[1500:]...),
		"bytes are changed": append(append(append([]byte{}, file[:1500]...), make([]byte, 100)...), file[1600:]...),
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := decode(t, bytes.NewReader(damaged))
			assert.InDelta(t, len(want), len(got), 4*1152)
			tail := 4000
			assert.Greater(t, likeness(want[len(want)-tail:], got[len(got)-tail:]), 60.0, "the end is as it was")
		})
	}
}

func TestRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"an ogg":           audioFile(t, "tone.ogg"),
		"a WAV file":       audioFile(t, "pcm-8k.wav"),
		"text":             []byte("<!DOCTYPE html><html>"),
		"a tag alone":      tag(100),
		"a tag cut off":    tag(1000)[:500],
		"no end of zeros":  make([]byte, 2*maxGarbage),
		"headers, no more": bytes.Repeat([]byte{0xFF, 0xFB, 0x90, 0}, 20),
	} {
		_, err := NewDecoder(bytes.NewReader(b))
		assert.ErrorIs(t, err, ErrFormat, name)
	}
}

func TestTellsATransferThatBroke(t *testing.T) {
	t.Parallel()
	file := audioFile(t, "mpeg25-8k.mp3")
	for cut := 0; cut < len(file); cut += 97 {
		d, err := NewDecoder(io.MultiReader(bytes.NewReader(file[:cut]), iotest.ErrReader(iotest.ErrTimeout)))
		for err == nil {
			_, err = d.ReadFrame(make([]int16, 100))
		}
		assert.ErrorIs(t, err, iotest.ErrTimeout, "after %d bytes", cut)
	}
}

func TestHuffmanTablesAreComplete(t *testing.T) {
	t.Parallel()
	trees := map[string]tree{"quads A": quads[0], "quads B": quads[1]}
	for i, p := range pairs {
		if p.tree != nil {
			trees["pairs "+string(rune('0'+i/10))+string(rune('0'+i%10))] = p.tree
		}
	}
	assert.Len(t, trees, 2+29)
	for name, tr := range trees {
		values := map[int16]bool{}
		for i, node := range tr {
			for _, branch := range node {
				require.NotEqual(t, int16(0), branch, "%s: node %d leads nowhere", name, i)
				if branch < 0 {
					require.False(t, values[branch], "%s: a value twice", name)
					values[branch] = true
				}
			}
		}
		assert.Len(t, values, len(tr)+1, name)
	}
}

// BenchmarkDecode decodes half a second of 32 kHz stereo.
func BenchmarkDecode(b *testing.B) {
	file := audioFile(b, "mpeg1-32k-stereo.mp3")
	b.ReportAllocs()
	for b.Loop() {
		decode(b, bytes.NewReader(file))
	}
}

// FuzzDecode: no panic, and no more sound than the smallest frames would hold.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"mpeg1-32k-stereo.mp3", "mpeg2-16k-stereo.mp3", "mpeg25-8k.mp3", "clicks.mp3"} {
		f.Add(audioFile(f, name)[:1500])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := NewDecoder(bytes.NewReader(b))
		if err != nil {
			return
		}
		n, total, buf := 0, 0, make([]int16, 1000)
		for err == nil {
			n, err = d.ReadFrame(buf)
			total += n
		}
		require.ErrorIs(t, err, io.EOF)
		require.LessOrEqual(t, total, 1152*(len(b)/24+1))
	})
}
