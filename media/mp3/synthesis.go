package mp3

import "math"

// matrix is that of the polyphase synthesis (section 2.4.3.2.2).
var matrix = func() (t [64][subbands]float32) {
	for i := range t {
		for k := range subbands {
			t[i][k] = float32(math.Cos(float64(16+i) * float64(2*k+1) * math.Pi / 64))
		}
	}
	return t
}()

// synthesisWindow is the whole of [window].
var synthesisWindow = func() (t [512]float32) {
	for i, v := range window {
		t[i] = float32(v) / 65536
	}
	for i := 1; i < 256; i++ {
		t[512-i] = -t[i]
		if i%64 == 0 {
			t[512-i] = t[i]
		}
	}
	return t
}()

// synthesis is the first filter bank of one channel: it turns samples of the subbands into sound.
type synthesis struct {
	v  [1024]float32 // sixteen vectors of 64, as a ring
	at int           // of the newest
}

// run adds 32 samples to out, each of full scale 1.
func (s *synthesis) run(in *[subbands]float32, out []float32) {
	s.at = (s.at - 64) & 1023
	newest := s.v[s.at : s.at+64]
	for i := range newest {
		var sum float32
		for k, c := range &matrix[i] {
			sum += c * in[k]
		}
		newest[i] = sum
	}
	for j := range subbands {
		var sum float32
		for i := range 8 {
			even, odd := (s.at+128*i)&1023, (s.at+128*i+64)&1023
			sum += s.v[even+j]*synthesisWindow[64*i+j] + s.v[odd+32+j]*synthesisWindow[64*i+32+j]
		}
		out[j] += sum
	}
}
