package mp3

// header is the four bytes that a frame begins with (ISO/IEC 11172-3 section 2.4.1.3; MPEG-2.5 is an extension that
// everybody agrees on).
type header struct {
	mpeg1     bool // else MPEG-2 or 2.5: one granule a frame, "low sampling frequencies"
	version   byte // as coded
	crc       bool
	rate      int // samples a second
	size      int // bytes of the frame, the header included
	channels  int
	midSide   bool // stereo is coded as sum and difference
	intensity bool // the upper bands of the right channel are the left's, with a direction
	bands     *bands
}

const headerSize = 4

// maxFrame is the size of the greatest frame: MPEG-1 at 320 kbit/s and 32 kHz, padded.
const maxFrame = 1441

// Values of the version field.
const (
	mpeg25 = 0
	mpeg2  = 2
	mpeg1  = 3
)

var rates = map[byte][3]int{
	mpeg1:  {44100, 48000, 32000},
	mpeg2:  {22050, 24000, 16000},
	mpeg25: {11025, 12000, 8000},
}

var allBands = map[byte][3]*bands{
	mpeg1:  {&bands44, &bands48, &bands32},
	mpeg2:  {&bands22, &bands24, &bands16},
	mpeg25: {&bands16, &bands16, &bands8},
}

// kbits are the bit rates of layer III; the first is the free format, which is not supported.
var (
	kbits1 = [15]int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	kbits2 = [15]int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
)

// parseHeader reads a header of layer III; false: it is none.
func parseHeader(b []byte) (h header, ok bool) {
	const layer3 = 1
	version, bitrate, rate := b[1]>>3&3, b[2]>>4, b[2]>>2&3
	if b[0] != 0xFF || b[1]>>5 != 7 || b[1]>>1&3 != layer3 || version == 1 || bitrate == 0 || bitrate == 15 || rate == 3 {
		return header{}, false
	}
	h = header{version: version, mpeg1: version == mpeg1, crc: b[1]&1 == 0, channels: 2}
	h.rate, h.bands = rates[version][rate], allBands[version][rate]
	if h.mpeg1 {
		h.size = 144 * 1000 * kbits1[bitrate] / h.rate
	} else {
		h.size = 72 * 1000 * kbits2[bitrate] / h.rate
	}
	h.size += int(b[2] >> 1 & 1)
	switch mode := b[3] >> 6; mode {
	case 1: // joint stereo
		h.intensity, h.midSide = b[3]>>4&1 != 0, b[3]>>5&1 != 0
	case 3:
		h.channels = 1
	}
	return h, true
}

// granules returns the number of granules, of 576 samples each, in a frame.
func (h *header) granules() int {
	if h.mpeg1 {
		return 2
	}
	return 1
}

// sideSize returns the size of the side information.
func (h *header) sideSize() int {
	switch {
	case h.mpeg1 && h.channels == 2:
		return 32
	case h.mpeg1, h.channels == 2:
		return 17
	}
	return 9
}

// fits reports whether o can be a frame of the same stream.
func (h *header) fits(o *header) bool {
	return h.version == o.version && h.rate == o.rate
}
