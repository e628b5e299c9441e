// Package mp3 decodes MPEG-1, MPEG-2 and MPEG-2.5 layer III sound (ISO/IEC 11172-3 and 13818-3) to mono. It reads a stream
// as it comes, takes up again after damage, and skips tags. The free format, layers I and II are not supported.
package mp3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
)

// ErrFormat means that no layer III sound was found.
var ErrFormat = errors.New("not an MP3 file")

const (
	// maxGarbage is how far from the beginning the first frame may be, tags not counted.
	maxGarbage = 64 << 10

	// maxReservoir is how far back main data may begin: 9 bits of bytes.
	maxReservoir = 511
)

// Decoder decodes a stream. It is not safe for concurrent use.
type Decoder struct {
	r     *bufio.Reader
	first header // of the stream
	begun bool   // the first frame was decoded

	side     sideInfo
	main     []byte // the reservoir, then the main data of the frame
	channels [2]channel
	is       [lines]int32

	pcm     [2 * lines]float32
	pending []float32 // of pcm, not read yet
}

// channel is what lasts from granule to granule of one channel.
type channel struct {
	xr        [lines]float32
	hybrid    hybrid
	subbands  [slots][subbands]float32
	synthesis synthesis
}

// NewDecoder finds the beginning of the sound in r. It returns [ErrFormat] if there is none, or the error of r.
func NewDecoder(r io.Reader) (*Decoder, error) {
	d := &Decoder{r: bufio.NewReaderSize(r, 8192), main: make([]byte, 0, maxReservoir+maxFrame)}
	if err := d.skipTags(); err != nil {
		return nil, err
	}
	h, err := d.seek(maxGarbage)
	if errors.Is(err, io.EOF) {
		err = ErrFormat
	}
	if err != nil {
		return nil, err
	}
	d.first = h
	return d, nil
}

// SampleRate returns the number of samples in a second.
func (d *Decoder) SampleRate() int { return d.first.rate }

