package transcribe

import (
	"io"
	"sync"
)

// Live is the sound of a call that goes on: put in by who must not wait, read by a [Transcriber]. What its reader cannot
// keep up with is silence, so that the times of what follows are still those of the call.
type Live struct {
	mu      sync.Mutex
	more    sync.Cond
	samples []int16
	read    int // of samples
	limit   int
	silence int // samples that were lost and are to be read as silence
	lost    int
	over    bool
}

// usualBacklog is how many samples may wait on a machine that keeps up.
const usualBacklog = SampleRate

// NewLive returns an empty sound. At most limit samples wait to be read.
func NewLive(limit int) *Live {
	l := &Live{limit: limit}
	l.more.L = &l.mu
	return l
}

// Put adds samples, which it copies. It never waits.
func (l *Live) Put(samples []int16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	if l.silence > 0 || len(l.samples)-l.read+len(samples) > l.limit { // what comes after a gap waits for its end
		l.silence += len(samples)
		l.lost += len(samples)
	} else {
		l.samples = append(l.samples, samples...)
	}
	l.more.Signal()
}

// End says that no more follows. It may be called more than once.
func (l *Live) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.more.Broadcast()
}

// Lost returns how many samples had to be replaced by silence.
func (l *Live) Lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// ReadFrame implements [Sound]: it waits for samples, and returns io.EOF after the last one.
func (l *Live) ReadFrame(dst []int16) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.read == len(l.samples) && l.silence == 0 && !l.over {
		l.more.Wait()
	}
	switch {
	case l.read < len(l.samples):
		n := copy(dst, l.samples[l.read:])
		if l.read += n; l.read == len(l.samples) {
			l.samples, l.read = l.samples[:0], 0
			if cap(l.samples) > usualBacklog {
				l.samples = nil // what a busy machine made it grow to is not kept
			}
		}
		return n, nil
	case l.silence > 0:
		n := min(len(dst), l.silence)
		clear(dst[:n])
		l.silence -= n
		return n, nil
	}
	return 0, io.EOF
}
