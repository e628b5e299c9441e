package webhook

import (
	"container/heap"
	"net/url"
	"slices"
	"strings"
	"time"
)

// queue is what a call owes, in the ledger's order. The first of it is on its way, waits for its turn at its host, or for
// the end of a pause.
type queue struct {
	call  string
	debts []*debt
	host  *destination
	place int // in host.later; -1: it is not there
}

// destination is a host that events go to, and how many goroutines are at it.
type destination struct {
	name    string
	working int
	ready   []*queue // wait for one of the goroutines
	later   laterQueue
	timer   *time.Timer // runs until the first of later is due; nil: none does

	// Since when nothing has been delivered, and how often that failed since; zero: the last attempt was a success.
	downSince time.Time
	failures  int
}

func (h *destination) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

// hostOf is the host of a target: those with the same scheme and authority share one.
func hostOf(to Target) string {
	u, err := url.Parse(to.URL)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// queue puts a debt in its place: events leave in the order of the ledger, whoever came first to this line.
func (o *Outbox) queue(d *debt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queues) == 0 {
		o.idle = make(chan struct{})
	}
	q := o.queues[d.event.CallID]
	if q == nil {
		q = &queue{call: d.event.CallID, debts: []*debt{d}, place: -1}
		o.queues[q.call] = q
		o.line(q)
		return
	}
	at := len(q.debts)
	for at > 1 && q.debts[at-1].seq > d.seq {
		at--
	}
	q.debts = slices.Insert(q.debts, at, d)
}

// line has a queue wait for its turn at the host of its first debt. The lock is held, as it is for all that follows.
func (o *Outbox) line(q *queue) {
	name := hostOf(q.debts[0].target)
	h := o.hosts[name]
	if h == nil {
		h = &destination{name: name}
		o.hosts[name] = h
	}
	q.host = h
	o.turn(q)
}

// turn has a queue wait for one of its host's goroutines, and sees to it that there is one.
func (o *Outbox) turn(q *queue) {
	h := q.host
	h.ready = append(h.ready, q)
	if h.working < o.cfg.PerHost && !o.closed {
		h.working++
		o.running.Go(func() { o.work(h) })
	}
}

// work delivers what waits at a host, until nothing does.
func (o *Outbox) work(h *destination) {
	grow(false)
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(h.ready) > 0 && !o.closed {
		q := h.ready[0]
		h.ready[0] = nil
		h.ready = h.ready[1:]
		d := q.debts[0]
		o.mu.Unlock()
		pause, over := o.settle(h, d)
		o.mu.Lock()
		switch {
		case over:
			o.next(q)
		case !o.closed:
			o.pauseFor(q, pause)
		}
	}
	h.working--
	if h.working == 0 && len(h.ready) == 0 && len(h.later) == 0 && o.hosts[h.name] == h {
		delete(o.hosts, h.name)
	}
}

// next takes the first debt off a queue: it has ended.
func (o *Outbox) next(q *queue) {
	if len(q.debts) > 1 {
		q.debts[0] = nil
		q.debts = q.debts[1:]
		o.line(q)
		return
	}
	delete(o.queues, q.call)
	if len(o.queues) == 0 {
		close(o.idle)
	}
}

// pauseFor has a queue wait.
func (o *Outbox) pauseFor(q *queue, pause time.Duration) {
	if o.hurry { // nothing is gained by a long pause any more, nor by none
		pause = min(pause, o.cfg.MinBackoff)
	}
	q.debts[0].next = time.Now().Add(pause)
	heap.Push(&q.host.later, q)
	o.arm(q.host)
}

// arm sets a host's timer.
func (o *Outbox) arm(h *destination) {
	h.stop()
	if len(h.later) == 0 || o.closed {
		return
	}
	wait := time.Until(h.later[0].debts[0].next)
	if h.timer == nil {
		h.timer = time.AfterFunc(wait, func() { o.due(h) })
		return
	}
	h.timer.Reset(wait)
}

// due has those go on whose pause is over.
func (o *Outbox) due(h *destination) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for len(h.later) > 0 && !h.later[0].debts[0].next.After(now) {
		o.goOn(heap.Pop(&h.later).(*queue))
	}
	o.arm(h)
}

func (o *Outbox) goOn(q *queue) {
	q.debts[0].next = time.Time{}
	if !o.closed {
		o.turn(q)
	}
}

// hasten ends all pauses, and keeps those to come short.
func (o *Outbox) hasten() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hurry {
		return
	}
	o.hurry = true
	for _, h := range o.hosts {
		o.wake(h, func(*debt) bool { return true })
	}
}

// wake ends the pauses at a host of those that which chooses.
func (o *Outbox) wake(h *destination, which func(*debt) bool) {
	for _, q := range slices.Clone(h.later) {
		if which(q.debts[0]) {
			heap.Remove(&h.later, q.place)
			o.goOn(q)
		}
	}
	o.arm(h)
}

// A host that has failed so often for so long, and takes an event again, is back.
const (
	downFor      = 30 * time.Second
	downFailures = 10
)

// told notes how an attempt at a host ended. When a host is back, what waited because it was away waits no longer: it
// would for up to MaxBackoff, for no reason but that it was tried so often.
func (o *Outbox) told(h *destination, failed *DeliveryError) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case failed != nil && failed.temporary():
		if h.failures == 0 {
			h.downSince = time.Now()
		}
		h.failures++
	case failed == nil:
		if h.failures >= downFailures && time.Since(h.downSince) >= downFor {
			o.wake(h, func(d *debt) bool { return d.last == nil || d.last.retryAfter == 0 })
		}
		h.failures = 0
	}
}

// laterQueue is a heap of queues by when their pause is over.
type laterQueue []*queue

func (l laterQueue) Len() int { return len(l) }

func (l laterQueue) Less(i, j int) bool { return l[i].debts[0].next.Before(l[j].debts[0].next) }

func (l laterQueue) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].place, l[j].place = i, j
}

// Push implements [heap.Interface].
func (l *laterQueue) Push(x any) {
	q := x.(*queue)
	q.place = len(*l)
	*l = append(*l, q)
}

// Pop implements [heap.Interface].
func (l *laterQueue) Pop() any {
	old := *l
	q := old[len(old)-1]
	old[len(old)-1] = nil
	*l = old[:len(old)-1]
	q.place = -1
	return q
}
