package mp3

import "math"

const (
	subbands = 32
	slots    = 18 // samples of each subband in a granule
)

// butterflies reduce the aliasing between subbands (table B.9).
var butterflies = func() (t [8]struct{ cs, ca float32 }) {
	for i, c := range [8]float64{-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037} {
		t[i].cs, t[i].ca = float32(1/math.Sqrt(1+c*c)), float32(c/math.Sqrt(1+c*c))
	}
	return t
}()

// longCosines and shortCosines are the matrices of the inverse MDCT, with the windows of the block types in them.
var (
	longCosines  = longMatrices()
	shortCosines = shortMatrix()
)

func longMatrices() (t [4][36][18]float32) {
	for blockType := range t {
		for i := range 36 {
			for k := range 18 {
				angle := math.Pi / 72 * float64(2*i+1+18) * float64(2*k+1)
				t[blockType][i][k] = float32(math.Cos(angle) * windowOf(blockType, i))
			}
		}
	}
	return t
}

// windowOf returns the window of long blocks (section 2.4.3.4.10.3).
func windowOf(blockType, i int) float64 {
	long := math.Sin(math.Pi / 36 * (float64(i) + 0.5))
	switch {
	case blockType == startBlock && i >= 30, blockType == stopBlock && i < 6:
		return 0
	case blockType == startBlock && i >= 24:
		return math.Sin(math.Pi / 12 * (float64(i-18) + 0.5))
	case blockType == stopBlock && i < 12:
		return math.Sin(math.Pi / 12 * (float64(i-6) + 0.5))
	case blockType == startBlock && i >= 18, blockType == stopBlock && i < 18:
		return 1
	}
	return long
}

func shortMatrix() (t [12][6]float32) {
	for i := range 12 {
		for k := range 6 {
			angle := math.Pi / 24 * float64(2*i+1+6) * float64(2*k+1)
			t[i][k] = float32(math.Cos(angle) * math.Sin(math.Pi/12*(float64(i)+0.5)))
		}
	}
	return t
}

// hybrid is the second filter bank of one channel: it turns spectral lines into samples of subbands.
type hybrid struct {
	overlap [subbands][slots]float32
}

// run turns xr into the samples of the subbands, out[slot][subband].
func (f *hybrid) run(g *granule, xr *[lines]float32, out *[slots][subbands]float32) {
	g.antialias(xr)
	for sb := range subbands {
		var raw [36]float32
		in := xr[sb*slots : (sb+1)*slots]
		switch {
		case g.blockType == shortBlock && !(g.mixed && sb < 2):
			shortIMDCT(in, &raw)
		case g.mixed:
			longIMDCT(&longCosines[longBlock], in, &raw)
		default:
			longIMDCT(&longCosines[g.blockType], in, &raw)
		}
		for i := range slots {
			v := raw[i] + f.overlap[sb][i]
			if i&1 == 1 && sb&1 == 1 {
				v = -v // the subbands of odd number are upside down
			}
			out[i][sb] = v
			f.overlap[sb][i] = raw[slots+i]
		}
	}
}

func (g *granule) antialias(xr *[lines]float32) {
	borders := subbands
	if g.blockType == shortBlock {
		borders = 1
		if g.mixed {
			borders = 2
		}
	}
	for sb := 1; sb < borders; sb++ {
		for i, b := range butterflies {
			lower, upper := xr[slots*sb-1-i], xr[slots*sb+i]
			xr[slots*sb-1-i] = lower*b.cs - upper*b.ca
			xr[slots*sb+i] = upper*b.cs + lower*b.ca
		}
	}
}

func longIMDCT(cosines *[36][18]float32, in []float32, raw *[36]float32) {
	if silent(in) {
		return
	}
	in = in[:18]
	for i := range raw {
		var sum float32
		for k, c := range &cosines[i] {
			sum += c * in[k]
		}
		raw[i] = sum
	}
}

func shortIMDCT(in []float32, raw *[36]float32) {
	for w := range 3 {
		for i := range 12 {
			var sum float32
			for k, c := range &shortCosines[i] {
				sum += c * in[3*k+w]
			}
			raw[6+6*w+i] += sum
		}
	}
}
