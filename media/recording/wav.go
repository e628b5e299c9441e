package recording

import (
	"encoding/binary"
	"math"
	"slices"
)

const wavHead = 44 // bytes before the sound

// wavFile writes 16-bit PCM.
type wavFile struct {
	file     File
	channels int
	sound    int64 // bytes
	buf      []byte
}

func newWAV(channels int, file File) (encoder, error) {
	head := wavHeader(channels, 0)
	if _, err := file.Write(head[:]); err != nil {
		return nil, err
	}
	return &wavFile{file: file, channels: channels}, nil
}

// wavHeader is the head of a file with so many bytes of sound. What is too long for it is said to be as long as can be:
// readers go on to the end of the file.
func wavHeader(channels int, sound int64) (head [wavHead]byte) {
	size := uint32(min(sound, math.MaxUint32-wavHead))
	copy(head[0:], "RIFF")
	binary.LittleEndian.PutUint32(head[4:], size+wavHead-8)
	copy(head[8:], "WAVEfmt ")
	binary.LittleEndian.PutUint32(head[16:], 16)
	binary.LittleEndian.PutUint16(head[20:], 1) // PCM
	binary.LittleEndian.PutUint16(head[22:], uint16(channels))
	binary.LittleEndian.PutUint32(head[24:], SampleRate)
	binary.LittleEndian.PutUint32(head[28:], uint32(SampleRate*2*channels))
	binary.LittleEndian.PutUint16(head[32:], uint16(2*channels))
	binary.LittleEndian.PutUint16(head[34:], 16)
	copy(head[36:], "data")
	binary.LittleEndian.PutUint32(head[40:], size)
	return head
}

func (w *wavFile) encode(samples []int16) error {
	w.buf = slices.Grow(w.buf[:0], 2*len(samples))[:2*len(samples)]
	for i, v := range samples {
		binary.LittleEndian.PutUint16(w.buf[2*i:], uint16(v))
	}
	n, err := w.file.Write(w.buf)
	w.sound += int64(n)
	return err
}

// flush writes the length that the file has.
func (w *wavFile) flush() error {
	head := wavHeader(w.channels, w.sound-w.sound%int64(2*w.channels))
	_, err := w.file.WriteAt(head[:], 0)
	return err
}

func (w *wavFile) close() error { return w.flush() }

func (w *wavFile) size() int64 { return wavHead + w.sound }

func (w *wavFile) samples() int { return int(w.sound) / 2 / w.channels }
