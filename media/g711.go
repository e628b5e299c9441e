package media

import (
	"errors"
	"math/bits"
)

// errPayload is returned for a payload that can't be read.
var errPayload = errors.New("malformed payload")

// g711 is one of the laws of G.711, one byte for each sample. It has no state.
type g711 Codec

func (law g711) encode(dst []byte, pcm []int16) int {
	dst = dst[:len(pcm)]
	if Codec(law) == PCMA {
		for i, s := range pcm {
			dst[i] = linearToALaw(s)
		}
		return len(pcm)
	}
	for i, s := range pcm {
		dst[i] = linearToMuLaw(s)
	}
	return len(pcm)
}

func (law g711) Decode(dst []int16, payload []byte) (int, error) {
	if len(payload) > len(dst) {
		return 0, errPayload
	}
	if Codec(law) == PCMA {
		for i, b := range payload {
			dst[i] = aLawToLinear(b)
		}
		return len(payload), nil
	}
	for i, b := range payload {
		dst[i] = muLawToLinear(b)
	}
	return len(payload), nil
}

// The laws are as in ITU-T G.191's reference: a sign, an exponent of three bits, a mantissa of four.

// muLawBias is added to the magnitude, so that each segment starts at a power of two.
const muLawBias = 0x84

// muLawClip is the greatest magnitude that keeps the biased value within fifteen bits.
const muLawClip = 32635

// linearToMuLaw encodes a 16-bit sample (G.711 table 2).
func linearToMuLaw(s int16) byte {
	v, sign := int(s), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, muLawClip) + muLawBias
	exponent := bits.Len(uint(v)) - 8 // v is in [0x84, 0x7FFF]
	mantissa := byte(v>>(exponent+3)) & 0x0F
	return ^(sign | byte(exponent)<<4 | mantissa)
}

// muLawToLinear decodes to the middle of the code's interval.
func muLawToLinear(b byte) int16 {
	b = ^b
	v := (int(b&0x0F)<<3+muLawBias)<<(b>>4&7) - muLawBias
	if b&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

// linearToALaw encodes a 16-bit sample (G.711 table 1). The even bits are inverted, as they are on the line.
func linearToALaw(s int16) byte {
	v, sign := int(s)>>3, byte(0x80) // thirteen bits; a set sign bit is positive
	if v < 0 {
		v, sign = ^v, 0
	}
	exponent := max(bits.Len(uint(v))-5, 0)
	code := byte(exponent) << 4
	if exponent == 0 {
		code |= byte(v>>1) & 0x0F
	} else {
		code |= byte(v>>exponent) & 0x0F
	}
	return (sign | code) ^ 0x55
}

// aLawToLinear decodes to the middle of the code's interval.
func aLawToLinear(b byte) int16 {
	b ^= 0x55
	exponent := b >> 4 & 7
	v := int(b&0x0F)<<4 + 8
	if exponent > 0 {
		v = (v + 0x100) << (exponent - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return int16(v)
}
