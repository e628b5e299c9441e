package interpreter

import (
	"context"
	"errors"
	"sync"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// ErrNotModifiable says that a call cannot be changed in the state that it is in (docs/api.md).
var ErrNotModifiable = errors.New("the call cannot be modified in its current state")

// change is a modification that was accepted, as the call's goroutine takes it.
type change struct {
	entry    state.Call      // what the journal says of it
	tag      *string         // nil: stays
	redirect *webhook.Target // where the next document comes from; nil: document is it
	document webhook.Reply
}

// changes is where modifications wait for the call's goroutine. Whether one is accepted and whether the call goes on are
// decided under one lock: an accepted change is never lost to a document that has just run out.
//
//	waiting --first document--> open <--> referring
//	                              \--the end is decided--> closed
//
// Only ending a call is possible in all of them but the last.
type changes struct {
	mu        sync.Mutex
	state     changeState
	pending   []change                // accepted and not taken; the last of them decides
	unwritten []state.Call            // entries for the journal
	base      string                  // URL of the last document that was fetched
	interrupt context.CancelCauseFunc // ends the document that runs
	end       context.CancelCauseFunc // ends the call
	completed bool
	life      context.Context // the call's; nil: it has not begun
}

type changeState int

const (
	changesWaiting   changeState = iota // for the first document
	changesOpen                         // a document runs
	changesReferring                    // a REFER is under way
	changesClosed                       // the call ends
)

// offer accepts a change, which ends the document that runs.
func (q *changes) offer(make func(base string) (change, error)) error {
	q.mu.Lock()
	base, open := q.base, q.open()
	q.mu.Unlock()
	if !open {
		return ErrNotModifiable
	}
	next, err := make(base)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open() {
		return ErrNotModifiable
	}
	q.pending = append(q.pending, next)
	q.unwritten = append(q.unwritten, next.entry)
	q.interrupt(verbs.ErrReplaced)
	return nil
}

// open reports whether a document may be replaced. It is called with the lock held.
func (q *changes) open() bool {
	return q.state == changesOpen && q.life.Err() == nil
}

// complete accepts the end of the call.
func (q *changes) complete() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state == changesClosed || q.completed || q.life != nil && q.life.Err() != nil {
		return ErrNotModifiable
	}
	q.completed = true
	q.unwritten = append(q.unwritten, state.Call{Event: state.CallModified, Change: state.ChangeCompleted})
	if q.end != nil {
		q.end(verbs.ErrCompleted)
	}
	return nil
}

// What follows belongs to the call's goroutine.

// begin takes the context of the call and what ends it.
func (q *changes) begin(life context.Context, end context.CancelCauseFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.life, q.end = life, end
	if q.completed {
		end(verbs.ErrCompleted)
	}
}

// document takes what ends the documents that run from now on.
func (q *changes) document(interrupt context.CancelCauseFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.interrupt = interrupt
	if len(q.pending) > 0 {
		interrupt(verbs.ErrReplaced)
	}
}

// fetched says that a document runs that this URL answered with.
func (q *changes) fetched(base string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.base = base
	if q.state == changesWaiting {
		q.state = changesOpen
	}
}

// refer says that a REFER is about to be sent, which nothing can take back. A change that was accepted before comes
// first: its error is the cause of ctx, and no REFER may be sent.
func (q *changes) refer(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if q.state == changesOpen {
		q.state = changesReferring
	}
	return nil
}

// referred says that no REFER is under way any more.
func (q *changes) referred() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state == changesReferring {
		q.state = changesOpen
	}
}

// take returns the changes that wait. Without one the call ends and nothing is accepted any more.
func (q *changes) take() []change {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.pending
	q.pending = nil
	if len(taken) == 0 {
		q.state = changesClosed
	}
	return taken
}

// close says that the call ends, whatever waits.
func (q *changes) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.state = changesClosed
}

// entries returns what the journal has not been told yet.
func (q *changes) entries() []state.Call {
	q.mu.Lock()
	defer q.mu.Unlock()
	entries := q.unwritten
	q.unwritten = nil
	return entries
}
