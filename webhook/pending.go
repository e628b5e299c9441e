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

// Pending returns the events that are owed, the oldest first.
func (o *Outbox) Pending() []PendingEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	var pending []PendingEvent
	for _, q := range o.queues {
		for _, d := range q.debts {
			pending = append(pending, d.pending())
		}
	}
	slices.SortStableFunc(pending, func(a, b PendingEvent) int {
		return cmp.Or(a.Owed.Compare(b.Owed), strings.Compare(a.CallID, b.CallID))
	})
	return pending
}

// Oldest is since when the oldest event is owed; zero: none is.
func (o *Outbox) Oldest() (since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, q := range o.queues {
		for _, d := range q.debts {
			if since.IsZero() || d.since.Before(since) {
				since = d.since
			}
		}
	}
	return since
}

// Describe tells what an owed event is, and where it goes.
func (w Owed) Describe() (PendingEvent, error) {
	d, err := w.debt()
	if err != nil {
		return PendingEvent{}, err
	}
	return d.pending(), nil
}

// Waiting counts the events that are owed.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, q := range o.queues {
		n += len(q.debts)
	}
	return n
}

// Hurry ends the pause of an event that is owed, so that it is tried at once. It reports whether there is such an event;
// one behind others of its call waits for these.
func (o *Outbox) Hurry(eventID string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, q := range o.queues {
		if !slices.ContainsFunc(q.debts, func(d *debt) bool { return d.event.ID == eventID }) {
			continue
		}
		if q.place >= 0 {
			first := q.debts[0]
			o.wake(q.host, func(d *debt) bool { return d == first })
		}
		return true
	}
	return false
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
