package media

import (
	"container/heap"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// clocks share the sessions of an engine: one for each processor that Go uses.
type clocks struct {
	all  []*clock
	next atomic.Uint32
}

func newClocks() *clocks {
	c := &clocks{}
	for range runtime.GOMAXPROCS(0) {
		c.all = append(c.all, newClock())
	}
	return c
}

// pick returns the clock for a session more.
func (c *clocks) pick() *clock { return c.all[c.next.Add(1)%uint32(len(c.all))] }

// wait returns when the goroutines have ended, after the last session.
func (c *clocks) wait() {
	for _, one := range c.all {
		one.wait()
	}
}

// A crowded clock sleeps for a grain at least: what it wakes up for costs more than a packet does.
const (
	crowd = 50
	grain = time.Millisecond
)

// lingering is how long what sessions share waits for another one after the last: short calls come one after the other.
const lingering = time.Second

// clock is a goroutine that has many sessions send, each when it is due; soon after the last one it ends, until there is
// one again. They keep the phase that they began in, so that their packets are spread over the time.
type clock struct {
	wake  chan struct{} // holds a token when there is something to do earlier than was known
	ended sync.WaitGroup

	mu      sync.Mutex // guards what follows, and when and at of each sender
	idle    *sync.Cond // told when a tick is over and somebody may wait for that
	queue   senders
	ticking *sender // whose tick is under way
	running bool
	closed  bool // it is not to wait for other sessions
}

func newClock() *clock {
	c := &clock{wake: make(chan struct{}, 1)}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// add has x tick from now on. It does nothing when x was removed before.
func (c *clock) add(x *sender, now time.Time) {
	c.mu.Lock()
	if x.removed {
		c.mu.Unlock()
		return
	}
	x.when = now
	heap.Push(&c.queue, x)
	if !c.running {
		c.running = true
		c.ended.Go(c.run)
	}
	c.mu.Unlock()
	c.look()
}

// look wakes the goroutine.
func (c *clock) look() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// remove returns when x ticks no more. It must not be called from within a tick.
func (c *clock) remove(x *sender) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !x.removed && !x.when.IsZero() {
		heap.Remove(&c.queue, x.at)
	}
	x.removed = true
	for c.ticking == x {
		c.idle.Wait()
	}
}

func (c *clock) run() {
	timer := time.NewTimer(lingering)
	defer timer.Stop()
	for idle := false; ; {
		wait, some := c.round()
		if !some {
			if c.leave(idle) {
				return
			}
			wait = lingering
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
			idle = !some
		case <-c.wake:
			idle = false
		}
	}
}

// leave ends the goroutine, unless there is a session again; idle: there was none for as long as it lingers.
func (c *clock) leave(idle bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = len(c.queue) > 0 || !idle && !c.closed
	return !c.running
}

// wait returns when the goroutine has ended, after the last session.
func (c *clock) wait() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.look()
	c.ended.Wait()
}

// round has all tick that are due, and returns how long it is until the next is; false: there is none.
func (c *clock) round() (wait time.Duration, some bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 {
		x, now := c.queue[0], time.Now()
		if wait = x.when.Sub(now); wait > 0 {
			if len(c.queue) >= crowd {
				wait = max(wait, grain)
			}
			return wait, true
		}
		c.ticking = x
		c.mu.Unlock()
		next := x.guarded(now)
		c.mu.Lock()
		c.ticking = nil
		if x.removed {
			c.idle.Broadcast()
			continue
		}
		x.when = next
		heap.Fix(&c.queue, x.at)
	}
	return 0, false
}

// senders is a heap, the next one that is due first.
type senders []*sender

func (q senders) Len() int           { return len(q) }
func (q senders) Less(i, j int) bool { return q[i].when.Before(q[j].when) }

func (q senders) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push implements [heap.Interface].
func (q *senders) Push(x any) {
	s := x.(*sender)
	s.at = len(*q)
	*q = append(*q, s)
}

// Pop implements [heap.Interface].
func (q *senders) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return x
}
