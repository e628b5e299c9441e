package webhook

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// PendingEvent is an event that is owed and not delivered.
type PendingEvent struct {
	CallID    string
	ID        string // Callengine-Event-Id
	Type      string
	Method    string
	URL       string    // without user information and query
	Owed      time.Time // since when
	Attempts  int
	Next      time.Time // when the next attempt is due; zero: now, or after the call's events before it
	LastError string    // of the last attempt; "" before there was one
}

// DeadLetter is an event that was given up; LastError says why.
type DeadLetter struct {
	PendingEvent
	GivenUp time.Time
}

const maxDeadLetters = 1000 // kept to be looked at; the oldest go first, the ledger has them all

// Pending returns the events that are owed, the oldest first.
func (o *Outbox) Pending() []PendingEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	var pending []PendingEvent
	for _, q := range o.queues {
		for _, d := range q {
			pending = append(pending, d.pending())
		}
	}
	slices.SortStableFunc(pending, func(a, b PendingEvent) int {
		return cmp.Or(a.Owed.Compare(b.Owed), strings.Compare(a.CallID, b.CallID))
	})
	return pending
}

// DeadLetters returns the events that were given up last, the oldest first: 1000 at most.
func (o *Outbox) DeadLetters() []DeadLetter {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.dead)
}

func (o *Outbox) bury(d *debt, reason error) DeadLetter {
	o.mu.Lock()
	defer o.mu.Unlock()
	letter := DeadLetter{d.pending(), time.Now()}
	letter.LastError = reason.Error()
	if len(o.dead) == maxDeadLetters {
		o.dead = slices.Delete(o.dead, 0, 1)
	}
	o.dead = append(o.dead, letter)
	return letter
}

// pending describes a debt. The outbox's lock is held.
func (d *debt) pending() PendingEvent {
	p := PendingEvent{
		CallID: d.event.CallID, ID: d.event.ID, Type: d.event.Type, Method: cmp.Or(strings.ToUpper(d.target.Method), "POST"),
		Owed: d.since, Attempts: d.attempts, Next: d.next,
	}
	if u, err := url.Parse(d.target.URL); err == nil {
		p.URL = withoutQuery(u)
	}
	if d.last != nil {
		p.LastError = d.last.Error()
	}
	return p
}

func (p PendingEvent) fields() []zap.Field {
	return []zap.Field{
		zap.String("call_id", p.CallID), zap.String("event_id", p.ID), zap.String("event_type", p.Type),
		zap.String("url", p.URL), zap.Int("attempts", p.Attempts), zap.String("error", p.LastError),
	}
}
