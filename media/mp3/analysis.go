package mp3

import "math"

// analysisMatrix is that of the polyphase analysis (ISO/IEC 11172-3 annex C.1.3).
var analysisMatrix = func() (t [subbands][64]float32) {
	for k := range t {
		for i := range 64 {
			t[k][i] = float32(math.Cos(float64(2*k+1) * float64(i-16) * math.Pi / 64))
		}
	}
	return t
}()

// analysis is the first filter bank of one channel: it turns sound into samples of the subbands.
type analysis struct {
	x [512]float32 // the newest samples, the newest first
}

// run takes 32 samples of full scale 1.
func (a *analysis) run(in, out *[subbands]float32) {
	copy(a.x[subbands:], a.x[:])
	for i, v := range in {
		a.x[subbands-1-i] = v
	}
	var y [64]float32
	for i := range y {
		for j := i; j < len(a.x); j += 64 {
			y[i] += a.x[j] * synthesisWindow[j]
		}
	}
	for k := range out {
		var sum float32
		for i, c := range &analysisMatrix[k] {
			sum += c * y[i]
		}
		out[k] = sum / 32 // the analysis window is a 32nd of the other
	}
}

// forwardCosines is the matrix of the MDCT of long blocks, with the window and the scale in it.
var forwardCosines = func() (t [18][36]float32) {
	for k := range t {
		for i := range 36 {
			angle := math.Pi / 72 * float64(2*i+1+18) * float64(2*k+1)
			t[k][i] = float32(math.Cos(angle) * windowOf(longBlock, i) / 9)
		}
	}
	return t
}()

// mdct is the second filter bank of one channel: it turns samples of the subbands into spectral lines.
type mdct struct {
	before [subbands][slots]float32 // of the granule before
}

func (m *mdct) run(in *[slots][subbands]float32, xr *[lines]float32) {
	for sb := range subbands {
		var z [36]float32
		copy(z[:], m.before[sb][:])
		for i := range slots {
			v := in[i][sb]
			if i&1 == 1 && sb&1 == 1 {
				v = -v // the subbands of odd number are upside down
			}
			z[slots+i] = v
		}
		copy(m.before[sb][:], z[slots:])
		for k := range slots {
			var sum float32
			for i, c := range &forwardCosines[k] {
				sum += c * z[i]
			}
			xr[sb*slots+k] = sum
		}
	}
	for sb := 1; sb < subbands; sb++ {
		for i, b := range butterflies {
			lower, upper := xr[slots*sb-1-i], xr[slots*sb+i]
			xr[slots*sb-1-i] = lower*b.cs + upper*b.ca
			xr[slots*sb+i] = upper*b.cs - lower*b.ca
		}
	}
}
