package media

import (
	"context"
	"errors"
	"io"
	"sync"
)

// ahead is how many samples a source is read ahead of the clock: 200 ms, enough for a slow read not to be heard.
const ahead = SampleRate / 5

// playout is the sound between one source and the sender: whoever plays fills it, the sender takes a frame at a time.
type playout struct {
	space chan struct{} // holds a token once half of the ring is empty
	done  chan struct{} // closed when the last sample was sent

	keying *keying // the sender's; nil: no keys are pressed

	mu    sync.Mutex
	ring  [ahead]int16
	head  int // of the oldest sample
	n     int
	ended bool // no samples will follow
	sent  bool // done is closed
}

func newPlayout() *playout {
	return &playout{space: make(chan struct{}, 1), done: make(chan struct{})}
}

// fill reads src to its end, as far ahead of the sender as there is room. It returns the error of src, the cause of ctx,
// or ErrClosed once closing is closed.
func (p *playout) fill(ctx context.Context, closing <-chan struct{}, src Source) error {
	for idle := 0; ; {
		room := p.room()
		if len(room) == 0 {
			select {
			case <-p.space:
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-closing:
				return ErrClosed
			}
			continue
		}
		n, err := src.ReadFrame(room)
		p.filled(n)
		switch {
		case errors.Is(err, io.EOF):
			p.end()
			return nil
		case err != nil:
			return err
		case n > 0:
			idle = 0
		default:
			if idle++; idle > 100 {
				return io.ErrNoProgress
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

// take moves samples to dst and returns how many there were.
func (p *playout) take(dst []int16) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(dst), p.n)
	copied := copy(dst[:n], p.ring[p.head:])
	copy(dst[copied:n], p.ring[:])
	p.head = (p.head + n) % len(p.ring)
	p.n -= n
	if p.n <= len(p.ring)/2 {
		select {
		case p.space <- struct{}{}:
		default: // the filler has a token waiting already
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
	if p.ended && p.n == 0 && !p.sent {
		p.sent = true
		close(p.done)
	}
}
