package media

import (
	"errors"
	"io"
	"sync"
)

// ahead is how many samples a source is read ahead of the clock: 200 ms, enough for a slow read not to be heard.
const ahead = SampleRate / 5

// playout is the sound between one source and the sender. A source that may have to be waited for is read ahead of it by whoever
// plays; what an [instant] one has, the sender takes itself.
type playout struct {
	over chan struct{} // closed when the last sample was sent, or nobody is to hear the rest
	err  error         // why, once over is closed

	keying *keying // the sender's; nil: no keys are pressed

	// The sender's, of an instant source.
	source instant // nil: it is another kind
	next   [1]int16
	known  int  // samples in next
	dry    bool // it has no more

	space chan struct{} // holds a token once half of the ring is empty, or it is over

	mu       sync.Mutex
	ring     []int16
	head     int // of the oldest sample
	n        int
	ended    bool // no samples will follow
	finished bool // over is closed
}

// instant is a [Source] that may be in memory.
type instant interface {
	Source
	// instant reports that it never waits from now on, and takes no time worth speaking of.
	instant() bool
	// more reports whether samples are left. It may be asked once instant is true.
	more() bool
}

// newPlayout returns one for a source that is read ahead, if it is not instant.
func newPlayout(src Source) *playout {
	p := &playout{over: make(chan struct{})}
	if i, ok := src.(instant); ok && i.instant() {
		p.source = i
	} else {
		p.ring, p.space = make([]int16, ahead), make(chan struct{}, 1)
	}
	return p
}

// play returns when the last sample of src was sent, or with the error that it or somebody else has ended it with.
//
// A call spends most of its time here. It waits for one channel at a time, as a select takes more of the stack, see [Session.Play].
func (p *playout) play(src Source) error {
	if p.source == nil {
		p.fill(src)
	}
	<-p.over
	return p.err
}

// fill reads src to its end, as far ahead of the sender as there is room.
func (p *playout) fill(src Source) {
	for idle := 0; !p.isOver(); {
		room := p.room()
		if len(room) == 0 {
			<-p.space
			continue
		}
		n, err := src.ReadFrame(room)
		p.filled(n)
		switch {
		case errors.Is(err, io.EOF):
			p.end()
			return
		case err != nil:
			p.finish(err)
		case n > 0:
			idle = 0
		default:
			if idle++; idle > 100 {
				p.finish(io.ErrNoProgress)
			}
		}
	}
}

// room returns a part of the ring that is free. Nobody else touches it.
func (p *playout) room() []int16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	tail := (p.head + p.n) % len(p.ring)
	return p.ring[tail:min(tail+len(p.ring)-p.n, len(p.ring))]
}

// filled says that there are samples now in the first part of that room.
func (p *playout) filled(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
}

// end says that no samples follow.
func (p *playout) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.settle()
}

// take moves samples to dst and returns how many there were. It is called by the sender.
func (p *playout) take(dst []int16) int {
	if p.source != nil {
		return p.read(dst)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(dst), p.n)
	copied := copy(dst[:n], p.ring[p.head:])
	copy(dst[copied:n], p.ring)
	p.head = (p.head + n) % len(p.ring)
	p.n -= n
	if p.n <= len(p.ring)/2 {
		p.look()
	}
	return n
}

// read takes samples of the source itself. After the last one it looks at once how it ends.
func (p *playout) read(dst []int16) int {
	n := copy(dst, p.next[:p.known])
	p.known = 0
	n += p.readFull(dst[n:])
	if !p.dry && !p.source.more() {
		p.known = p.readFull(p.next[:])
	}
	return n
}

func (p *playout) readFull(dst []int16) (n int) {
	for n < len(dst) && !p.dry {
		read, err := p.source.ReadFrame(dst[n:])
		n += read
		if err == nil && read == 0 {
			err = io.ErrNoProgress
		}
		switch {
		case errors.Is(err, io.EOF):
			p.dry = true
			p.mu.Lock()
			p.ended = true // and sent, once it is said that it is taken
			p.mu.Unlock()
		case err != nil:
			p.dry = true
			p.finish(err)
		}
	}
	return n
}

// taken is called when what take returned is on its way.
func (p *playout) taken() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle()
}

func (p *playout) settle() {
	if p.ended && p.n == 0 && !p.finished {
		p.finished = true
		close(p.over)
	}
}

// finish ends it with an error, unless it is over.
func (p *playout) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	p.finished, p.err = true, err
	close(p.over)
	p.look()
}

// look wakes who fills the ring. The lock is held.
func (p *playout) look() {
	select {
	case p.space <- struct{}{}:
	default: // there is a token already, or nobody
	}
}

func (p *playout) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}
