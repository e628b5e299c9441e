package media

import "math"

// The North American ringing tone (ITU-T E.180 supplement 2): 440 and 480 Hz, 2 s on, 4 s off.
const (
	ringOn  = 2 * SampleRate
	ringOff = 4 * SampleRate

	// ringLevel is the amplitude of each of the two: -19 dBm0, as the precise tone plan has it.
	ringLevel = 2500
)

// Ringing returns the ringing tone. It has no end: whoever plays it ends it through the context of Play.
func Ringing() Source { return &ringing{} }

type ringing struct{ at int }

func (r *ringing) ReadFrame(dst []int16) (int, error) {
	for i := range dst {
		dst[i] = ringSample(r.at)
		r.at = (r.at + 1) % (ringOn + ringOff)
	}
	return len(dst), nil
}

// Close does nothing: a tone never waits.
func (r *ringing) Close() error { return nil }

func ringSample(at int) int16 {
	if at >= ringOn {
		return 0
	}
	t := 2 * math.Pi * float64(at) / SampleRate
	return int16(ringLevel * (math.Sin(440*t) + math.Sin(480*t)))
}
