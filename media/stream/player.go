package stream

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/callengine/callengine/media"
)

const (
	// mostAhead is the sound that may wait to be played. What comes on top is dropped: "clear" has to be read at once,
	// whatever stands before it, so that reading cannot wait.
	mostAhead = 2 * time.Minute
	// linger is how long a sound that has run out is held open for more: the other side sends as it speaks, and not
	// every piece is in time. Until then silence is heard, and another sound of the call waits.
	linger = 300 * time.Millisecond
)

// errCleared ends what is played when the other side says so.
var errCleared = errors.New("cleared")

// player plays what the other side sends, in turn with the other sounds of the call.
type player struct {
	mu      sync.Mutex
	queue   []piece
	ahead   time.Duration // of all pieces
	changed chan struct{} // closed and replaced whenever there is more
	playing *sound        // nil: none
}

// piece is sound of one rate.
type piece struct {
	pcm  []int16
	rate int
}

func (p piece) length() time.Duration {
	return time.Duration(len(p.pcm)) * time.Second / time.Duration(p.rate)
}

func newPlayer() *player { return &player{changed: make(chan struct{})} }

// add queues sound. It reports whether there was room.
func (p *player) add(c command) bool {
	next := piece{c.pcm, c.rate}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ahead+next.length() > mostAhead {
		return false
	}
	if len(next.pcm) > 0 {
		p.queue = append(p.queue, next)
		p.ahead += next.length()
		close(p.changed)
		p.changed = make(chan struct{})
	}
	return true
}

// clear drops what is queued, what is being played included.
func (p *player) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue, p.ahead = nil, 0
	if p.playing != nil {
		p.playing.cleared = true
		p.playing.stop(errCleared)
	}
}

// run plays until ctx ends or the session closes.
func (p *player) run(ctx context.Context, s Session) {
	for p.await(ctx) {
		playing, stop := context.WithCancelCause(ctx)
		next := &sound{player: p, stop: stop, closed: make(chan struct{})}
		p.begin(next)
		err := s.Play(playing, next)
		p.begin(nil)
		stop(nil)
		if err != nil && !errors.Is(err, errCleared) {
			return // the end of the stream, or of the session
		}
	}
}

func (p *player) begin(s *sound) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.playing = s
}

// await waits until there is something to play, and reports false when ctx ends first.
func (p *player) await(ctx context.Context) bool {
	for {
		p.mu.Lock()
		more, empty := p.changed, len(p.queue) == 0
		p.mu.Unlock()
		if !empty {
			return true
		}
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}

// sound is what the player has, until it has nothing more for a while.
type sound struct {
	player  *player
	stop    context.CancelCauseFunc
	cleared bool         // guarded by the player's lock
	run     media.Source // of one rate; nil: the next one has not begun
	once    sync.Once
	closed  chan struct{}
}

// ReadFrame implements [media.Source].
func (s *sound) ReadFrame(dst []int16) (int, error) {
	for {
		if s.run == nil {
			rate, err := s.next()
			if err != nil {
				return 0, err
			}
			s.run = media.Resample(&stretch{s, rate}, rate)
		}
		n, err := s.run.ReadFrame(dst)
		if errors.Is(err, io.EOF) {
			s.run, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close implements [media.Source].
func (s *sound) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// next returns the rate of the sound that comes next; io.EOF: there is none.
func (s *sound) next() (rate int, err error) {
	p := s.player
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.cleared || len(p.queue) == 0 {
		return 0, io.EOF
	}
	return p.queue[0].rate, nil
}

// stretch is the sound of one rate, up to the first that has another, or to the end.
type stretch struct {
	of   *sound
	rate int
}

// ReadFrame implements [media.Source].
func (r *stretch) ReadFrame(dst []int16) (int, error) {
	var patience <-chan time.Time
	for {
		n, over, more := r.take(dst)
		switch {
		case n > 0:
			return n, nil
		case over:
			return 0, io.EOF
		case patience == nil:
			timer := time.NewTimer(linger)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case <-more:
		case <-patience:
			return 0, io.EOF
		case <-r.of.closed:
			return 0, io.ErrClosedPipe
		}
	}
}

// Close implements [media.Source].
func (r *stretch) Close() error { return r.of.Close() }

// take moves sound of the rate to dst. over: there is none that belongs to it any more; more is closed when there may be.
func (r *stretch) take(dst []int16) (n int, over bool, more <-chan struct{}) {
	p := r.of.player
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.of.cleared {
		return 0, true, nil
	}
	for n < len(dst) && len(p.queue) > 0 {
		first := &p.queue[0]
		if first.rate != r.rate {
			return n, true, nil
		}
		before := first.length()
		copied := copy(dst[n:], first.pcm)
		first.pcm, n = first.pcm[copied:], n+copied
		p.ahead -= before - first.length()
		if len(first.pcm) == 0 {
			p.queue = p.queue[1:]
		}
	}
	if len(p.queue) == 0 {
		p.queue, p.ahead = nil, 0
	}
	return n, false, p.changed
}
