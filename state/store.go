package state

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is returned for a call that the store does not know, or knows no longer.
var ErrNotFound = errors.New("call not found")

// ErrNotOwed is returned for an event that was never owed.
var ErrNotOwed = errors.New("no such event is owed")

// Query selects records. Zero values select everything.
type Query struct {
	From, To           string
	MinStart, MaxStart time.Time // inclusive
	Cause              string
	After              string // token of the page before; opaque. Another one is ErrPageToken
	Limit              int    // 0: DefaultLimit
}

// page returns the number of the last call of the page before, and how many records the page takes.
func (q *Query) page() (after uint64, limit int, err error) {
	limit = q.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	after, err = readPageToken(q.After)
	return after, limit, err
}

// Store keeps journals. It is safe for concurrent use. Entries of one call have the order in which they were appended.
type Store interface {
	// Append adds an entry to its call's journal and returns its number. It waits until an entry of a call's own state or
	// of a webhook is safe, if that is vital ([Entry.Vital]), and with all others for nothing.
	Append(ctx context.Context, e Entry) (seq uint64, err error)
	// Await waits until what was appended to a call is safe as far as it is vital. Nothing may leave the node that relies on
	// an entry for which Append has not waited before that.
	Await(ctx context.Context, callID string) error
	// Journal returns a call's entries in order.
	Journal(ctx context.Context, callID string) ([]Entry, error)
	// Record returns a call's record.
	Record(ctx context.Context, callID string) (Record, error)
	// Records returns records, oldest first, and the token of the next page; "" when there is none.
	Records(ctx context.Context, q Query) (records []Record, next string, err error)
	// Owe notes an asynchronous event that has to be delivered. It fails for one without an id or a call.
	Owe(ctx context.Context, o Owed) (seq uint64, err error)
	// Delivered notes that the event owed under seq needs no more attempts. ErrNotOwed: it never was owed.
	Delivered(ctx context.Context, callID string, seq uint64) error
	// Failed notes that the event owed under seq was given up, and why: it is not owed any more.
	Failed(ctx context.Context, callID string, seq uint64, reason string) error
	// Unfinished returns the ids of the calls that somebody has to see to when nobody does any more (after a crash, say),
	// oldest first: those whose INVITE was let in and that have not begun; that have begun and not ended; that have ended, but neither is their disconnect event owed nor
	// is it known that none is due; that have a referral pending, or another thing that outlives them.
	Unfinished(ctx context.Context) ([]string, error)
	// Debts returns what is still owed, in order for each call.
	Debts(ctx context.Context) ([]Debt, error)
	// DeadLetters returns the events of the calls that are kept which were given up and not owed again since, in order for
	// each call.
	DeadLetters(ctx context.Context) ([]DeadLetter, error)
	Close() error
}
