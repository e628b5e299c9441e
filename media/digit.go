package media

import "time"

// Way is how a digit was told.
type Way uint8

const (
	ByEvent Way = iota // as a telephone-event in RTP (RFC 4733)
	ByINFO             // by signalling, in a SIP INFO
	ByTone             // as a tone in the sound
	numWays            // how many there are
)

// String returns the name of the way: "rtp", "info" or "tone".
func (w Way) String() string { return [...]string{"rtp", "info", "tone"}[w] }

// Digits are the keys of a phone, in the order of their codes as events (RFC 4733 section 3.2).
const Digits = "0123456789*#ABCD"

// Digit is a key that was pressed.
type Digit struct {
	Key byte // one of [Digits]
	Way Way
	// Length is how long it was pressed, where that is told with it; 0: it is not. An event or a tone is told of when it begins.
	Length time.Duration
	Time   time.Time
}

// OnDigit has f called for every key that the peer presses, once for each, when it begins. f is called from the
// session's goroutines and those of [Session.Press], perhaps by two at once; it must not block. nil: nobody is told. It
// may be set at any time.
func (s *Session) OnDigit(f func(Digit)) {
	s.pressing.Lock()
	defer s.pressing.Unlock()
	s.onDigit = f
}

// Press tells the session of a digit that came by signalling. Some phones tell each key twice, in RTP and by INFO, or
// let its tone be heard, too: it counts once.
func (s *Session) Press(d Digit) {
	if d.Time.IsZero() {
		d.Time = time.Now()
	}
	s.pressing.Lock()
	known, told := s.presses.known(d), s.onDigit
	s.pressing.Unlock()
	if !known && told != nil {
		told(d)
	}
}

const (
	// sameKey is how far apart two reports of one key may be, its length aside: an INFO may be long on its way.
	sameKey = time.Second
	// maxPresses is how many digits are remembered: more than a thumb can press within sameKey.
	maxPresses = 16
)

// press is a digit that was counted, and in which ways it has been told.
type press struct {
	Digit
	told [numWays]bool
}

// presses are the newest digits of a session.
type presses struct {
	newest []press // up to maxPresses, then the oldest is replaced
	next   int     // the oldest
}

// known takes note of a digit, and reports whether it is one that was told in another way before.
func (p *presses) known(d Digit) bool {
	for i := range p.newest {
		of := &p.newest[(p.next+i)%len(p.newest)] // oldest first
		if of.Key == d.Key && !of.told[d.Way] && d.Time.Sub(of.Time) <= sameKey+max(d.Length, of.Length) {
			of.told[d.Way] = true
			return true
		}
	}
	now := press{Digit: d}
	now.told[d.Way] = true
	if len(p.newest) < maxPresses {
		p.newest = append(p.newest, now)
		return false
	}
	p.newest[p.next] = now
	p.next = (p.next + 1) % maxPresses
	return false
}
