package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Format tags of WAV files (RFC 2361, and mmreg.h for the extensible one).
const (
	wavPCM        = 0x0001
	wavALaw       = 0x0006
	wavMuLaw      = 0x0007
	wavExtensible = 0xFFFE
)

// wavGUID is what follows the format tag in the sub-format of an extensible header.
const wavGUID = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71"

// streamed is the least size of a chunk that nobody can have meant: writers to a pipe do not know the size and put
// the greatest one, or nearly (espeak-ng has 0x7FFFF000).
const streamed = 0x7FFFF000

const (
	minRate = 1000
	maxRate = 384_000
)

// headRoom is how much of a file is read ahead for its head, in bytes. The sound is not, but read as it is wanted.
const headRoom = 64

// wav reads the sound of a WAV file: 16-bit PCM, A-law or μ-law, mono or stereo mixed down. It takes a file for as good
// as can be: sizes that are too great end with the file, and unknown chunks are skipped.
type wav struct {
	r        *bufio.Reader // of the head
	from     io.Reader     // what it reads
	tag      uint16
	channels int
	rate     int
	left     int64 // bytes of sound still to come
	only     int   // channel that is read, from 1; 0: all of them, mixed
	buf      []byte
}

// openWAV reads up to the beginning of the sound.
func openWAV(from io.Reader) (*wav, error) {
	r := bufio.NewReaderSize(from, headRoom)
	var riff [12]byte
	if _, err := io.ReadFull(r, riff[:]); err != nil {
		return nil, cut(err, "not a WAV file")
	}
	if id := string(riff[:4]); id != "RIFF" && id != "RF64" || string(riff[8:]) != "WAVE" {
		return nil, errors.New("not a WAV file")
	}
	endless := binary.LittleEndian.Uint32(riff[4:])
	w := &wav{r: r, from: from}
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, cut(err, "the WAV file has no sound")
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		switch string(head[:4]) {
		case "fmt ":
			if err := w.format(size); err != nil {
				return nil, err
			}
		case "data":
			if w.tag == 0 {
				return nil, errors.New("the WAV file says nothing of its format before the sound")
			}
			w.left = size
			if size >= streamed || size == 0 && (endless == 0 || endless >= streamed) {
				w.left = 1<<63 - 1
			}
			return w, nil
		default:
			if err := w.skip(size + size%2); err != nil {
				return nil, cut(err, "the WAV file has no sound")
			}
		}
	}
}

// cut tells an end that came too early from a failure to read, which may have such an end beneath it.
func cut(err error, reason string) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New(reason)
	}
	return err
}

func (w *wav) skip(n int64) error {
	_, err := io.CopyN(io.Discard, w.r, n)
	return err
}

// format reads the chunk that says how the sound is coded.
func (w *wav) format(size int64) error {
	const short, long = 16, 40 // bytes of WAVEFORMAT with its bits, and of the extensible form
	if size < short {
		return fmt.Errorf("the WAV file's format has %d bytes in place of %d", size, short)
	}
	var b [long]byte
	n := min(size, long)
	if _, err := io.ReadFull(w.r, b[:n]); err != nil {
		return cut(err, "the WAV file ends in its format")
	}
	if err := w.skip(size + size%2 - n); err != nil {
		return cut(err, "the WAV file ends in its format")
	}
	w.tag = binary.LittleEndian.Uint16(b[0:])
	w.channels = int(binary.LittleEndian.Uint16(b[2:]))
	rate := binary.LittleEndian.Uint32(b[4:])
	bits := binary.LittleEndian.Uint16(b[14:])
	if w.tag == wavExtensible && n == long && string(b[26:]) == wavGUID {
		w.tag = binary.LittleEndian.Uint16(b[24:])
	}
	want := map[uint16]uint16{wavPCM: 16, wavALaw: 8, wavMuLaw: 8}[w.tag]
	switch {
	case want == 0:
		return fmt.Errorf("WAV format %#04x is not supported; PCM, A-law and μ-law are", w.tag)
	case bits != want:
		return fmt.Errorf("WAV format %#04x with %d bits is not supported; %d bits are", w.tag, bits, want)
	case w.channels != 1 && w.channels != 2:
		return fmt.Errorf("WAV with %d channels is not supported; mono and stereo are", w.channels)
	case rate < minRate || rate > maxRate:
		return fmt.Errorf("WAV with %d samples a second is not supported; %d to %d are", rate, minRate, maxRate)
	}
	w.rate = int(rate)
	return nil
}

// ReadFrame implements [frames]: it reads what is there, at least one sample.
func (w *wav) ReadFrame(dst []int16) (int, error) {
	width := w.width()
	want := min(int64(len(dst)), w.left/int64(width)) * int64(width)
	if want == 0 {
		if len(dst) == 0 {
			return 0, nil
		}
		return 0, io.EOF // a part of a sample at the end is no sound
	}
	if int64(len(w.buf)) < want {
		w.buf = make([]byte, want)
	}
	r := w.from
	if w.r.Buffered() > 0 {
		r = w.r
	}
	n, err := io.ReadAtLeast(r, w.buf[:want], width)
	if rest := n % width; rest != 0 && err == nil { // the samples that have begun
		var more int
		more, err = io.ReadFull(r, w.buf[n:n+width-rest])
		n += more
	}
	n -= n % width
	w.left -= int64(n)
	w.decode(dst, w.buf[:n])
	switch {
	case n > 0:
		return n / width, nil // an error comes again with the next read
	case errors.Is(err, io.ErrUnexpectedEOF) && w.ended():
		return 0, io.EOF
	}
	return 0, err
}

// width is how many bytes the samples of one moment have.
func (w *wav) width() int {
	if w.tag == wavPCM {
		return 2 * w.channels
	}
	return w.channels
}

// more reports whether a sample is left, of a file of which so many bytes wait to be read, and no others will come.
func (w *wav) more(waiting int) bool {
	return min(w.left, int64(w.r.Buffered()+waiting)) >= int64(w.width())
}

// ended tells the end of the file within a sample from a transfer that was cut, for which readers have the same error.
func (w *wav) ended() bool {
	_, err := w.r.Peek(1)
	return errors.Is(err, io.EOF)
}

func (w *wav) decode(dst []int16, b []byte) {
	switch {
	case w.channels == 1:
		w.linear(dst, b)
	case w.tag == wavPCM:
		for i := range len(b) / 4 {
			dst[i] = w.mixed(i, func(k int) int16 { return int16(binary.LittleEndian.Uint16(b[2*k:])) })
		}
	case w.tag == wavALaw:
		for i := range len(b) / 2 {
			dst[i] = w.mixed(i, func(k int) int16 { return aLawToLinear(b[k]) })
		}
	case w.tag == wavMuLaw:
		for i := range len(b) / 2 {
			dst[i] = w.mixed(i, func(k int) int16 { return muLawToLinear(b[k]) })
		}
	}
}

// linear decodes the samples of the only channel.
func (w *wav) linear(dst []int16, b []byte) {
	switch w.tag {
	case wavPCM:
		for i := range dst[:len(b)/2] {
			dst[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case wavALaw:
		for i, v := range b {
			dst[i] = aLawToLinear(v)
		}
	case wavMuLaw:
		for i, v := range b {
			dst[i] = muLawToLinear(v)
		}
	}
}

// mixed returns the sample i of two channels: their mean, or that of the only one that is read.
func (w *wav) mixed(i int, at func(int) int16) int16 {
	if w.only > 0 {
		return at(2*i + w.only - 1)
	}
	return int16((int(at(2*i)) + int(at(2*i+1))) / 2)
}
