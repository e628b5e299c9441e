package sipstack

import (
	"context"
	"strconv"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// prack handles a PRACK of the caller (RFC 3262 sections 3 and 5). Its turn lasts until all that it says is in force.
func (s *Stack) prack(d *dialog, t *turn) {
	l := d.leg
	if refused := s.unsupported(t.req); refused != nil {
		t.send(refused)
		return
	}
	k, ok := readRAck(t.req)
	if !ok {
		t.respond(sip.StatusBadRequest, "Bad RAck")
		return
	}
	if l.reliable.tookBefore(k) {
		s.prackBefore(d, t)
		return
	}
	if l.Err() != nil || !l.reliable.take(k) {
		t.respond(sip.StatusCallTransactionDoesNotExists, "")
		return
	}
	switch {
	case l.session.offering() && !l.session.settled():
		err := l.session.confirm(t.req, l.isAnswered())
		if err != nil {
			l.dialog.log().Debug("no usable answer in the PRACK", zap.Error(err))
		}
		d.save()
		t.reply(sip.StatusOK, "")
		l.reliable.acked <- err
		return
	case undescribed(t.req):
		t.reply(sip.StatusOK, "")
	default:
		s.offered(d, t, nil)
	}
	l.reliable.acked <- nil
}

// prackBefore handles the PRACK of a response of another process, for which nobody waits.
func (s *Stack) prackBefore(d *dialog, t *turn) {
	l := d.leg
	switch {
	case l.Err() == nil && l.session.offering() && !l.session.settled() && !undescribed(t.req):
		if err := l.session.confirm(t.req, l.isAnswered()); err != nil {
			l.dialog.log().Debug("no usable answer in the PRACK", zap.Error(err))
		}
		d.save()
		t.reply(sip.StatusOK, "")
	case l.Err() == nil && !undescribed(t.req):
		s.offered(d, t, nil)
	default:
		t.reply(sip.StatusOK, "")
	}
}

// offered answers a PRACK or UPDATE with an offer; false: the offer was refused, and everything is as it was.
func (s *Stack) offered(d *dialog, t *turn, hdrs []sip.Header) bool {
	l := d.leg
	if l.session.offering() {
		d.ackPending() // one that was sent before this request may be handled after it
	}
	switch {
	case d.offerPending() || l.session.offering():
		t.reply(sip.StatusRequestPending, "") // RFC 3311 section 5.2
		return false
	case !l.session.settled():
		t.reply(sip.StatusInternalServerError, "", tryLater()) // likewise: that of the INVITE is not answered yet
		return false
	}
	if err := l.session.propose(t.req); err != nil {
		t.tell(s.refusal(t.req, err))
		return false
	}
	if t.req.Method == sip.UPDATE { // PRACK refreshes no target
		d.refresh(t.req)
	}
	res := s.response(t.req, sip.StatusOK, "", hdrs...)
	withSDP(res, l.session.description())
	if l.isAnswered() {
		l.session.start()
	}
	d.save()
	t.tell(res)
	return true
}

// acknowledged is which reliable provisional responses to an INVITE of ours have been acknowledged, in one of the dialogs
// that it has opened (RFC 3262 section 4). The zero value has seen none. It belongs to one goroutine.
type acknowledged struct{ rseq uint32 }

// next reports whether a response is to be acknowledged with [dialog.acknowledge1xx], and handled: a repeated one, and
// one before which another is missing, are neither.
func (a *acknowledged) next(res *sip.Response) bool {
	rseq, ok := readRSeq(res)
	if !ok || a.rseq != 0 && rseq != a.rseq+1 {
		return false
	}
	a.rseq = rseq
	return true
}

// acknowledge1xx sends the PRACK of a reliable provisional response to an INVITE of ours, in the dialog which that
// response has made or belongs to. It holds no description: our offer was in the INVITE.
func (d *dialog) acknowledge1xx(ctx context.Context, res *sip.Response) error {
	rseq, _ := readRSeq(res)
	of := rack{rseq, res.CSeq().SeqNo, string(res.CSeq().MethodName)}
	answer, err := d.send(ctx, sip.PRACK, []sip.Header{sip.NewHeader("RAck", of.String())}, nil, nil)
	if err == nil && !answer.IsSuccess() {
		err = &StatusError{Method: string(sip.PRACK), Code: answer.StatusCode, Reason: answer.Reason}
	}
	return err
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
