package media

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chunk returns a chunk of a WAV file, with the size that is given rather than its own if size is not negative.
func chunk(id string, size int, body ...byte) []byte {
	if size < 0 {
		size = len(body)
	}
	b := append([]byte(id), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[4:], uint32(size))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// format returns the body of a format chunk.
func format(tag, channels, rate, bits int) []byte {
	var b []byte
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*bits/8))
	return binary.LittleEndian.AppendUint16(b, uint16(bits))
}

// extensible returns the body of an extensible format chunk.
func extensible(tag, channels, rate, bits int) []byte {
	b := append(format(wavExtensible, channels, rate, bits), 22, 0, byte(bits), 0, 4, 0, 0, 0, byte(tag), byte(tag>>8))
	return append(b, wavGUID...)
}

func riff(size int, chunks ...[]byte) []byte {
	return chunk("RIFF", size, append([]byte("WAVE"), bytes.Join(chunks, nil)...)...)
}

func TestWAVReads(t *testing.T) {
	t.Parallel()
	pcm8k := chunk("fmt ", -1, format(wavPCM, 1, 8000, 16)...)
	three := []byte{1, 0, 2, 0, 0xFF, 0xFF}
	for name, tc := range map[string]struct {
		file []byte
		want []int16
	}{
		"PCM":                         {riff(-1, pcm8k, chunk("data", -1, three...)), []int16{1, 2, -1}},
		"stereo is mixed down":        {riff(-1, chunk("fmt ", -1, format(wavPCM, 2, 8000, 16)...), chunk("data", -1, 10, 0, 20, 0, 0xFF, 0x7F, 0xFF, 0x7F)), []int16{15, 32767}},
		"μ-law":                       {riff(-1, chunk("fmt ", -1, format(wavMuLaw, 1, 8000, 8)...), chunk("data", -1, 0xFF, 0x80)), []int16{0, 32124}},
		"A-law in stereo":             {riff(-1, chunk("fmt ", -1, format(wavALaw, 2, 8000, 8)...), chunk("data", -1, 0xAA, 0xAA)), []int16{32256}},
		"extensible PCM":              {riff(-1, chunk("fmt ", -1, extensible(wavPCM, 1, 8000, 16)...), chunk("data", -1, three...)), []int16{1, 2, -1}},
		"extensible μ-law":            {riff(-1, chunk("fmt ", -1, extensible(wavMuLaw, 1, 8000, 8)...), chunk("data", -1, 0x80)), []int16{32124}},
		"other chunks of odd size":    {riff(-1, chunk("LIST", -1, 1, 2, 3), pcm8k, chunk("fact", -1, 0), chunk("data", -1, three...), chunk("LIST", -1, 9, 9)), []int16{1, 2, -1}},
		"a size of RIFF that is zero": {riff(0, pcm8k, chunk("data", -1, three...)), []int16{1, 2, -1}},
		"streamed":                    {riff(0xFFFFFFFF, pcm8k, chunk("data", 0xFFFFFFFF, three...)), []int16{1, 2, -1}},
		"streamed by espeak-ng":       {riff(0x7FFFF024, pcm8k, chunk("data", 0x7FFFF000, three...)), []int16{1, 2, -1}},
		"streamed with zero sizes":    {riff(0, pcm8k, chunk("data", 0, three...)), []int16{1, 2, -1}},
		"no sound":                    {riff(-1, pcm8k, chunk("data", 0), chunk("LIST", -1, 1, 2)), nil},
		"cut off":                     {riff(-1, pcm8k, chunk("data", 1000, three...)), []int16{1, 2, -1}},
		"cut off in a sample":         {riff(-1, pcm8k, chunk("data", 1000, three...))[:12+8+16+8+5], []int16{1, 2}},
		"half a sample too much":      {riff(-1, pcm8k, chunk("data", 5, three...)), []int16{1, 2}},
		"a long format chunk":         {riff(-1, chunk("fmt ", -1, append(format(wavPCM, 1, 8000, 16), make([]byte, 51)...)...), chunk("data", -1, three...)), []int16{1, 2, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			for reading, r := range map[string]io.Reader{
				"at once":      bytes.NewReader(tc.file),
				"byte by byte": iotest.OneByteReader(bytes.NewReader(tc.file)),
			} {
				w, err := openWAV(r)
				require.NoError(t, err, reading)
				assert.Equal(t, tc.want, readFrames(t, w), reading)
			}
		})
	}
}

