package jitter

// sampleRate is the number of samples in a second.
const sampleRate = 8000

// The bounds of how long sound is held, in samples.
const (
	// Least is how long sound is held at least: a packet's 20 ms, as it is given out as a whole, and what a scheduler is late.
	Least = 25 * sampleRate / 1000
	// Most is how long sound is held at most: who talks to each other does not bear more than 200 ms on top of the way.
	Most = 200 * sampleRate / 1000
	// Backlog is for how much longer, at most, after a time without anything, what has been sent meanwhile and comes at once is held: a phone
	// that had to wait for its own processor, or a network that stood still, lets nothing get lost, and no more should be here.
	Backlog = sampleRate
	// First is how long sound is held before the network is known: 60 ms.
	First = 60 * sampleRate / 1000

	known = sampleRate / 2 // after that much time the network is known
)

// remembered is for how many seconds a delay is remembered. A clock that is wrong by 100 in a million is off by 1 ms then.
const remembered = 10

// delays follows how long packets were on their way, of the last [remembered] seconds: of no known beginning, as the clocks
// of both sides have none in common.
type delays struct {
	seconds [remembered]struct {
		of          int64 // which second it is; it is not in use unless it is one of the last
		least, most int64
	}
	first int64 // when the first packet came
	any   bool
}

// packet takes note of a packet that came at a time and was so long on its way.
func (d *delays) packet(at, delay int64) {
	if !d.any {
		d.any, d.first = true, at
		for i := range d.seconds {
			d.seconds[i].of = -1
		}
	}
	second := at / sampleRate
	s := &d.seconds[second%remembered]
	if s.of != second {
		s.of, s.least, s.most = second, delay, delay
	}
	s.least, s.most = min(s.least, delay), max(s.most, delay)
}

// bounds returns the shortest and the longest delay that is remembered at a time; false: none is.
func (d *delays) bounds(at int64) (least, most int64, ok bool) {
	if !d.any {
		return 0, 0, false
	}
	for _, s := range d.seconds {
		if s.of < 0 || at/sampleRate-s.of >= remembered {
			continue
		}
		if !ok {
			least, most, ok = s.least, s.most, true
		}
		least, most = min(least, s.least), max(most, s.most)
	}
	return least, most, ok
}

// hold returns how long packets are to be held that were on their way for `least`, so that the slowest are there in time.
func (d *delays) hold(at, least, most int64) int64 {
	hold := most - least + Least
	if at-d.first < known {
		hold = max(hold, First)
	}
	return min(hold, Most)
}
