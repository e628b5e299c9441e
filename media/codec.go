package media

import "strings"

// Codec is an audio encoding that RTP carries.
type Codec uint8

// The codecs. Whatever they carry, sound is mono with [SampleRate] samples a second on our side of them.
const (
	PCMU Codec = iota // G.711 with the μ-law (RFC 3551 section 4.5.14)
	PCMA              // G.711 with the A-law
	G722              // G.722 at 64 kbit/s (RFC 3551 section 4.5.2)
	Opus              // Opus (RFC 6716, RFC 7587)
)

// Codecs are all of them.
func Codecs() []Codec { return []Codec{PCMU, PCMA, G722, Opus} }

// SampleRate is the number of samples in a second of all sound in this package.
const SampleRate = 8000

// String returns the name that SDP has for the codec.
func (c Codec) String() string { return [...]string{"PCMU", "PCMA", "G722", "opus"}[c] }

// CodecNamed returns the codec that has this name, in whatever case; false: there is none.
func CodecNamed(name string) (Codec, bool) {
	for _, c := range Codecs() {
		if strings.EqualFold(c.String(), name) {
			return c, true
		}
	}
	return 0, false
}

// Clock returns the ticks of the RTP timestamp in a second. RFC 3551 section 4.5.2: G.722 takes twice as many samples as its clock
// has ticks, by an old mistake.
func (c Codec) Clock() int {
	if c == Opus {
		return 48000
	}
	return SampleRate
}

// ticks returns how far the RTP timestamp goes in so many samples.
func (c Codec) ticks(samples int) int { return samples * (c.Clock() / SampleRate) }

// encoder makes the payloads of one stream, in their order.
type encoder interface {
	// encode writes the payload of pcm to dst, which has room for maxPayload bytes, and returns its length; 0: there is none.
	encode(dst []byte, pcm []int16) int
}

// decoder makes sound of the payloads of one stream, in their order.
type decoder interface {
	// Decode writes the sound of a payload to dst, which has room for jitter.MaxPacket samples, and returns how many they are.
	Decode(dst []int16, payload []byte) (int, error)
}

// maxPayload is the length of the longest payload that is sent, in bytes.
const maxPayload = maxFrame

func newEncoder(c Codec) encoder {
	switch c {
	case G722:
		return newG722Encoder()
	case Opus:
		return newOpusEncoder()
	}
	return g711(c)
}

func newDecoder(c Codec) decoder {
	switch c {
	case G722:
		return newG722Decoder()
	case Opus:
		return newOpusDecoder()
	}
	return g711(c)
}
