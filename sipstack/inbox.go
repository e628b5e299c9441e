package sipstack

import (
	"slices"
	"sync"
	"time"
)

// inbox lets the requests of a dialog through one at a time, in the order of their CSeq. sipgo handles each message in a
// goroutine of its own, and those overtake each other: by how much depends on the load. ACK and CANCEL have the number of
// their INVITE and do not pass through it.
type inbox struct {
	mu      sync.Mutex
	last    uint32 // the highest number let through
	open    bool   // none was let through yet, and the first may be any (RFC 3261 section 12.1.2)
	answer  answer // what the request with that number got
	busy    bool
	coming  []uint32  // numbers that were read off the wire and have not entered yet
	waiting []*waiter // by number
	patient time.Time // until then a request waits for missing ones longer than gapWait: they are being repeated
}

// answer is the final response that a request got.
type answer struct {
	method string
	code   int
	reason string
}

type waiter struct {
	cseq  uint32
	due   bool         // has waited long enough for what is missing before it
	ready chan verdict // one is sent
}

// verdict is what becomes of a request.
type verdict int

const (
	admitted verdict = iota // its turn; leave must follow
	repeated                // this number has been let through before
	outdated                // a higher number has been let through before (RFC 3261 section 12.2.2: 500)
)

const (
	// gapWait is how long a request waits for missing ones before it. A gap can be real: numbers are skipped.
	gapWait = 20 * time.Millisecond
	// comingWait is how long it waits for one that has been read off the wire. What sipgo refuses never enters.
	comingWait = 500 * time.Millisecond
)

// announce says that a request has been read off the wire. It is called in the order of the wire, before enter.
func (b *inbox) announce(cseq uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming = slices.DeleteFunc(b.coming, func(n uint32) bool { return n <= b.last || n == cseq })
	if cseq > b.last && len(b.coming) < maxComing {
		b.coming = append(b.coming, cseq)
	}
}

// maxComing bounds what is remembered of a peer that sends more than can be handled.
const maxComing = 64

// enter waits until it is a request's turn.
func (b *inbox) enter(cseq uint32) verdict {
	b.mu.Lock()
	b.coming = slices.DeleteFunc(b.coming, func(n uint32) bool { return n == cseq })
	w := &waiter{cseq: cseq, ready: make(chan verdict, 1)}
	i, _ := slices.BinarySearchFunc(b.waiting, cseq, func(w *waiter, n uint32) int {
		if w.cseq <= n {
			return -1
		}
		return 1
	})
	b.waiting = slices.Insert(b.waiting, i, w)
	b.dispatch()
	b.mu.Unlock()

	select {
	case v := <-w.ready: // most requests come in order
		return v
	default:
	}
	b.mu.Lock()
	gap := time.NewTimer(max(gapWait, time.Until(b.patient)))
	b.mu.Unlock()
	defer gap.Stop()
	select {
	case a := <-w.ready:
		return a
	case <-gap.C:
	}
	b.mu.Lock()
	w.due = true
	b.dispatch()
	b.mu.Unlock()

	gap.Reset(comingWait - gapWait)
	select {
	case a := <-w.ready:
		return a
	case <-gap.C:
	}
	b.mu.Lock()
	b.coming = slices.DeleteFunc(b.coming, func(n uint32) bool { return n < cseq })
	b.dispatch()
	b.mu.Unlock()
	return <-w.ready
}

// leave ends the turn of a request that was admitted, and notes what it got.
func (b *inbox) leave(a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy, b.answer = false, a
	b.dispatch()
}

// previous returns what the request let through last got.
func (b *inbox) previous() answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answer
}

// answered reports whether the request let through last is this one, and has been answered.
func (b *inbox) answered(cseq uint32, method string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last == cseq && b.answer.method == method && b.answer.code != 0
}

// dispatch gives turns. It is called with the lock held.
func (b *inbox) dispatch() {
	for !b.busy && len(b.waiting) > 0 {
		next := b.waiting[0]
		switch {
		case next.cseq < b.last:
			next.ready <- outdated
		case next.cseq == b.last && !b.open:
			next.ready <- repeated
		case next.cseq == b.last+1 || (b.open || b.due()) && !b.awaits(next.cseq):
			b.busy, b.open, b.last = true, false, next.cseq
			next.ready <- admitted
		default:
			return
		}
		b.waiting = b.waiting[1:]
	}
}

// due reports whether a request has waited long enough for what is missing.
func (b *inbox) due() bool {
	return slices.ContainsFunc(b.waiting, func(w *waiter) bool { return w.due })
}

// awaits reports whether a request with a lower number is on its way.
func (b *inbox) awaits(cseq uint32) bool {
	return slices.ContainsFunc(b.coming, func(n uint32) bool { return b.last < n && n < cseq })
}
