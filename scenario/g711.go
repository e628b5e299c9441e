package scenario

import "math/bits"

// G.711, after its tables: a phone's own, so that what it hears is not what the node's code would make of it.

const ulawBias = 0x84

func encodeULaw(sample int16) byte {
	v, sign := int(sample), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, 32635) + ulawBias
	exponent := bits.Len(uint(v)) - 8
	return ^(sign | byte(exponent)<<4 | byte(v>>(exponent+3))&0x0f)
}

func decodeULaw(b byte) int16 {
	b = ^b
	v := (int(b&0x0f)<<3+ulawBias)<<(b>>4&7) - ulawBias
	if b&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

func decodeALaw(b byte) int16 {
	b ^= 0x55
	v, exponent := int(b&0x0f)<<4+8, b>>4&7
	if exponent > 0 {
		v = (v + 0x100) << (exponent - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return int16(v)
}

func encodeALaw(sample int16) byte {
	v, sign := int(sample)>>3, byte(0x80)
	if v < 0 {
		v, sign = -v-1, 0
	}
	if v > 0xfff {
		v = 0xfff
	}
	exponent := max(0, bits.Len(uint(v))-5)
	mantissa := v >> max(1, exponent) & 0x0f
	return (sign | byte(exponent)<<4 | byte(mantissa)) ^ 0x55
}
