package media

import (
	"github.com/callengine/callengine/media/jitter"
	"github.com/thesyncim/gopus"
)

// opusBitrate is what is sent, in bits a second: plenty for speech of our bandwidth.
const opusBitrate = 24000

// opusEncoder is one direction of Opus, to the peer.
type opusEncoder struct{ codec *gopus.Encoder }

func newOpusEncoder() *opusEncoder {
	codec, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: SampleRate, Channels: 1, Application: gopus.ApplicationVoIP})
	if err != nil { // the configuration is a constant
		panic("media: opus: " + err.Error())
	}
	for _, err := range []error{codec.SetBitrate(opusBitrate), codec.SetComplexity(5)} {
		if err != nil {
			panic("media: opus: " + err.Error())
		}
	}
	return &opusEncoder{codec: codec}
}

func (e *opusEncoder) encode(dst []byte, pcm []int16) int {
	if e.codec.FrameSize() != len(pcm) && e.codec.SetFrameSize(len(pcm)) != nil {
		return 0
	}
	n, err := e.codec.EncodeInt16(pcm, dst)
	if err != nil {
		return 0
	}
	return n
}

// opusDecoder is one direction of Opus, from the peer.
type opusDecoder struct {
	codec *gopus.Decoder
	float []float32
}

var _ jitter.Concealer = (*opusDecoder)(nil)

func newOpusDecoder() *opusDecoder {
	codec, err := gopus.NewDecoder(gopus.DecoderConfig{SampleRate: SampleRate, Channels: 1, MaxPacketSamples: jitter.MaxPacket})
	if err != nil { // the configuration is a constant
		panic("media: opus: " + err.Error())
	}
	return &opusDecoder{codec: codec}
}

func (d *opusDecoder) Decode(dst []int16, payload []byte) (int, error) {
	if len(payload) == 0 {
		return 0, errPayload
	}
	return d.codec.DecodeInt16(payload, dst)
}

// Conceal implements [jitter.Concealer]: by what the next packet tells of the lost one (RFC 6716 section 2.1.7), or else by how
// the sound before it goes on.
func (d *opusDecoder) Conceal(dst []int16, next []byte) bool {
	const unit = SampleRate / 400 // Opus counts in 2.5 ms
	if len(dst)%unit != 0 {
		return false
	}
	if cap(d.float) < len(dst) {
		d.float = make([]float32, jitter.MaxPacket)
	}
	n, err := d.codec.DecodeWithFEC(next, d.float[:len(dst)], true)
	if err != nil || n != len(dst) {
		return false
	}
	for i, v := range d.float[:n] {
		dst[i] = int16(max(min(v*(1<<15), 1<<15-1), -1<<15))
	}
	return true
}
