package sipstack

import (
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// progressInterval is how often a call that rings says so again: proxies give up after three minutes without a
// provisional response (RFC 3261 section 13.3.1.1).
const progressInterval = time.Minute

// run answers the INVITE as the call orders. It is the handler's goroutine, and returns when the INVITE needs it no more.
//
// A leg that has been answered by another process has its 200 sent once more, and at once: for the caller it is a
// repetition.
func (l *Leg) run(i *invite) {
	defer close(l.handled)
	if l.isAnswered() {
		if i.isCanceled() { // too late, as it was for that process
			i.canceled = make(chan struct{})
		}
		if !l.accept(i, order{code: sip.StatusOK, done: make(chan error, 1)}) {
			l.over(ErrCanceled)
		}
		return
	}
	p := &progress{leg: l, i: i}
	var held *order // an answer that waits for the PRACK of what was sent before it
	defer func() {
		p.stop("stopped")
		p.another.stop()
		v := recover()
		if v != nil {
			l.over(errBroken)
		}
		if held != nil {
			held.done <- l.Err()
		}
		if v != nil {
			panic(v) // told and answered further up
		}
	}()
	rang, gone := false, i.tx.Done() // the INVITE's connection is
	for {
		select {
		case <-i.canceled:
			i.terminated()
			l.over(ErrCanceled)
			return
		case <-l.ended: // closed
			return
		case <-gone:
			if !l.stack.reaches(i) { // the caller has gone with it
				l.over(ErrCanceled)
				return
			}
			gone = nil // it is answered by another
		case <-p.another.C():
			_ = p.ring() // a cancellation is seen next
			p.another.in(progressInterval)
		case <-p.again.C():
			p.repeat()
		case <-p.giveUp.C():
			p.stop("fired")
			l.refuse(i, sip.StatusInternalServerError, ErrNoPrack) // RFC 3262 section 3: a 5xx
			return
		case err := <-l.reliable.acked:
			p.stop("stopped")
			switch {
			case err != nil:
				l.refuse(i, sip.StatusNotAcceptableHere, ErrNoMedia)
				return
			case held != nil:
				o := *held
				held = nil
				if l.accept(i, o) {
					return
				}
			}
		case o := <-l.orders:
			switch {
			case i.isCanceled():
				o.done <- ErrCanceled
			case o.code == sip.StatusRinging:
				var err error
				if !rang {
					rang = true
					p.another.in(progressInterval)
					err = p.ring()
				}
				o.done <- err
			case o.code < 300 && held != nil:
				o.done <- nil // it is on its way
			case o.code < 300 && p.holdsAnswer():
				held = &o
			case o.code < 300:
				p.stop("stopped")
				if l.accept(i, o) {
					return
				}
			default:
				l.decline(i, o)
				return
			}
		}
	}
}

// refuse ends an INVITE that cannot be answered any more.
func (l *Leg) refuse(i *invite, code int, cause error) {
	if err := i.respond(l.stack.response(i.req, code, "")); errors.Is(err, ErrCanceled) {
		cause = ErrCanceled
	}
	l.over(cause)
}

// decline sends a final response other than 2xx.
func (l *Leg) decline(i *invite, o order) {
	err := i.respond(l.stack.response(i.req, o.code, ""))
	if errors.Is(err, ErrCanceled) {
		l.over(ErrCanceled)
	} else {
		l.over(ErrLocalHangup)
	}
	o.done <- err
}

// accept sends the 200 and waits for its ACK; false: the caller gave up before.
func (l *Leg) accept(i *invite, o order) bool {
	timer, _ := l.timer.proposed(l.stack, i.req) // it was not refused when it came
	res := l.stack.response(i.req, sip.StatusOK, "", append(timer.answer(), &sip.ContactHeader{Address: *l.dialog.contact.Clone()})...)
	if !l.session.settled() { // else the PRACK had the answer to our offer, and nothing is left to say
		withSDP(res, l.session.description())
	}
	w := l.dialog.expectAck(i.id.cseq)
	defer l.dialog.ackDone(w)
	l.mu.Lock()
	l.answered = true
	l.mu.Unlock()
	l.dialog.save()
	l.session.answers()
	if err := i.respond(res); errors.Is(err, ErrCanceled) {
		l.mu.Lock()
		l.answered = false
		l.mu.Unlock()
		o.done <- err
		return false
	}
	l.session.start() // what the caller sends meanwhile waits in the socket
	l.agreeTimer(timer)
	o.done <- nil
	ack, err := l.dialog.untilAcked(i.tx, res, w, l.ended)
	switch {
	case err != nil:
		l.hangUp(err)
	case ack != nil:
		l.confirm(ack)
	}
	return true
}

// confirm takes the ACK of the 200.
func (l *Leg) confirm(ack *sip.Request) {
	late := l.session.offering()
	if err := l.session.confirm(ack, true); err != nil {
		l.dialog.log().Debug("no usable answer in the ACK", zap.Error(err))
		l.hangUp(ErrNoMedia)
		return
	}
	if late {
		l.dialog.save()
	}
	close(l.confirmed)
	l.keepAlive()
}
