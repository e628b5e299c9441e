package sipstack

import (
	"errors"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// agreeTimer takes the terms of a session timer into force, from now on.
func (l *Leg) agreeTimer(t timerTerms) {
	before := l.timer.agree(t)
	if before.interval > 0 {
		l.tellTimer("stopped", before)
	}
	if t.interval == 0 {
		return
	}
	l.tellTimer("started", t)
	l.dialog.save()
	l.timer.mu.Lock()
	first := !l.timer.running
	l.timer.running = true
	l.timer.mu.Unlock()
	if first {
		l.stack.spawn(l.watchSession)
	}
}

func (l *Leg) tellTimer(event string, t timerTerms) {
	l.stack.observer.Timer(l.dialog.callID, timerName, event, t.interval)
}

// watchSession refreshes the session where that is ours, and gives it up when nobody did (RFC 4028 section 10).
func (l *Leg) watchSession() {
	for {
		t := l.timer.state()
		var due <-chan time.Time
		timer := time.NewTimer(max(time.Until(t.due()), time.Millisecond))
		if t.interval > 0 {
			due = timer.C
		}
		select {
		case <-l.ended:
			timer.Stop()
			if t.interval > 0 {
				l.tellTimer("stopped", t.timerTerms)
			}
			return
		case <-t.changed:
		case <-due:
			if t.ours {
				l.renew(t)
			} else {
				l.expire(t)
			}
		}
		timer.Stop()
	}
}

// expire ends a call whose session nobody has refreshed.
func (l *Leg) expire(t timerState) {
	l.dialog.log().Debug("the session was not refreshed", zap.Duration("interval", t.interval), zap.Bool("by_us", t.ours))
	l.tellTimer("fired", t.timerTerms)
	l.timer.agree(timerTerms{})
	l.hangUp(fmt.Errorf("%w: %w", ErrDialogLost, ErrSessionExpired))
}

// renew refreshes the session, and tries again until that is done by whichever side, or the session is given up.
func (l *Leg) renew(t timerState) {
	for {
		res, err := l.refresh(t)
		var wait time.Duration
		switch {
		case l.Err() != nil || errors.Is(err, ErrClosed):
			return
		case errors.Is(err, errNoResponse):
			l.hangUp(ErrDialogLost)
			return
		case errors.Is(err, errInviting):
			wait = l.dialog.glareWait()
		case err == nil && res.StatusCode/100 == 2:
			l.agreeTimer(l.timer.answered(l.stack, res))
			return
		case err == nil && (res.StatusCode == sip.StatusCallTransactionDoesNotExists || res.StatusCode == sip.StatusRequestTimeout):
			// RFC 4028 section 10: with a BYE, so that proxies that keep the session, too, learn of its end.
			l.hangUp(lostBy(string(res.CSeq().MethodName), res.StatusCode, res.Reason))
			return
		case err == nil:
			wait = l.refused(t, res)
		default: // it could not be sent, or its time was up
			wait = later(t)
		}
		pause := time.NewTimer(max(min(wait, time.Until(t.end())), time.Millisecond))
		select {
		case <-t.changed: // the peer was faster
			pause.Stop()
			return
		case <-l.ended:
			pause.Stop()
			return
		case <-pause.C:
		}
		if !time.Now().Before(t.end()) {
			l.expire(t)
			return
		}
	}
}

// refused returns how long to wait after a refresh that was refused.
func (l *Leg) refused(t timerState, res *sip.Response) time.Duration {
	switch res.StatusCode {
	case sip.StatusRequestPending:
		return l.dialog.glareWait()
	case statusIntervalTooSmall:
		if l.timer.raised(res) {
			return 0
		}
	case sip.StatusMethodNotAllowed, sip.StatusNotImplemented:
		if res.CSeq().MethodName == sip.UPDATE {
			l.dialog.noUpdates()
			return 0
		}
	}
	if after := retryAfter(res); after > 0 {
		return after
	}
	return later(t)
}

// later is when something is tried again of which the peer has not said when: with half of the time that is left.
func later(t timerState) time.Duration { return max(time.Until(t.end())/2, time.Second) }

// errInviting says that a re-INVITE has to wait for one of the peer, errGivenUp that a request was not waited for.
var (
	errInviting = errors.New("an INVITE is under way")
	errGivenUp  = errors.New("given up")
)

// refresh sends one request that refreshes the session: UPDATE if the peer takes it, else an INVITE with the description
// that it has (RFC 4028 section 7.4). It returns its final response.
func (l *Leg) refresh(t timerState) (*sip.Response, error) {
	d := l.dialog
	method, hdrs, body := sip.UPDATE, l.timer.request(l.stack), []byte(nil)
	if !d.takesUpdates() {
		if !d.inviting() {
			return nil, errInviting
		}
		defer d.invited()
		method, body = sip.INVITE, l.session.description()
		contentType := sip.ContentTypeHeader(typeSDP)
		hdrs = append(hdrs, &contentType)
	}
	type result struct {
		res *sip.Response
		err error
	}
	done, stop := make(chan result, 1), make(chan struct{})
	if !l.stack.spawn(func() {
		res, err := d.transact(method, hdrs, body, hooks{stop: stop})
		done <- result{res, err}
	}) {
		return nil, ErrClosed
	}
	end := time.NewTimer(max(time.Until(t.end()), time.Millisecond))
	defer end.Stop()
	var r result
	select {
	case r = <-done:
	case <-l.ended:
	case <-end.C: // a peer that thinks about it for so long
	}
	close(stop)
	if r.res == nil && r.err == nil {
		r = <-done // at once
	}
	if r.err == nil && r.res.StatusCode/100 == 2 && method == sip.INVITE {
		if err := l.session.renewed(r.res); err != nil {
			l.dialog.log().Debug("no usable answer to a re-INVITE", zap.Error(err))
		}
	}
	return r.res, r.err
}
