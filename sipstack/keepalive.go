package sipstack

import (
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"
)

// maxMissed is how many OPTIONS in a row may stay without an answer.
const maxMissed = 3

// keepalive asks the peer from time to time whether it still has the dialog: without that, a caller that has vanished
// would stay for ever. 481 ends the leg at once. A 408 is a proxy's way to say that nobody has answered.
func (l *Leg) keepalive() {
	interval := time.NewTimer(l.stack.cfg.Keepalive)
	defer interval.Stop()
	missed := 0
	for {
		select {
		case <-interval.C:
		case <-l.ended:
			return
		}
		res, err := l.dialog.send(l.stack.living, sip.OPTIONS, []sip.Header{sip.NewHeader("Accept", accept)}, nil, nil)
		switch {
		case errors.Is(err, ErrClosed):
			return
		case err == nil && res.StatusCode == sip.StatusCallTransactionDoesNotExists:
			l.over(lostBy("OPTIONS", res.StatusCode, res.Reason))
			return
		case err != nil || res.StatusCode == sip.StatusRequestTimeout:
			missed++
		default:
			missed = 0
		}
		if missed == maxMissed {
			// RFC 3261 section 12.2.1.2: a BYE, should the peer hear us after all.
			l.hangUp(ErrDialogLost)
			return
		}
		interval.Reset(l.stack.cfg.Keepalive)
	}
}
