package recording

import "github.com/callengine/callengine/media/mp3"

// mp3File writes MP3. Its frames stand alone, so that the file can be played as far as it is there.
type mp3File struct {
	encoder  *mp3.Encoder
	channels int
	file     counter
}

// counter counts what is written.
type counter struct {
	File
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.File.Write(b)
	c.n += int64(n)
	return n, err
}

const mp3Samples = mp3.FrameSamples

func mp3Frame(channels int) int64 { return int64(mp3.FrameBytes(channels)) }

func newMP3(channels int, file File) (encoder, error) {
	f := &mp3File{channels: channels, file: counter{File: file}}
	f.encoder = mp3.NewEncoder(&f.file, channels)
	return f, nil
}

func (f *mp3File) encode(samples []int16) error {
	return f.encoder.Encode(samples)
}

func (f *mp3File) flush() error { return nil }

func (f *mp3File) close() error { return f.encoder.Close() }

func (f *mp3File) size() int64 { return f.file.n }

func (f *mp3File) samples() int { return int(f.file.n/mp3Frame(f.channels)) * mp3Samples }
