package sipstack

import (
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// reinvite handles an INVITE in the dialog (RFC 3261 section 14.2): hold and its end, another address or codec, a new
// Contact. A refused one leaves everything as it was.
func (s *Stack) reinvite(d *dialog, t *turn) {
	l := d.leg
	switch {
	case l.Err() != nil:
		t.respond(sip.StatusCallTransactionDoesNotExists, "")
		return
	case !l.isAnswered():
		t.respond(sip.StatusInternalServerError, "", tryLater())
		return
	}
	if d.ackPending() {
		t.respond(sip.StatusRequestPending, "")
		return
	}
	timer, refused := l.timing(t.req)
	if refused != nil {
		t.send(refused)
		return
	}
	w := d.expectAck(t.req.CSeq().SeqNo)
	if w == nil {
		t.respond(sip.StatusRequestPending, "") // one of ours is under way
		return
	}
	defer d.ackDone(w)
	if err := l.session.propose(t.req); err != nil {
		t.send(s.refusal(t.req, err))
		return
	}
	d.refresh(t.req)
	res := s.response(t.req, sip.StatusOK, "", append(timer.answer(), &sip.ContactHeader{Address: *d.contact.Clone()})...)
	withSDP(res, l.session.description())
	l.session.start()
	d.save()
	l.agreeTimer(timer)
	t.send(res)

	ack, err := d.untilAcked(t.tx, res, w, l.ended)
	switch {
	case err != nil:
		l.hangUp(err)
	case ack != nil:
		// An answer that cannot be used leaves the sound as it was: the peer asked, and may ask again.
		late := l.session.offering()
		if err := l.session.confirm(ack, true); err != nil {
			l.dialog.log().Debug("no usable answer in the ACK of a re-INVITE", zap.Error(err))
		}
		if late {
			d.save()
		}
	}
}

// timing returns the terms of the session timer that a re-INVITE or UPDATE brings, or the response to one that cannot be taken, whatever
// it offers.
func (l *Leg) timing(req *sip.Request) (timerTerms, *sip.Response) {
	if refused := l.stack.beyond(req); refused != nil {
		return timerTerms{}, refused
	}
	return l.timer.proposed(l.stack, req)
}
