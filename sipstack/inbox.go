package sipstack

import (
	"slices"
	"sync"
	"time"
)

// inbox lets the requests of a dialog through one at a time, in the order of their CSeq. sipgo handles each message in a
// goroutine of its own, and those overtake each other. ACK and CANCEL have the number of their INVITE and do not pass
// through it.
type inbox struct {
	mu      sync.Mutex
	last    uint32 // the highest number let through
	answer  answer // what the request with that number got
	busy    bool
	waiting []*waiter // by number
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

// gapWait is how long a request waits for missing ones before it. A gap can be real: numbers are skipped.
const gapWait = 20 * time.Millisecond

// enter waits until it is a request's turn.
func (b *inbox) enter(cseq uint32) verdict {
	b.mu.Lock()
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

	gap := time.NewTimer(gapWait)
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

// dispatch gives turns. It is called with the lock held.
func (b *inbox) dispatch() {
	for !b.busy && len(b.waiting) > 0 {
		next := b.waiting[0]
		switch {
		case next.cseq < b.last:
			next.ready <- outdated
		case next.cseq == b.last:
			next.ready <- repeated
		case next.cseq == b.last+1 || slices.ContainsFunc(b.waiting, func(w *waiter) bool { return w.due }):
			b.busy, b.last = true, next.cseq
			next.ready <- admitted
		default:
			return
		}
		b.waiting = b.waiting[1:]
	}
}
