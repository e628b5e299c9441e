package media

// Codec is an audio encoding that RTP carries.
type Codec uint8

// The codecs of RFC 3551 section 4.5.14, G.711 in its two laws: 8000 samples a second, one byte each.
const (
	PCMU Codec = iota // μ-law
	PCMA              // A-law
)

// SampleRate is the number of samples in a second of all sound in this package.
const SampleRate = 8000

// String returns the name that SDP has for the codec.
func (c Codec) String() string {
	if c == PCMA {
		return "PCMA"
	}
	return "PCMU"
}

// decode returns the sample that a byte stands for.
func (c Codec) decode(b byte) int16 {
	if c == PCMA {
		return aLawToLinear(b)
	}
	return muLawToLinear(b)
}

// encode writes one byte per sample to dst, which must be as long as pcm.
func (c Codec) encode(dst []byte, pcm []int16) {
	if c == PCMA {
		for i, s := range pcm {
			dst[i] = linearToALaw(s)
		}
		return
	}
	for i, s := range pcm {
		dst[i] = linearToMuLaw(s)
	}
}
