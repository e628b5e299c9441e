package sipstack

import (
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"
)

// maxMissed is how many OPTIONS in a row may stay without an answer.
const maxMissed = 3

// keepAlive asks the peer from time to time whether it still has the dialog: without that, a caller that has vanished
// would stay for ever. 481 ends the leg at once. A 408 is a proxy's way to say that nobody has answered.
func (l *Leg) keepAlive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stack.cfg.Keepalive > 0 && l.err == nil {
		l.probing = time.AfterFunc(l.stack.cfg.Keepalive, l.probe) // no goroutine waits: there are many calls, and probes are rare
	}
}

// probe asks once. No other one is under way.
func (l *Leg) probe() {
	if !l.stack.begin() {
		return
	}
	defer l.stack.tasks.Done()
	defer l.stack.survive(l.dialog.callID)
	res, err := l.dialog.send(l.stack.living, sip.OPTIONS, []sip.Header{sip.NewHeader("Accept", accept)}, nil, nil)
	switch {
	case errors.Is(err, ErrClosed):
		return
	case err == nil && res.StatusCode == sip.StatusCallTransactionDoesNotExists:
		l.over(lostBy("OPTIONS", res.StatusCode, res.Reason))
		return
	case err != nil || res.StatusCode == sip.StatusRequestTimeout:
		l.missed++
	default:
		l.missed = 0
	}
	if l.missed == maxMissed {
		// RFC 3261 section 12.2.1.2: a BYE, should the peer hear us after all.
		l.hangUp(ErrDialogLost)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.probing.Reset(l.stack.cfg.Keepalive)
	}
}
