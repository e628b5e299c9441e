package state

import (
	"slices"
	"time"
)

// disconnectEvent is the type of the event that tells of a call's end.
const disconnectEvent = "disconnect"

// rest is what is left to do of a call, as far as its journal tells.
type rest struct {
	invited  bool // its INVITE came
	refused  bool // that got a final response
	declined bool // and that was none of success
	gone     bool // the caller knows that it is over: it said so itself, or has acknowledged it
	begun    bool // its application was asked, or was about to be
	ended    bool // its end is journalled
	told     bool // the event of its end is owed, or was, or none is due
	outlive  bool // something goes on beyond its end
	settled  bool // that is over, too

	cseq uint32    // of its INVITE
	over time.Time // when its end, or the final response to its INVITE, was journalled

	asked   uint32    // CSeq of the caller's oldest NOTIFY or BYE without an answer
	askedAt time.Time // when that came; zero: it has been answered
}

// apply takes the next entry of the call's journal.
func (r *rest) apply(e *Entry) {
	switch {
	case e.SIP != nil:
		r.applySIP(e)
	case e.Webhook != nil:
		r.told = r.told || e.Webhook.Event == WebhookOwed && e.Webhook.EventType == disconnectEvent
	case e.Call == nil:
	case e.Call.Event == CallInitiated:
		r.begun = true
	case e.Call.Event == CallEnded:
		r.ended, r.over = true, e.Time
		r.told = r.told || e.Call.Untold
		r.outlive = r.outlive || e.Call.Outlived
	case e.Call.Event == CallSettled:
		r.settled = true
	}
}

func (r *rest) applySIP(e *Entry) {
	m, in := e.SIP, e.SIP.Direction == "in"
	switch m.Method {
	case "INVITE":
		if in && m.Code == 0 && !r.invited {
			r.invited, r.cseq = true, m.CSeq
		}
		if !in && m.Code >= 200 && m.CSeq == r.cseq {
			r.refused = true
			if m.Code >= 300 {
				r.declined, r.over = true, e.Time
			}
		}
	case "ACK":
		r.gone = r.gone || in && r.declined && m.CSeq == r.cseq
	case "NOTIFY":
		r.asks(e, in)
	case "BYE": // the caller's, or the answer to ours
		r.asks(e, in)
		r.gone = r.gone || in && (m.Code == 0 || m.Code >= 200 && m.Code != 401 && m.Code != 407)
	}
}

// asks notes that the caller waits for a response, or has got it.
func (r *rest) asks(e *Entry, in bool) {
	switch {
	case in && e.SIP.Code == 0:
		// The oldest counts: a BYE may be answered while a NOTIFY before it is yet to be repeated.
		if r.askedAt.IsZero() || e.SIP.CSeq == r.asked || e.Time.Sub(r.askedAt) > hangsFor {
			r.asked, r.askedAt = e.SIP.CSeq, e.Time
		}
	case !in && e.SIP.Code >= 200 && e.SIP.CSeq == r.asked:
		r.askedAt = time.Time{}
	}
}

// hangs reports whether the call is over, and its caller may not have learned it, or has asked something and may not have
// been answered: a crash may have come before a BYE or a response went out, or they got lost and nobody repeats them. After
// some time nobody waits for them any more.
func (r *rest) hangs(now time.Time) bool {
	if !r.invited || r.over.IsZero() {
		return false
	}
	return !r.gone && now.Sub(r.over) < hangsFor || !r.askedAt.IsZero() && now.Sub(r.askedAt) < hangsFor
}

// hangsFor is for how long requests are repeated (RFC 3261: 64*T1).
const hangsFor = 32 * time.Second

// unfinished reports whether somebody has to see to the call when nobody does any more. Refers are those of its record.
func (r *rest) unfinished(refers []Refer, now time.Time) bool { return r.busy(refers) || r.hangs(now) }

// busy is unfinished but for what the caller may not have learned.
func (r *rest) busy(refers []Refer) bool {
	switch {
	case !r.begun:
		return r.invited && !r.refused && !r.settled
	case !r.ended, !r.told, r.outlive && !r.settled:
		return true
	}
	return slices.ContainsFunc(refers, func(f Refer) bool { return f.Status == ReferPending })
}
