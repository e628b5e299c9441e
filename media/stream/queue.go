package stream

import (
	"sync"

	"github.com/callengine/callengine/media"
)

const (
	frameLen = media.SampleRate / 50 // samples, and bytes, of a frame: 20 ms
	// waiting is how many frames of each track wait to be sent: two seconds. What is older is of no use to who listens
	// live.
	waiting = 100
)

// frame is 20 ms of each track, in the order of the tracks, as μ-law.
type frame struct {
	number uint64
	tracks [2][frameLen]byte
}

// queue is the sound between a call and the WebSocket. The call puts, and never waits: where there is no room the oldest
// frame goes.
type queue struct {
	tracks []Track
	ready  chan struct{} // holds a token once there is a frame

	mu      sync.Mutex
	frames  []frame // a ring, made with the first frame
	head, n int
	made    uint64 // frames since the beginning
	filling frame
	filled  int // samples of it
	dropped uint64
}

func newQueue(tracks []Track) *queue { return &queue{tracks: tracks, ready: make(chan struct{}, 1)} }

// put is a [media.Listener].
func (q *queue) put(in, out []int16) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(in) > 0 {
		n := min(len(in), frameLen-q.filled)
		for i, t := range q.tracks {
			pcm := in[:n]
			if t == Outbound {
				pcm = out[:n]
			}
			media.EncodePCMU(q.filling.tracks[i][q.filled:q.filled+n], pcm)
		}
		in, out = in[n:], out[n:]
		if q.filled += n; q.filled == frameLen {
			q.push()
		}
	}
}

// push moves the frame that is full to the others. The lock is held.
func (q *queue) push() {
	if q.frames == nil {
		q.frames = make([]frame, waiting)
	}
	q.made++
	q.filling.number, q.filled = q.made, 0
	if q.n == waiting {
		q.head, q.n = (q.head+1)%waiting, q.n-1
		q.dropped++
	}
	q.frames[(q.head+q.n)%waiting] = q.filling
	q.n++
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// pop takes the oldest frame.
func (q *queue) pop(into *frame) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return false
	}
	*into = q.frames[q.head]
	q.head, q.n = (q.head+1)%waiting, q.n-1
	return true
}

// lost returns how many frames were dropped since it was asked last.
func (q *queue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.dropped
	q.dropped = 0
	return n
}
