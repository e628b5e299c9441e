package state

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// index is the calls that a store knows, by id and in the order in which they appeared. What is appended goes through it
// and nothing else, so that it is the one place where a call's state changes. Its methods are called with mu held.
type index struct {
	retention time.Duration
	maxBytes  int64
	shelf     shelf

	mu    sync.Mutex
	calls map[string]*stored
	order []*stored
	last  uint64    // number of the newest call
	over  overQueue // calls that may leave the memory, the one that has been quiet for longest first
	bytes int64     // of the calls in over
}

// shelf is where a call goes when its time in memory is over.
type shelf interface {
	// keeps reports whether the call has to stay in memory.
	keeps(c *stored) bool
	// release takes a call out of memory; expired: its time is over altogether.
	release(c *stored, expired bool)
	// note adds an entry, which has its number, to the journal of a call in memory.
	note(h *held, e Entry)
}

func newIndex(retention time.Duration, maxBytes int64) index {
	if retention <= 0 {
		retention = defaultRetention
	}
	if maxBytes <= 0 {
		maxBytes = defaultMaxBytes
	}
	return index{retention: retention, maxBytes: maxBytes, calls: map[string]*stored{}}
}

// stored is one call of a store.
type stored struct {
	id     string
	number uint64    // the call's place in the order of all calls: about when it appeared, in nanoseconds; never given again
	quiet  time.Time // when the last entry was appended
	place  int       // in index.over; notOver: it is not there
	disk   disk      // of a durable store
	queued *queue    // of a store in memory: where the call waits to be packed
	sealed []byte    // a call that is over, instead of held: of a store in memory as [sealed], of a durable one as its value
	*held            // nil: the call is not in memory, or sealed
}

// held is what is in memory of a call.
type held struct {
	entries entries
	packed  packed // of a store in memory: the entries that are not in entries
	pages   pages  // of a durable one: those that are in memory
	record  Record
	rest    rest
	bytes   int64    // of the journal
	owed    []debt   // in order
	dead    []letter // in the order in which they were given up
}

// debt is an event that is owed.
type debt struct {
	Seq     uint64    `json:"seq"` // of its entry
	Since   time.Time `json:"since"`
	Webhook *Webhook  `json:"webhook"`
}

// letter is an event that was given up.
type letter struct {
	debt
	GivenUp time.Time `json:"givenUp"`
	Reason  string    `json:"reason"`
}

const notOver = -1

// keep reports whether there is something to do for the call: it is up, or owes something.
func (h *held) keep() bool { return len(h.owed) > 0 || h.record.live() }

// add makes room for a call that is not known.
func (x *index) add(id string, now time.Time) *stored {
	x.last = max(x.last+1, uint64(now.UnixNano()))
	c := &stored{id: id, number: x.last, place: notOver, held: &held{}}
	c.record.CallID = id
	x.calls[id] = c
	x.order = append(x.order, c)
	return c
}

// append takes an entry into the journal of its call, which is in memory if it is known.
func (x *index) append(e Entry) (*stored, uint64) {
	now := time.Now()
	c := x.calls[e.CallID]
	if c == nil {
		c = x.add(e.CallID, now)
	}
	if e.Time.IsZero() {
		e.Time = now
	}
	e.Seq = uint64(c.entries.len()) + 1
	x.leaveOver(c)
	x.shelf.note(c.held, e)
	c.apply(e)
	c.quiet = now
	x.settleDown(c)
	x.drop(now, c)
	return c, e.Seq
}

// settleDown puts a call that need not stay in memory where it can be found when there is no room.
func (x *index) settleDown(c *stored) {
	if c.place == notOver && !x.shelf.keeps(c) {
		x.enterOver(c)
	}
}

// add adds an entry to the journal as it is.
func (h *held) add(e Entry) {
	h.entries.add(e)
	h.bytes += sizeOf(&e)
}

// apply takes over what the call's next entry tells of it.
func (h *held) apply(e Entry) {
	h.record.Apply(e)
	h.rest.apply(&e)
	if e.Webhook != nil {
		h.account(&e)
	}
}

