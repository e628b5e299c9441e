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
	turn    uint32    // number of the request let through that has not left yet
	coming  []uint32  // numbers that were read off the wire and have not entered yet
	waiting []*waiter // by number
	patient time.Time // until then a request waits for missing ones longer than gapWait: they are being repeated

	// Of a dialog that another process had: what its requests got, by number, and until when others may come that a higher
	// number has overtaken. They were sent when nobody was there to take them.
	past    map[uint32]answer
	lenient time.Time
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
	b.busy = false
	if b.turn == b.last {
		b.answer = a
	}
	if b.past != nil && time.Now().Before(b.lenient) {
		b.past[b.turn] = a
	}
	b.dispatch()
}

// repeatedWithin is within what time the requests that a peer has sent to nobody come again: they are repeated every 4 s (T2,
// RFC 3261 section 17.1.2.2), each in its own time, so that the later ones may come first.
const repeatedWithin = 4500 * time.Millisecond

// restored says that another process had the dialog, and what requests in it have got, by number.
func (b *inbox) restored(past map[uint32]answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past = past
	for cseq, a := range past {
		if cseq >= b.last {
			b.last, b.answer = cseq, a
		}
	}
	b.patient, b.lenient = time.Now().Add(repeatedWithin), time.Now().Add(linger())
}

// previous returns what the request with a number got that has been let through before.
func (b *inbox) previous(cseq uint32) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return given{b.last, b.answer, b.past}.previous(cseq)
}

// settled returns the highest number below which all have been answered that were let through.
func (b *inbox) settled() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy && b.turn == b.last && b.last > 0 {
		return b.last - 1
	}
	return b.last
}

// overtaken is the verdict on a request after one with a higher number (RFC 3261 section 12.2.2).
func (b *inbox) overtaken(cseq uint32) verdict {
	switch _, known := b.past[cseq]; {
	case known:
		return repeated
	case b.past != nil && time.Now().Before(b.lenient):
		return admitted
	}
	return outdated
}

// dispatch gives turns. It is called with the lock held.
func (b *inbox) dispatch() {
	for !b.busy && len(b.waiting) > 0 {
		next := b.waiting[0]
		switch {
		case next.cseq < b.last:
			v := b.overtaken(next.cseq)
			if v == admitted {
				b.busy, b.turn = true, next.cseq
			}
			next.ready <- v
		case next.cseq == b.last && !b.open:
			next.ready <- repeated
		case next.cseq == b.last+1 || (b.open || b.due()) && !b.awaits(next.cseq):
			b.busy, b.open, b.last, b.turn = true, false, next.cseq, next.cseq
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
