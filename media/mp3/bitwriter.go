package mp3

// bitWriter appends bits, the first of each byte being the highest.
type bitWriter struct {
	b    []byte
	rest uint64 // bits that are no whole byte yet
	n    int    // how many
}

func (w *bitWriter) bits(v uint32, n int) {
	w.rest, w.n = w.rest<<n|uint64(v), w.n+n
	for w.n >= 8 {
		w.n -= 8
		w.b = append(w.b, byte(w.rest>>w.n))
	}
	w.rest &= 1<<w.n - 1
}

// pad appends zeros up to so many bytes.
func (w *bitWriter) pad(size int) {
	w.bits(0, (8-w.n)%8)
	for len(w.b) < size {
		w.b = append(w.b, 0)
	}
}
