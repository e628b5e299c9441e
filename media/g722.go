package media

import (
	"sync"

	"github.com/gotranspile/g722"
)

// G.722 has 16000 samples a second, two of them in each byte. Ours are half as many: what is sent has nothing above 4 kHz, and
// what is received loses it.

// wideRate is the sample rate of G.722.
const wideRate = 2 * SampleRate

// g722Encoder is one direction of G.722, to the peer.
type g722Encoder struct {
	codec *g722.Encoder
	up    doubler
}

func newG722Encoder() *g722Encoder {
	return &g722Encoder{codec: g722.NewEncoder(g722.Rate64000, 0), up: newDoubler()}
}

func (e *g722Encoder) encode(dst []byte, pcm []int16) int {
	var wide [2 * maxFrame]int16
	return e.codec.Encode(dst[:len(pcm)], e.up.double(wide[:], pcm))
}

// g722Decoder is one direction of G.722, from the peer.
type g722Decoder struct {
	codec *g722.Decoder
	down  halver
}

func newG722Decoder() *g722Decoder {
	return &g722Decoder{codec: g722.NewDecoder(g722.Rate64000, 0), down: newHalver()}
}

func (d *g722Decoder) Decode(dst []int16, payload []byte) (n int, err error) {
	if len(payload) > len(dst) {
		return 0, errPayload
	}
	const step = 80 // bytes: 10 ms at a time
	var wide [2 * step]int16
	for len(payload) > 0 {
		part := payload[:min(step, len(payload))]
		payload = payload[len(part):]
		n += d.down.halve(dst[n:], wide[:d.codec.Decode(wide[:], part)])
	}
	return n, nil
}

// The low-passes between the two rates, one filter for each phase of the output.
var (
	halving  = sync.OnceValue(func() [][]float32 { return lowPass(wideRate, 1) })
	doubling = sync.OnceValue(func() [][]float32 { return lowPass(SampleRate, 2) })
)

// doubler turns sound of [SampleRate] into one of twice as many samples.
type doubler struct {
	bank [][]float32
	in   []float32 // what the filter reaches back to
}

func newDoubler() doubler {
	bank := doubling()
	return doubler{bank: bank, in: make([]float32, len(bank[0])-1, len(bank[0])+maxFrame)}
}

// double writes the samples of pcm at the double rate to dst.
func (d *doubler) double(dst, pcm []int16) []int16 {
	d.in = appendFloats(d.in, pcm)
	for i := range pcm {
		dst[2*i] = convolve(d.bank[0], d.in[i:])
		dst[2*i+1] = convolve(d.bank[1], d.in[i:])
	}
	d.in = d.in[:copy(d.in, d.in[len(pcm):])]
	return dst[:2*len(pcm)]
}

// halver turns sound of twice [SampleRate] into one of half as many samples.
type halver struct {
	bank [][]float32
	in   []float32
}

func newHalver() halver {
	bank := halving()
	return halver{bank: bank, in: make([]float32, len(bank[0])-1, len(bank[0])+maxFrame)}
}

// halve writes every other sample of pcm, of which there is an even number, to dst, without what they can't carry.
func (h *halver) halve(dst, pcm []int16) (n int) {
	h.in = appendFloats(h.in, pcm)
	for n = range len(pcm) / 2 {
		dst[n] = convolve(h.bank[0], h.in[2*n:])
	}
	h.in = h.in[:copy(h.in, h.in[len(pcm):])]
	return len(pcm) / 2
}

func appendFloats(dst []float32, pcm []int16) []float32 {
	for _, s := range pcm {
		dst = append(dst, float32(s))
	}
	return dst
}
