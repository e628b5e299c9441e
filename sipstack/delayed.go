package sipstack

import (
	"slices"
	"sync"
	"time"
)

// delayed has something done with each of many things, the same time after each was put in, by one timer for all of them. What an
// ended call leaves is forgotten so: a timer for each would have Go's scheduler keep tens of thousands in order. Under load it is
// up to delayedStep late. Its methods may be called by several goroutines at once.
type delayed[T any] struct {
	wait time.Duration
	do   func(T) // called by one goroutine at a time, under no lock

	mu     sync.Mutex
	queue  []due[T] // in the order of their moments
	armed  bool     // run is to come, or is at it
	timer  *time.Timer
	closed bool
}

type due[T any] struct {
	at   time.Time
	what T
}

// delayedStep is how much at the least lies between one look at what is due and the next.
const delayedStep = 100 * time.Millisecond

func newDelayed[T any](wait time.Duration, do func(T)) *delayed[T] {
	return &delayed[T]{wait: wait, do: do}
}

// put has do called with a thing when the time has gone by, unless close comes first.
func (l *delayed[T]) put(what T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.queue = append(l.queue, due[T]{time.Now().Add(l.wait), what})
	if !l.armed {
		l.armed = true
		l.timer = time.AfterFunc(l.wait, l.run)
	}
}

// run does what is due.
func (l *delayed[T]) run() {
	for _, d := range l.ready() {
		l.do(d.what)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.armed = len(l.queue) > 0; l.armed {
		l.timer.Reset(max(time.Until(l.queue[0].at), delayedStep))
	} else {
		l.queue = nil
	}
}

// ready takes what is due out of the queue.
func (l *delayed[T]) ready() []due[T] {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.queue) && !l.queue[n].at.After(now) {
		n++
	}
	ready := slices.Clone(l.queue[:n])
	clear(l.queue[:n]) // the rest of the array is used on
	l.queue = l.queue[n:]
	return ready
}

// close forgets what is not done yet, and what is put in from now on.
func (l *delayed[T]) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.queue = true, nil
	if l.timer != nil {
		l.timer.Stop()
	}
}
