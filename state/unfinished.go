package state

import (
	"context"
	"slices"
	"time"
)

// disconnectEvent is the type of the event that tells of a call's end.
const disconnectEvent = "disconnect"

// Debt is an asynchronous event that is still owed.
type Debt struct {
	CallID string
	Seq    uint64    // of the entry by which it is owed, which Delivered and Failed ask for
	Since  time.Time // when it was owed
	Event  []byte    // as it was given to Owe
}

// rest is what is left to do of a call, as far as its journal tells.
type rest struct {
	begun   bool // its application was asked, or was about to be
	ended   bool // its end is journalled
	told    bool // the event of its end is owed, or was, or none is due
	outlive bool // something goes on beyond its end
	settled bool // that is over, too
}

// apply takes the next entry of the call's journal.
func (r *rest) apply(e *Entry) {
	switch {
	case e.Webhook != nil:
		r.told = r.told || e.Webhook.Event == WebhookOwed && e.Webhook.EventType == disconnectEvent
	case e.Call == nil:
	case e.Call.Event == CallInitiated:
		r.begun = true
	case e.Call.Event == CallEnded:
		r.ended = true
		r.told = r.told || e.Call.Untold
		r.outlive = r.outlive || e.Call.Outlived
	case e.Call.Event == CallSettled:
		r.settled = true
	}
}

// unfinished reports whether somebody has to see to the call when nobody does any more. Refers are those of its record.
func (r *rest) unfinished(refers []Refer) bool {
	switch {
	case !r.begun:
		return false
	case !r.ended, !r.told, r.outlive && !r.settled:
		return true
	}
	return slices.ContainsFunc(refers, func(f Refer) bool { return f.Status == ReferPending })
}

// Unfinished implements [Store].
func (m *Memory) Unfinished(context.Context) (ids []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.order {
		if c.rest.unfinished(c.record.Refers) {
			ids = append(ids, c.record.CallID)
		}
	}
	return ids, nil
}

// Debts implements [Store].
func (m *Memory) Debts(context.Context) (debts []Debt, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.order {
		seqs := make([]uint64, 0, len(c.owed))
		for seq := range c.owed {
			seqs = append(seqs, seq)
		}
		slices.Sort(seqs)
		for _, seq := range seqs {
			e := c.entries.at(seq)
			debts = append(debts, Debt{CallID: e.CallID, Seq: seq, Since: e.Time, Event: slices.Clone([]byte(e.Webhook.Owed))})
		}
	}
	return debts, nil
}
