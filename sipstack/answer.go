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
func (l *Leg) run(i *invite) {
	defer close(l.handled)
	defer func() {
		if v := recover(); v != nil {
			l.over(errBroken)
			panic(v) // told and answered further up
		}
	}()
	rang := false
	again := time.NewTicker(progressInterval)
	defer again.Stop()
	for {
		select {
		case <-i.canceled:
			i.terminated()
			l.over(ErrCanceled)
			return
		case <-l.ended: // closed
			return
		case <-i.tx.Done(): // the connection is gone, and the caller with it
			l.over(ErrCanceled)
			return
		case <-again.C:
			if rang {
				_ = i.respond(l.ringing(i)) // a cancellation is seen next
			}
		case o := <-l.orders:
			switch {
			case i.isCanceled():
				o.done <- ErrCanceled
			case o.code == sip.StatusRinging:
				var err error
				if !rang {
					rang = true
					err = i.respond(l.ringing(i))
				}
				o.done <- err
			case o.code < 300:
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

func (l *Leg) ringing(i *invite) *sip.Response {
	return l.stack.response(i.req, sip.StatusRinging, "", &sip.ContactHeader{Address: *l.dialog.contact.Clone()})
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
	res := l.stack.response(i.req, sip.StatusOK, "", &sip.ContactHeader{Address: *l.dialog.contact.Clone()})
	withSDP(res, l.session.description())
	w := l.dialog.expectAck(i.id.cseq)
	defer l.dialog.ackDone(w)
	l.mu.Lock()
	l.answered = true
	l.mu.Unlock()
	l.session.start() // the caller may send as soon as it has the 200
	if err := i.respond(res); errors.Is(err, ErrCanceled) {
		l.mu.Lock()
		l.answered = false
		l.mu.Unlock()
		o.done <- err
		return false
	}
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
	if err := l.session.confirm(ack); err != nil {
		l.log.Debug("no usable answer in the ACK", zap.Error(err))
		l.hangUp(ErrNoMedia)
		return
	}
	close(l.confirmed)
	if l.stack.cfg.Keepalive > 0 {
		l.stack.spawn(l.keepalive)
	}
}
