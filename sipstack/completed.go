package sipstack

import (
	"github.com/emiago/sipgo/sip"
)

// completed takes the final response to a request of ours: what it says of the peer, and, of a 2xx to an INVITE, that it
// needs an ACK (RFC 3261 section 13.2.2.4).
func (d *dialog) completed(req *sip.Request, res *sip.Response) {
	d.learn(res)
	if res.StatusCode/100 != 2 || req.Method != sip.INVITE && req.Method != sip.UPDATE {
		return
	}
	d.refreshed(res)
	if req.Method == sip.INVITE {
		d.mu.Lock()
		d.accepted = req
		d.mu.Unlock()
		d.confirmInvite(req)
	}
}

// acknowledgeAgain repeats the ACK of a 2xx that came once more; false: it is none of ours.
func (d *dialog) acknowledgeAgain(res *sip.Response) bool {
	d.mu.Lock()
	invite := d.accepted
	before := res.CSeq().MethodName == sip.INVITE && res.CSeq().SeqNo <= d.before
	d.mu.Unlock()
	switch {
	case res.StatusCode/100 != 2:
		return false
	case invite != nil && *res.CSeq() == *invite.CSeq():
	case before: // of another process, which did not come to it: its number is all that an ACK needs
		invite = sip.NewRequest(sip.INVITE, d.contact)
		invite.AppendHeader(sip.HeaderClone(res.CSeq()))
	default:
		return false
	}
	return d.stack.spawn(func() { d.confirmInvite(invite) })
}

// dialogOfResponse returns the dialog of a response to a request of ours; nil: none.
func (s *Stack) dialogOfResponse(res *sip.Response) *dialog {
	if res.From() == nil || res.To() == nil || res.CallID() == nil || res.CSeq() == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialogs[dialogID{res.CallID().Value(), tagOf(res.From().Params), tagOf(res.To().Params)}]
}