// account notes what is owed, and what was given up.
func (h *held) account(e *Entry) {
	switch w := e.Webhook; w.Event {
	case WebhookOwed:
		h.owed = append(h.owed, debt{e.Seq, e.Time, w})
		// Whoever owes an event anew has not given it up.
		h.dead = slices.DeleteFunc(h.dead, func(l letter) bool { return l.Webhook.EventID == w.EventID })
	case WebhookDelivered, WebhookFailed:
		i := h.debt(w.OwedSeq)
		if i < 0 {
			return
		}
		if w.Event == WebhookFailed {
			h.dead = append(h.dead, letter{h.owed[i], e.Time, w.Error})
		}
		h.owed = slices.Delete(h.owed, i, i+1)
	}
}

// debt is the place of what is owed under seq; -1: it is not owed.
func (h *held) debt(seq uint64) int {
	return slices.IndexFunc(h.owed, func(d debt) bool { return d.Seq == seq })
}

// settling returns the entry by which a debt ends; nil where it has ended already. It returns [ErrNotOwed] (wrapped) when
// there never was one.
func (x *index) settling(callID string, seq uint64, event, reason string) (*Entry, error) {
	c := x.calls[callID]
	if c == nil || c.held == nil {
		return nil, fmt.Errorf("call %s, entry %d: %w", callID, seq, ErrNotOwed)
	}
	i := c.debt(seq)
	switch {
	case i >= 0:
	case seq > 0 && seq <= uint64(c.entries.base): // what is on disk alone, or packed, was settled before
		return nil, nil
	case seq == 0 || seq > uint64(c.entries.len()) || !isOwed(c.entries.at(seq)):
		return nil, fmt.Errorf("call %s, entry %d: %w", callID, seq, ErrNotOwed)
	default:
		return nil, nil
	}
	owed := c.owed[i].Webhook
	return &Entry{CallID: callID, Type: TypeWebhook, Webhook: &Webhook{
		Event: event, EventID: owed.EventID, EventType: owed.EventType,
		Method: owed.Method, URL: owed.URL, OwedSeq: seq, Error: reason,
	}}, nil
}

func isOwed(e Entry) bool { return e.Webhook != nil && e.Webhook.Event == WebhookOwed }

var errNoCall = errors.New("journal entry without a call")

// after returns the calls from the one on that follows a number, which is its page's token.
func (x *index) after(number uint64) []*stored {
	from, found := slices.BinarySearchFunc(x.order, number, byNumber)
	if found {
		from++
	}
	return x.order[from:]
}

// forget drops a call altogether.
func (x *index) forget(c *stored) {
	delete(x.calls, c.id)
	if i, found := slices.BinarySearchFunc(x.order, c.number, byNumber); found {
		x.order = slices.Delete(x.order, i, i+1)
	}
}

func byNumber(c *stored, number uint64) int { return cmp.Compare(c.number, number) }

// unfinished returns the ids of the calls that somebody has to see to, oldest first.
func (x *index) unfinished() (ids []string) {
	now := time.Now()
	for _, c := range x.order {
		if c.held != nil && c.rest.unfinished(c.record.Refers, now) {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// debts returns what is owed.
func (x *index) debts() (debts []Debt) {
	for _, c := range x.order {
		if c.held == nil {
			continue
		}
		for _, d := range c.owed {
			debts = append(debts, d.of(c.id))
		}
	}
	return debts
}

// deadLetters returns what was given up.
func (x *index) deadLetters() (letters []DeadLetter) {
	for _, c := range x.order {
		if c.held == nil {
			continue
		}
		for _, l := range c.dead {
			letters = append(letters, DeadLetter{l.of(c.id), l.GivenUp, l.Reason})
		}
	}
	return letters
}

func (d debt) of(callID string) Debt {
	return Debt{CallID: callID, Seq: d.Seq, Since: d.Since, Event: d.Webhook.Owed}
}
