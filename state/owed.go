package state

import (
	"encoding/json"
	"fmt"
	"time"
)

// Owed is an asynchronous event that is to be delivered, and what the journal tells of it.
type Owed struct {
	CallID      string
	ID, Type    string
	Method, URL string          // where it goes
	Event       json.RawMessage // all that delivery needs; opaque, and not to be changed afterwards
}

// entry is the one by which the event is owed.
func (o Owed) entry() (Entry, error) {
	if o.ID == "" || o.CallID == "" {
		return Entry{}, fmt.Errorf("owe an event of call %q: it has no id, or belongs to no call", o.CallID)
	}
	return Entry{CallID: o.CallID, Type: TypeWebhook, Webhook: &Webhook{
		Event: WebhookOwed, EventID: o.ID, EventType: o.Type, Method: o.Method, URL: maskText(o.URL), Owed: o.Event,
	}}, nil
}

// Debt is an asynchronous event that is still owed.
type Debt struct {
	CallID string
	Seq    uint64    // of the entry by which it is owed, which Delivered and Failed ask for
	Since  time.Time // when it was owed
	Event  []byte    // [Owed].Event; not to be changed
}

// DeadLetter is an asynchronous event that was given up. To owe it again takes it off the list.
type DeadLetter struct {
	Debt
	GivenUp time.Time
	Reason  string
}
