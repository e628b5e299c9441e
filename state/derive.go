package state

import (
	"slices"
	"time"
)

// States of a call.
const (
	StateInitiated    = "initiated"
	StateAnswered     = "answered"
	StateDisconnected = "disconnected"
)

// Apply brings the record up to date with the next entry of its call's journal. A record is the result of applying the
// journal to the zero Record, and of nothing else. User information in what the entries say (sip:user:password@host) is
// masked in the record.
//
// What an earlier copy of the record points at is never changed: times and lists are replaced.
func (r *Record) Apply(e Entry) {
	if r.CallID == "" {
		r.CallID = e.CallID
	}
	switch {
	case e.Call != nil && (e.Call.Event == CallModified || e.Call.Event == CallResumed || e.Call.Event == CallSettled):
		return // what it leads to is told by entries of its own
	case e.Call != nil:
		r.applyCall(e.Time, e.Call)
	case e.Verb != nil && e.Verb.Refer != nil:
		r.applyRefer(*e.Verb.Refer)
	default:
		return
	}
	if e.Time.After(r.LastUpdate) {
		r.LastUpdate = e.Time
	}
}

func (r *Record) applyCall(at time.Time, c *Call) {
	if !c.At.IsZero() {
		at = c.At
	}
	if c.SIPCallID != "" {
		r.SIPCallID = c.SIPCallID
	}
	if c.Tag != nil {
		r.Tag = *c.Tag
	}
	switch c.Event {
	case CallInitiated:
		r.AccountID, r.ApplicationID, r.Direction = c.AccountID, c.ApplicationID, c.Direction
		r.From, r.To = maskText(c.From), maskText(c.To)
		r.StartTime, r.StirShaken = &at, c.StirShaken
		r.State = StateInitiated
	case CallAnswered:
		if r.AnswerTime == nil {
			r.AnswerTime = &at
		}
		if r.State != StateDisconnected {
			r.State = StateAnswered
		}
	case CallEnded:
		if r.State == StateDisconnected { // a call ends once
			return
		}
		r.State = StateDisconnected
		r.EndTime = &at
		r.DisconnectCause = optional(c.Cause)
		r.ErrorMessage = optional(maskText(c.ErrorMessage))
		r.ErrorID = optional(c.ErrorID)
	}
}

// applyRefer takes over the newest state of a Refer. One that is over stays as it ended.
func (r *Record) applyRefer(now Refer) {
	now.Target = maskText(now.Target)
	// Billable from a 2xx to the REFER on; a final NOTIFY proves the acceptance even where the 2xx was lost.
	now.Billable = now.Billable || now.AcceptedTime != nil || now.Evidence == "final-notify"
	i := slices.IndexFunc(r.Refers, func(known Refer) bool { return known.ID == now.ID })
	if i < 0 {
		r.Refers = append(slices.Clip(r.Refers), now)
		return
	}
	if r.Refers[i].Status != ReferPending {
		return
	}
	r.Refers = slices.Clone(r.Refers)
	r.Refers[i] = now
}

// live reports whether the call is up, or has a Refer whose outcome is still to come (docs/refer.md: it outlives the call).
func (r *Record) live() bool {
	if r.State == "" {
		return false
	}
	return r.State != StateDisconnected ||
		slices.ContainsFunc(r.Refers, func(f Refer) bool { return f.Status == ReferPending })
}

// matches reports whether q selects the record. Its page is not looked at.
func (r *Record) matches(q Query) bool {
	switch {
	case q.From != "" && q.From != r.From, q.To != "" && q.To != r.To:
		return false
	case q.Cause != "" && (r.DisconnectCause == nil || *r.DisconnectCause != q.Cause):
		return false
	case !q.MinStart.IsZero() && (r.StartTime == nil || r.StartTime.Before(q.MinStart)):
		return false
	case !q.MaxStart.IsZero() && (r.StartTime == nil || r.StartTime.After(q.MaxStart)):
		return false
	}
	return true
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
