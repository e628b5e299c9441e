package media

import (
	"errors"
	"io"
	"math"
)

// frames is mono sound at a rate of its own, read by the rules of [io.Reader].
type frames interface {
	ReadFrame(dst []int16) (int, error)
}

const (
	// crossings is how many zero crossings the low-pass has to each side: what is above the band is at least 70 dB down.
	crossings = 24
	// kaiserBeta shapes the window of the low-pass (about -80 dB in the stop band).
	kaiserBeta = 8
	// band is the part of the lower Nyquist frequency that is kept.
	band = 0.93
	// maxPhases bounds the size of the filter for odd rates; further phases are rounded to the nearest.
	maxPhases = 640
)

// resampler changes the rate of a sound with a polyphase windowed sinc.
type resampler struct {
	src      frames
	up, down int // output rate : input rate, in lowest terms
	phases   int
	bank     [][]float32 // a filter per phase

	in      []float32 // input from the sample `base` on
	out     int       // up steps since in[0]'s time, modulo nothing: position of the next output, in 1/up of an input sample
	read    []int16
	pending error // of src: no more input follows
}

// resample returns src, which has the given rate, at [SampleRate].
func resample(src frames, rate int) frames {
	if rate == SampleRate {
		return src
	}
	divisor := gcd(rate, SampleRate)
	r := &resampler{src: src, up: SampleRate / divisor, down: rate / divisor, read: make([]int16, 512)}
	r.phases = min(r.up, maxPhases)
	r.bank = lowPass(rate, r.phases)
	r.in = make([]float32, r.half()-1, 4096) // silence before the beginning
	return r
}

// half is the number of input samples to each side of an output sample that it is made of.
func (r *resampler) half() int { return len(r.bank[0]) / 2 }

func (r *resampler) ReadFrame(dst []int16) (int, error) {
	n := 0
	for n < len(dst) {
		at := r.out / r.up
		if at+2*r.half() > len(r.in) {
			if n > 0 && r.pending == nil {
				return n, nil // what is ready is not held back while the source is waited for
			}
			if err := r.more(at); err != nil {
				return n, err
			}
			continue
		}
		phase := r.out % r.up * r.phases / r.up
		dst[n] = convolve(r.bank[phase], r.in[at:])
		r.out += r.down
		n++
	}
	return n, nil
}

// more reads further input; the samples before at are not needed any more. At the end of the source there is silence
// for the filter to run out, then its error.
func (r *resampler) more(at int) error {
	if r.pending != nil {
		return r.pending
	}
	kept := copy(r.in, r.in[min(at, len(r.in)):])
	r.out -= (len(r.in) - kept) * r.up
	r.in = r.in[:kept]
	n, err := r.src.ReadFrame(r.read)
	for _, s := range r.read[:n] {
		r.in = append(r.in, float32(s))
	}
	if err != nil {
		r.pending = err
		if errors.Is(err, io.EOF) {
			r.in = append(r.in, make([]float32, r.half())...)
		}
	}
	return nil
}

func convolve(filter, in []float32) int16 {
	in = in[:len(filter)]
	var sum float32
	for i, f := range filter {
		sum += f * in[i]
	}
	return int16(math.Round(float64(min(max(sum, math.MinInt16), math.MaxInt16))))
}

// lowPass returns the filters that turn sound of the given rate into [SampleRate], one per phase. Each has a gain of one
// for constant input.
func lowPass(rate, phases int) [][]float32 {
	cutoff := band * min(1, SampleRate/float64(rate)) // as part of the input's Nyquist frequency
	half := int(math.Ceil(crossings / cutoff))
	bank := make([][]float32, phases)
	for phase := range bank {
		filter, sum := make([]float32, 2*half), 0.0
		for i := range filter {
			x := float64(i-half+1) - float64(phase)/float64(phases)
			filter[i] = float32(sinc(x*cutoff) * kaiser(x/float64(half)))
			sum += float64(filter[i])
		}
		for i := range filter {
			filter[i] /= float32(sum)
		}
		bank[phase] = filter
	}
	return bank
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window over [-1, 1].
func kaiser(x float64) float64 {
	if x < -1 || x > 1 {
		return 0
	}
	return bessel(kaiserBeta*math.Sqrt(1-x*x)) / bessel(kaiserBeta)
}

// bessel is the modified Bessel function of the first kind and order zero, as its power series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
