package sipstack

import (
	"context"
	"sync"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// bye handles a BYE of the peer (RFC 3261 section 15.1.2).
func (s *Stack) bye(d *dialog, t *turn) {
	l := d.leg
	switch err := l.Err(); {
	case l.isHanging(): // Both sides hang up at once.
		t.respond(sip.StatusOK, "")
	case err != nil: // RFC 5057: a referral holds the dialog, but what a BYE ends is over.
		t.respond(sip.StatusCallTransactionDoesNotExists, "")
	case !l.isAnswered() && d.invite == nil: // Section 15: who is called ends no early dialog with a BYE.
		t.respond(sip.StatusCallTransactionDoesNotExists, "")
	case !l.isAnswered(): // Section 15: the caller may end an early dialog so, too.
		t.respond(sip.StatusOK, "")
		d.invite.cancel()
	default:
		if !l.isConfirmed() {
			s.pause(ackGrace, l.confirmed)
		}
		// Before the turn ends: a NOTIFY right behind the BYE must find the call over.
		t.reply(sip.StatusOK, "")
		l.over(ErrRemoteHangup)
	}
}

// isHanging reports whether we have hung up, whatever has become of our BYE.
func (l *Leg) isHanging() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hanging
}

// Bye hangs up an answered call: it waits for the ACK, which a BYE must not overtake (RFC 3261 section 15), sends the
// BYE and returns when that has been answered, or never will be. The call is over then, whatever the answer was, so that
// the error is nil, also when the call was over before. When ctx ends first its cause is returned and the BYE goes on.
func (l *Leg) Bye(ctx context.Context) error {
	if l.Err() == nil && !l.isAnswered() {
		return errNotAnswered
	}
	switch {
	case l.Err() != nil:
	case l.isConfirmed():
		if err := l.hangUpWithin(ctx, ErrLocalHangup); err != nil {
			return err
		}
	default:
		done := make(chan struct{})
		if !l.stack.spawn(func() {
			defer close(done)
			select {
			case <-l.confirmed:
				l.hangUp(ErrLocalHangup)
			case <-l.ended:
			}
		}) {
			return nil // the stack has ended the call
		}
		select {
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if !l.isHanging() {
		return nil
	}
	select {
	case <-l.hungUp:
		return nil
	case <-l.stack.living.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hangUp sends a BYE, unless the peer has no such dialog any more, and ends the leg when it is on its way.
func (l *Leg) hangUp(cause error) {
	if out := l.sendBye(); out != nil {
		<-out
		l.end(cause)
	}
}

// hangUpWithin is [Leg.hangUp], but goes on in the background when ctx ends.
func (l *Leg) hangUpWithin(ctx context.Context, cause error) error {
	out := l.sendBye()
	if out == nil {
		return nil
	}
	select {
	case <-out:
		l.end(cause)
		return nil
	case <-ctx.Done():
		l.stack.spawn(func() {
			<-out
			l.end(cause)
		})
		return context.Cause(ctx)
	}
}

// sendBye starts to send a BYE. The channel is closed when it is on its way, or need not be; nil: it is too late, or Close
// ends the leg.
func (l *Leg) sendBye() <-chan struct{} {
	l.mu.Lock()
	late := l.hanging || l.err != nil
	if !late {
		l.hanging = true
	}
	l.mu.Unlock()
	if late {
		return nil
	}
	out := make(chan struct{})
	sent := sync.OnceFunc(func() { close(out) })
	if !l.stack.spawn(func() {
		defer close(l.hungUp)
		defer l.dialog.usageOver()
		defer sent()
		if l.dialog.lost.Load() {
			return
		}
		// RFC 5057 section 5.1: whatever the answer, and without one, the session is over.
		if _, err := l.dialog.transact(sip.BYE, nil, nil, hooks{out: sent}); err != nil {
			l.dialog.log().Debug("BYE without an answer", zap.Error(err))
		}
	}) {
		return nil
	}
	return out
}
