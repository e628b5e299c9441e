package transcribe

import (
	"io"
	"math"
	"math/rand/v2"
	"sync"
)

// pieces is a sound that comes in pieces of an awkward size.
type pieces struct {
	samples []int16
	err     error // at the end; nil: io.EOF
}

func (p *pieces) ReadFrame(dst []int16) (int, error) {
	if len(p.samples) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		return 0, io.EOF
	}
	n := copy(dst, p.samples[:min(len(p.samples), 97)])
	p.samples = p.samples[n:]
	return n, nil
}

// voice is a sound as loud as somebody who speaks, for so many milliseconds.
func voice(millis int, db float64) []int16 {
	samples := make([]int16, millis*SampleRate/1000)
	peak := math.Sqrt2 * math.Pow(10, db/20) * (1 << 15)
	for i := range samples {
		samples[i] = int16(peak * math.Sin(2*math.Pi*440*float64(i)/SampleRate))
	}
	return samples
}

// noise is what a line sounds like when nobody speaks.
func noise(millis int, db float64) []int16 {
	random := rand.New(rand.NewPCG(1, 2))
	samples := make([]int16, millis*SampleRate/1000)
	for i := range samples {
		samples[i] = int16(random.NormFloat64() * math.Pow(10, db/20) * (1 << 15))
	}
	return samples
}

func joined(parts ...[]int16) (all []int16) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// told collects results.
type told struct {
	mu  sync.Mutex
	all []Result
}

func (t *told) tell(r Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, r)
}