func TestWAVRefuses(t *testing.T) {
	t.Parallel()
	data := chunk("data", -1, 1, 2)
	for name, tc := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":              {nil, "not a WAV file"},
		"an ogg":               {[]byte("OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"), "not a WAV file"},
		"an AVI":               {[]byte("RIFF\x00\x00\x00\x00AVI LIST"), "not a WAV file"},
		"8 bits":               {riff(-1, chunk("fmt ", -1, format(wavPCM, 1, 8000, 8)...), data), "WAV format 0x0001 with 8 bits is not supported; 16 bits are"},
		"floats":               {riff(-1, chunk("fmt ", -1, format(3, 1, 8000, 32)...), data), "WAV format 0x0003 is not supported; PCM, A-law and μ-law are"},
		"six channels":         {riff(-1, chunk("fmt ", -1, format(wavPCM, 6, 8000, 16)...), data), "WAV with 6 channels is not supported; mono and stereo are"},
		"no channels":          {riff(-1, chunk("fmt ", -1, format(wavPCM, 0, 8000, 16)...), data), "WAV with 0 channels is not supported; mono and stereo are"},
		"no rate":              {riff(-1, chunk("fmt ", -1, format(wavPCM, 1, 0, 16)...), data), "WAV with 0 samples a second is not supported; 1000 to 384000 are"},
		"no format":            {riff(-1, data), "the WAV file says nothing of its format before the sound"},
		"a short format":       {riff(-1, chunk("fmt ", -1, 1, 0), data), "the WAV file's format has 2 bytes in place of 16"},
		"an end in the format": {riff(-1, chunk("fmt ", 16, 1, 0)), "the WAV file ends in its format"},
		"no data":              {riff(-1, chunk("fmt ", -1, format(wavPCM, 1, 8000, 16)...)), "the WAV file has no sound"},
		"a chunk without end":  {riff(-1, chunk("LIST", 0x7FFFFFFF, 1, 2)), "the WAV file has no sound"},
		"unknown extensible":   {riff(-1, chunk("fmt ", -1, append(extensible(wavPCM, 1, 8000, 16)[:39], 0)...), data), "WAV format 0xfffe is not supported; PCM, A-law and μ-law are"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openWAV(bytes.NewReader(tc.file))
			assert.EqualError(t, err, tc.want)
		})
	}
}

func TestWAVTellsATransferThatBroke(t *testing.T) {
	t.Parallel()
	file := riff(-1, chunk("fmt ", -1, format(wavPCM, 1, 8000, 16)...), chunk("data", 1000, 1, 0))
	for cut := range len(file) {
		w, err := openWAV(io.MultiReader(bytes.NewReader(file[:cut]), iotest.ErrReader(iotest.ErrTimeout)))
		for err == nil {
			_, err = w.ReadFrame(make([]int16, 10))
		}
		assert.ErrorIs(t, err, iotest.ErrTimeout, "after %d bytes", cut)
	}
}

// audioFile returns a file of the folder of test sounds.
func audioFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "audio", name))
	require.NoError(t, err)
	return b
}

func TestAudioFilesSoundTheSame(t *testing.T) {
	t.Parallel()
	for name, amplitude := range map[string]float64{
		"pcm-8k.wav": 16384, "pcm-16k.wav": 16384, "pcm-22k.wav": 16384, "ulaw.wav": 16384, "alaw.wav": 16384,
		"pcm-44k-stereo.wav": 8192, // on the left alone

		// The encoder takes 5% off.
		"mpeg1-44k.mp3": 15565, "mpeg2-22k.mp3": 15565, "mpeg25-12k.mp3": 15565, "mpeg25-8k.mp3": 15565,
		"mpeg1-32k-stereo.mp3": 7782, "mpeg2-16k-stereo.mp3": 7782,
	} {
		t.Run(name, func(t *testing.T) {
			kind := wavFile
			if filepath.Ext(name) == ".mp3" {
				kind = mp3File
			}
			sound, err := openAudio(kind, bytes.NewReader(audioFile(t, name)))
			require.NoError(t, err)
			pcm := readFrames(t, sound)
			middle := pcm[len(pcm)/2-200 : len(pcm)/2+200] // 22 periods of 440 Hz
			assert.InDelta(t, amplitude, level(middle, 440), amplitude/50)
		})
	}
}

func TestAudioFilesRefused(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fileType{"tone.ogg": wavFile, "pcm8.wav": wavFile, "pcm-8k.wav": mp3File, "mpeg1-44k.mp3": wavFile} {
		_, err := openAudio(kind, bytes.NewReader(audioFile(t, name)))
		assert.Error(t, err, name)
	}
	_, err := openAudio(mp3File, bytes.NewReader(audioFile(t, "tone.ogg")))
	assert.EqualError(t, err, "not an MP3 file")
}

// FuzzWAV: no panic, and no more sound than there are bytes.
func FuzzWAV(f *testing.F) {
	for _, name := range []string{"pcm-8k.wav", "ulaw.wav", "pcm8.wav"} {
		f.Add(audioFile(f, name)[:200])
	}
	f.Add(riff(-1, chunk("fmt ", -1, extensible(wavALaw, 2, 44100, 8)...), chunk("data", 0xFFFFFFFF, 1, 2, 3, 4, 5)))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := openWAV(bytes.NewReader(b))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(readFrames(t, w)), len(b))
	})
}

// FuzzMP3: no panic, and an end.
func FuzzMP3(f *testing.F) {
	for _, name := range []string{"mpeg1-32k-stereo.mp3", "mpeg2-16k-stereo.mp3", "mpeg25-8k.mp3", "clicks.mp3"} {
		f.Add(audioFile(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sound, err := openAudio(mp3File, bytes.NewReader(b))
		if err != nil {
			require.NotContains(t, err.Error(), "decoder failed")
			return
		}
		g, buf := &guarded{frames: sound}, make([]int16, 1000)
		for err == nil {
			_, err = g.ReadFrame(buf)
		}
		require.ErrorIs(t, err, io.EOF)
	})
}
