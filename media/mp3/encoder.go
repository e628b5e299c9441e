package mp3

import "io"

// What an [Encoder] writes: MPEG-2.5 layer III at 8000 samples a second, the rate of telephones.
const (
	EncoderRate  = 8000
	FrameSamples = lines // of each channel in a frame

	kbitsPerChannel = 32
	frameBytes      = 72 * 1000 * kbitsPerChannel / EncoderRate // for each channel
)

// FrameBytes is the size of each frame.
func FrameBytes(channels int) int { return frameBytes * channels }

// Encoder writes MP3 of constant bit rate, 32 kbit/s for each channel, in frames that depend on none before them: a file
// that ends anywhere can be played up to there. The sound of a telephone takes some four bits a line, which leaves nothing
// that masking would have to hide: the noise is spread evenly, and all blocks are long.
//
// What comes out of a decoder is late by 1057 samples, as filter banks have it. One goroutine may use it.
type Encoder struct {
	w        io.Writer
	channels []*channelEncoder
	pending  []int16 // of a frame that is not full
	frame    bitWriter
}

// channelEncoder is the state of one channel.
type channelEncoder struct {
	analysis analysis
	mdct     mdct
	spectrum [lines]float32
	quantizer
}

// NewEncoder returns an encoder of so many channels, one or two, that writes to w.
func NewEncoder(w io.Writer, channels int) *Encoder {
	e := &Encoder{w: w}
	for range channels {
		e.channels = append(e.channels, &channelEncoder{})
	}
	return e
}

// Encode takes samples, those of two channels in turn, and writes the frames that are full. The error is the writer's.
func (e *Encoder) Encode(samples []int16) error {
	size := FrameSamples * len(e.channels)
	for len(samples) > 0 {
		n := min(len(samples), size-len(e.pending))
		e.pending = append(e.pending, samples[:n]...)
		samples = samples[n:]
		if len(e.pending) < size {
			return nil
		}
		err := e.write(e.pending)
		e.pending = e.pending[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// delay is how late the sound comes out of a decoder, in samples: half of what the polyphase filter banks hold, and a frame
// for the overlap.
const delay = 481 + FrameSamples

// Close writes what is left, so that a decoder gives out all of the sound. It does not close the writer.
func (e *Encoder) Close() error {
	rest := len(e.pending) / len(e.channels)
	frames := (rest + delay + FrameSamples - 1) / FrameSamples
	return e.Encode(make([]int16, (frames*FrameSamples-rest)*len(e.channels)))
}

// write makes a frame of one granule.
func (e *Encoder) write(samples []int16) error {
	n := len(e.channels)
	size := FrameBytes(n)
	w := &e.frame
	w.b = w.b[:0]
	side := 9
	header := [4]byte{0xFF, 0xE3, 0x48, 0xC4} // MPEG-2.5, layer III, no CRC; 32 kbit/s, 8 kHz; mono, original
	if n == 2 {
		side = 17
		header = [4]byte{0xFF, 0xE3, 0x88, 0x04} // 64 kbit/s; stereo
	}
	w.b = append(w.b, header[:]...)
	room := min((size-headerSize-side)*8/n, 1<<12-1) // bits for the spectrum of a channel
	w.bits(0, 8)                                     // the main data begins in this frame
	w.bits(0, n)                                     // private
	for i, c := range e.channels {
		c.transform(samples[i:], n)
		c.quantize(&c.spectrum, room)
		c.writeSide(w)
	}
	for _, c := range e.channels {
		c.writeLines(w)
	}
	w.pad(size)
	_, err := e.w.Write(w.b)
	return err
}

// transform turns the samples of a frame into its spectrum; every step-th is this channel's.
func (c *channelEncoder) transform(samples []int16, step int) {
	var bandSamples [slots][subbands]float32
	for slot := range slots {
		var in [subbands]float32
		for i := range in {
			in[i] = float32(samples[(slot*subbands+i)*step]) / 32768
		}
		c.analysis.run(&in, &bandSamples[slot])
	}
	c.mdct.run(&bandSamples, &c.spectrum)
}