// ReadFrame reads up to len(dst) samples, by the rules of [io.Reader].
func (d *Decoder) ReadFrame(dst []int16) (int, error) {
	for len(d.pending) == 0 {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n := min(len(dst), len(d.pending))
	for i, v := range d.pending[:n] {
		dst[i] = int16(min(max(math.RoundToEven(float64(v*32768)), math.MinInt16), math.MaxInt16))
	}
	d.pending = d.pending[n:]
	return n, nil
}

// skipTags skips ID3 tags at the beginning (ID3v2.4 section 3.1).
func (d *Decoder) skipTags() error {
	for {
		b, err := d.r.Peek(10)
		if err != nil || string(b[:3]) != "ID3" {
			return readError(err)
		}
		size := 10 + int(b[6]&0x7F)<<21 + int(b[7]&0x7F)<<14 + int(b[8]&0x7F)<<7 + int(b[9]&0x7F)
		if b[5]&0x10 != 0 {
			size += 10 // a footer
		}
		if _, err := io.CopyN(io.Discard, d.r, int64(size)); err != nil {
			return readError(err)
		}
	}
}

// readError passes the end of the stream over: the next to read will find it.
func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// seek moves to the next header of the stream within limit bytes. A header counts if another follows its frame, or the end.
func (d *Decoder) seek(limit int) (header, error) {
	for range limit {
		b, err := d.r.Peek(headerSize)
		if err != nil {
			return header{}, err
		}
		if h, ok := parseHeader(b); ok && (d.first.rate == 0 || d.first.fits(&h)) {
			b, err := d.r.Peek(h.size + headerSize)
			if err != nil && !errors.Is(err, io.EOF) {
				return header{}, err
			}
			switch {
			case len(b) == h.size+headerSize:
				if after, ok := parseHeader(b[h.size:]); ok && h.fits(&after) {
					return h, nil
				}
			case len(b) >= h.size && len(b) < h.size+headerSize && (d.begun || d.first.rate == 0):
				return h, nil
			}
		}
		if _, err := d.r.Discard(1); err != nil {
			return header{}, err
		}
	}
	return header{}, ErrFormat
}

// next decodes a frame into pending.
func (d *Decoder) next() error {
	b, err := d.r.Peek(headerSize)
	if err != nil {
		return end(err)
	}
	h, ok := parseHeader(b)
	if !ok || !d.first.fits(&h) {
		if h, err = d.seek(math.MaxInt); err != nil {
			return end(err)
		}
		d.main = d.main[:0] // what comes next has lost its reservoir
	}
	frame, err := d.r.Peek(h.size)
	if err != nil {
		return end(err) // a frame that is cut off is not heard
	}
	if d.begun || !isInfo(&h, frame) {
		d.decode(&h, frame)
	}
	d.begun = true
	_, err = d.r.Discard(h.size)
	return err
}

// end makes the end of the stream plain.
func end(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return err
}

// isInfo reports whether a first frame holds no sound, but tells of the file (LAME's and Xing's, in place of the main data;
// VBRI at a fixed place).
func isInfo(h *header, frame []byte) bool {
	tag := frame[min(headerSize+h.sideSize(), len(frame)):]
	return bytes.HasPrefix(tag, []byte("Xing")) || bytes.HasPrefix(tag, []byte("Info")) ||
		bytes.HasPrefix(frame[min(headerSize+32, len(frame)):], []byte("VBRI"))
}

// decode decodes one frame. What is damaged becomes silence, as long as it would have been.
func (d *Decoder) decode(h *header, frame []byte) {
	d.pending = d.pcm[:lines*h.granules()]
	clear(d.pending)
	body := frame[headerSize:]
	if h.crc {
		body = body[min(2, len(body)):]
	}
	if len(body) < h.sideSize() {
		return
	}
	d.side.read(&bitReader{b: body[:h.sideSize()]}, h)
	body = body[h.sideSize():]
	missing := d.side.mainBegin > len(d.main)
	if keep := min(d.side.mainBegin, len(d.main)); !missing {
		d.main = d.main[:copy(d.main, d.main[len(d.main)-keep:])]
	}
	d.main = append(d.main, body...)
	if !missing {
		d.sound(h)
	}
	if over := len(d.main) - maxReservoir; over > 0 {
		d.main = d.main[:copy(d.main, d.main[over:])]
	}
}

// sound decodes the main data.
func (d *Decoder) sound(h *header) {
	r := bitReader{b: d.main}
	for gr := range h.granules() {
		for ch := range h.channels {
			g := &d.side.granule[gr][ch]
			end := r.at + g.length
			if end > 8*len(d.main) {
				return
			}
			if h.mpeg1 {
				var before *granule
				if gr == 1 {
					before = &d.side.granule[0][ch]
				}
				g.readScales1(&r, h, before, d.side.scfsi[ch])
			} else {
				g.readScales2(&r, h, ch == 1 && h.intensity)
			}
			n := g.readLines(&r, end, &d.is)
			g.requantise(h, &d.is, n, &d.channels[ch].xr)
		}
		if h.channels == 2 {
			unjoin(h, &d.side.granule[gr][1], &d.channels[0].xr, &d.channels[1].xr)
		}
		d.filter(h, gr, d.pcm[gr*lines:(gr+1)*lines])
	}
}

// filter turns the spectra of a granule into sound, mixed down.
func (d *Decoder) filter(h *header, gr int, out []float32) {
	for ch := range h.channels {
		c, g := &d.channels[ch], &d.side.granule[gr][ch]
		g.reorder(h, &c.xr)
		c.hybrid.run(g, &c.xr, &c.subbands)
		for slot := range c.subbands {
			c.synthesis.run(&c.subbands[slot], out[slot*subbands:(slot+1)*subbands])
		}
	}
	if h.channels == 2 {
		for i := range out {
			out[i] /= 2
		}
	}
}
