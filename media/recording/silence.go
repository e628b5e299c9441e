package recording

const (
	// loud is the amplitude, on the average of a packet, from which it holds sound: some -46 dBm0, above a line's noise.
	loud = 130
	// word is how many samples of sound in a row break a silence: 60 ms. A click is shorter.
	word = 3 * SampleRate / 50
)

// quiet measures the silence of one side.
type quiet struct {
	timeout int // samples after which the silence is long enough; 0: it never is
	since   int // samples without a word
	sound   int // samples of sound in a row
}

// hear reports whether it has been silent for long enough, with these samples.
func (q *quiet) hear(in []int16) bool {
	if q.timeout == 0 || len(in) == 0 {
		return false
	}
	sum := 0
	for _, v := range in {
		sum += int(v) * int(v)
	}
	q.since += len(in)
	if sum < loud*loud*len(in) {
		q.sound = 0
	} else if q.sound += len(in); q.sound >= word {
		q.since = 0
	}
	return q.sound == 0 && q.since >= q.timeout // a word may have begun
}
