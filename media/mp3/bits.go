package mp3

// bitReader reads bits, the highest first. Beyond the end there are zeros.
type bitReader struct {
	b  []byte
	at int // in bits
}

func (r *bitReader) bit() int {
	i := r.at >> 3
	if i >= len(r.b) {
		r.at++
		return 0
	}
	v := int(r.b[i]>>(7-r.at&7)) & 1
	r.at++
	return v
}

// bits reads up to 24 bits.
func (r *bitReader) bits(n int) int {
	if n == 0 {
		return 0
	}
	var window uint32
	for i := range 4 {
		window <<= 8
		if k := r.at>>3 + i; k < len(r.b) {
			window |= uint32(r.b[k])
		}
	}
	v := window << (r.at & 7) >> (32 - n)
	r.at += n
	return int(v)
}
