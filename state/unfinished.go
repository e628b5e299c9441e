package state

import (
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
	Event  []byte    // as it was given to Owe; not to be changed
}

// DeadLetter is an asynchronous event that was given up. To owe it again takes it off the list.
type DeadLetter struct {
	Debt
	GivenUp time.Time
	Reason  string
}

// rest is what is left to do of a call, as far as its journal tells.
type rest struct {
	invited bool // its INVITE came
	refused bool // that got a final response
	begun   bool // its application was asked, or was about to be
	ended   bool // its end is journalled
	told    bool // the event of its end is owed, or was, or none is due
	outlive bool // something goes on beyond its end
	settled bool // that is over, too
}

// apply takes the next entry of the call's journal.
func (r *rest) apply(e *Entry) {
	switch {
	case e.SIP != nil && e.SIP.Method == "INVITE":
		r.invited = r.invited || e.SIP.Direction == "in" && e.SIP.Code == 0
		r.refused = r.refused || e.SIP.Direction == "out" && e.SIP.Code >= 200
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
		return r.invited && !r.refused && !r.settled
	case !r.ended, !r.told, r.outlive && !r.settled:
		return true
	}
	return slices.ContainsFunc(refers, func(f Refer) bool { return f.Status == ReferPending })
}
